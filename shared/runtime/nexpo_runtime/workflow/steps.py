"""The steps of one operation: each has a name of its own, runs once, and is not forgotten.

A step's name is its effect's key. Two steps of one name would have one key, so the
second would find the first one's effect and take it for its own: a debit without
its credit. What is refused here fails the operation as any error of its code does:
what was done is undone, and the log says what to mend.
"""

from __future__ import annotations

from typing import Any

from nexpo.contract import Call

from ..errors import ContractError


class Steps:
    """What an operation's sagas have described, and what of it has begun."""

    def __init__(self) -> None:
        self._begun: dict[str, bool] = {}
        self._saga_of: dict[str, object] = {}

    def describe(self, name: str, saga: object) -> None:
        """A step is made. Raises: ContractError: There is one of this name."""
        if not name:
            raise ContractError("A step has no name: its name is its effect's key. Give it one.")
        if name in self._begun:
            raise ContractError(
                f"Two steps of the operation have the name '{name}', so both would have one key,"
                " and the second would find the first one's effect. Name each after what differs,"
                f" such as f'{name}, {{number}}'."
            )
        self._begun[name] = False
        self._saga_of[name] = saga

    def begin(self, name: str) -> None:
        """A step begins. Raises: ContractError: It has begun before."""
        if self._begun.get(name):
            raise ContractError(
                f"The step '{name}' is run a second time, under the same key: it would find its own"
                " effect. Describe another step, under another name."
            )
        self._begun[name] = True

    def forgotten(self, saga: object) -> ContractError | None:
        """What is wrong when a saga ends now: steps of it that were made and never ran."""
        names = sorted(
            name for name, begun in self._begun.items() if not begun and self._saga_of[name] is saga
        )
        if not names:
            return None
        said = ", ".join(f"'{name}'" for name in names)
        return ContractError(
            f"Described and never run: {said}. Await each, or hand it to saga.all or saga.optional."
        )


def require_keys(name: str, do: Call[Any], undo: Call[Any] | None) -> None:
    """Checks that the key of a step with an undo reaches both of its calls.

    Without it an undo cannot tell a late effect from none, and undoes nothing reliably.

    Raises:
        ContractError: Names the message that has no field for it.
    """
    if undo is None:
        return
    for call in (do, undo):
        descriptor = call.request.DESCRIPTOR
        if "key" not in descriptor.fields_by_name:
            raise ContractError(
                f"The step '{name}' has an undo, but {descriptor.full_name} has no field for the"
                " step's key, so a late effect would outlive its undo: add a field string key to it"
            )
