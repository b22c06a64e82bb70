"""What a workflow may do to the world: a handful of verbs over an exchangeable engine.

Workflows use these verbs, asyncio tasks and the contract's stubs, and nothing
else. So the same unchanged workflow runs on Temporal (durable), in process
(`ENABLE_TEMPORAL=false`, not durable) and in the deterministic simulation.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from google.protobuf.message import Message
from temporalio import workflow

from nexpo.contract import Call
from nexpo.operations.v1.operations_pb2 import Progress

from ..errors import ContractError

ResponseT = TypeVar("ResponseT", bound=Message)

TASK_AFTER = timedelta(minutes=5)
"""How long what must be done is retried before it is a human's task, too; the setting's default."""

_DERIVED_IDS = uuid.UUID("5f0c5ad6-3c0f-5c44-9a3c-6f3d6b1c9f10")


class Engine(Protocol):
    """What runs an operation."""

    @property
    def workflow_id(self) -> str:
        """Identifies the call that the operation stands for: see names.workflow_id."""

    @property
    def run_id(self) -> str:
        """The first run of the chain that the operation's name stands for."""

    @property
    def tenant(self) -> str:
        """Whose operation it is; verified before the workflow began."""

    @property
    def durable(self) -> bool:
        """Whether a crash of the process leaves the operation alive."""

    @property
    def task_after(self) -> timedelta:
        """How long what must be done is retried before it becomes a human's task, too."""

    def now(self) -> datetime:
        """The engine's clock, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Waits."""

    async def until(self, condition: Callable[[], bool], within: timedelta | None) -> bool:
        """Waits for the condition; False when `within` is over first."""

    async def call(self, call: Call[ResponseT], name: str) -> ResponseT:
        """Makes the call under a name that is unique among those under way.

        Raises:
            Fault: As the activity failed, once it is not retried any more.
            asyncio.CancelledError: The calling task was cancelled.
        """

    def changed(self) -> None:
        """Something that a condition may read has changed."""

    def cancel_requested(self) -> bool:
        """Whether someone asked to cancel the operation.

        Tells a cancel from the engine dropping the workflow's tasks, as Temporal
        does when it evicts a workflow from a worker's cache.
        """

    def report(self, progress: Progress, state_changed: bool) -> None:
        """Shows the progress to whoever gets or watches the operation."""

    def patched(self, change: str) -> bool:
        """Whether this run began after the change was made to its workflow."""


_local: ContextVar[Engine | None] = ContextVar("nexpo_engine", default=None)
_temporal: Engine | None = None


def use_local(engine: Engine) -> None:
    """Makes `engine` the one of this task and of the tasks that it creates."""
    _local.set(engine)


def use_temporal(engine: Engine) -> None:
    """Sets the engine of workflows that Temporal runs; done once per process."""
    global _temporal
    _temporal = engine


def engine() -> Engine:
    """The engine that runs the calling workflow."""
    local = _local.get()
    if local is not None:
        return local
    if _temporal is not None and workflow.in_workflow():
        return _temporal
    raise RuntimeError("the verbs of flow work inside an operation only")


def now() -> datetime:
    """The time of the operation's clock, UTC, whole milliseconds."""
    moment = engine().now()
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def sleep(duration: timedelta) -> None:
    """Waits durably."""
    await engine().sleep(duration)


async def until(condition: Callable[[], bool], within: timedelta | None = None) -> bool:
    """Waits until a handler or a task makes the condition true; False after `within`."""
    return await engine().until(condition, within)


def changed() -> None:
    """Says that something that a condition may read has changed."""
    engine().changed()


async def call(call: Call[ResponseT], name: str | None = None) -> ResponseT:
    """Makes a call outside any step.

    Raises:
        Fault: As the activity failed.
        ContractError: Its effect would have no key of its own.
    """
    fields = call.request.DESCRIPTOR.fields_by_name
    if "key" in fields and not call.request.key:  # type: ignore[attr-defined]  # checked
        raise ContractError(
            f"{call.activity.name} is called outside a saga, so its effect has no key and would be"
            " taken for that of another operation: make a step of it, or set the request's key"
        )
    return await engine().call(call, name or call.activity.name)


def tenant() -> str:
    """Whose operation this is."""
    return engine().tenant


def workflow_id() -> str:
    """Identifies the call that the operation stands for; the prefix of its steps' keys."""
    return engine().workflow_id


def derived_id(*parts: str) -> str:
    """A UUIDv5 of the operation and the parts: the same on every retry and run."""
    return str(uuid.uuid5(_DERIVED_IDS, "\n".join((workflow_id(), *parts))))


def patched(change: str) -> bool:
    """Whether this run began after the change was made to its workflow."""
    return engine().patched(change)
