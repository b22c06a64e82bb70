"""Workflow ids and the names of operations, and the way between them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

COLLECTION = "operations/"


def escaped(part: str) -> str:
    """The part with everything but letters, digits, '-', '.' and '_' percent-escaped."""
    return quote(part, safe="").replace("~", "%7E")


@dataclass(frozen=True, slots=True)
class OperationName:
    """What an operation's name says: one chain of runs of one workflow id.

    Attributes:
        workflow_id: `{tenant}/{type}/{id}`, its parts escaped.
        run_id: First run of the chain.
    """

    workflow_id: str
    run_id: str

    @property
    def tenant(self) -> str:
        """Whose operation it is."""
        return tenant_of(self.workflow_id)

    @property
    def type(self) -> str:
        """Full name of the RPC that began it."""
        return unquote(self.workflow_id.split("/")[1])

    def __str__(self) -> str:
        return f"{COLLECTION}{self.workflow_id.replace('/', '~')}~{self.run_id}"

    @classmethod
    def parse(cls, name: str) -> OperationName:
        """The reverse of str(). Raises: ValueError: It is no operation's name."""
        parts = name.removeprefix(COLLECTION).split("~")
        if not name.startswith(COLLECTION) or len(parts) < 4 or not all(parts) or "/" in parts[-1]:
            raise ValueError("not the name of an operation")
        if any(escaped(unquote(part)) != part for part in parts[:-1]):
            raise ValueError("not the name of an operation")
        return cls("/".join(parts[:-1]), parts[-1])


def tenant_of(workflow_id: str) -> str:
    """The tenant in a workflow id."""
    return unquote(workflow_id.split("/", 1)[0])
