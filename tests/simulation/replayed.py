"""An operation whose worker was replaced after every update: what a validator wrote is lost.

Temporal runs validators live only, never on replay, so state that a validator
sets is gone as soon as another worker takes the workflow over. The simulation
forgets it at once, so that no workflow can come to rely on it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from nexpo.contract import Handler
from nexpo_runtime.workflow.local_engine import LocalOperation


class ReplayedOperation(LocalOperation):
    """Takes the author's state back to what it was before each validator."""

    def validate(self, handler: Handler, request: Message) -> None:
        """See LocalOperation."""
        assert self.instance is not None
        before = {name: _state(value) for name, value in vars(self.instance).items()}
        try:
            super().validate(handler, request)
        finally:
            for name, state in before.items():
                if state is not None:
                    _restore(vars(self.instance)[name], state)


def _state(value: object) -> dict[str, Any] | None:
    """Plain data of an object that the author made; None for the runtime's own."""
    if not type(value).__module__.startswith(("nexpo_gateway", "tests")):
        return None
    return {k: list(v) if isinstance(v, list) else v for k, v in vars(value).items()}


def _restore(value: object, state: dict[str, Any]) -> None:
    vars(value).clear()
    vars(value).update(state)
