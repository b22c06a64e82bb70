"""Workflow ids and the names of operations, and the way between them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

from nexpo.registry import PROTOCOL


def escaped(part: str) -> str:
    """The part with everything but ASCII letters, digits, '-', '.' and '_' percent-escaped:
    the bytes of its UTF-8 as %XX, in capitals."""
    return quote(part, safe="").replace("~", "%7E")


def workflow_id(tenant: str, type_: str, id_: str, *, keyed: bool) -> str:
    """The workflow id of the call that a start stands for.

    Args:
        tenant: Whose call it is; it needs no escape.
        type_: Full name of the RPC.
        id_: What the RPC's id template gave, its parts escaped.
        keyed: Whether that is the request_id: it names one call of all that the
            tenant makes, so the method is no part of the id. Other ids name a
            resource among those of one method.
    """
    middle = "" if keyed else f"{escaped(type_)}/"
    return f"{tenant}/{middle}{id_}"


@dataclass(frozen=True, slots=True)
class OperationName:
    """What an operation's name says: one chain of runs of one workflow id.

    Attributes:
        workflow_id: See `workflow_id`; its parts are escaped.
        type: Full name of the RPC that began it. Only a claim, as the whole name
            is, until it was compared with the workflow that runs there.
        run_id: First run of the chain.
    """

    workflow_id: str
    type: str
    run_id: str

    @property
    def tenant(self) -> str:
        """Whose operation it is."""
        return tenant_of(self.workflow_id)

    def __str__(self) -> str:
        tenant, _, rest = self.workflow_id.partition("/")
        parts = (tenant, escaped(self.type), rest.replace("/", "~"), self.run_id)
        return PROTOCOL.operations_prefix + "~".join(parts)

    @classmethod
    def parse(cls, name: str) -> OperationName:
        """The reverse of str(). Raises: ValueError: It is no operation's name."""
        prefix = PROTOCOL.operations_prefix
        parts = name.removeprefix(prefix).split("~")
        if not name.startswith(prefix) or len(parts) < 4 or not all(parts) or "/" in parts[-1]:
            raise ValueError("not the name of an operation")
        if any(escaped(unquote(part)) != part for part in parts[:-1]):
            raise ValueError("not the name of an operation")
        tenant, type_, *rest, run_id = parts
        return cls("/".join((tenant, *rest)), unquote(type_), run_id)


def tenant_of(workflow_id: str) -> str:
    """The tenant in a workflow id."""
    return workflow_id.split("/", 1)[0]


def step_key(workflow_id: str, step: str) -> str:
    """Key of the effect of a step: the same on every attempt and in its undo."""
    # Escaped, so that no step's name can be the end of another workflow id and its step.
    return f"{workflow_id}/{step.replace('%', '%25').replace('/', '%2F')}"
