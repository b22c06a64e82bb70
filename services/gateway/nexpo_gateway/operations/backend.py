"""What the gateway asks of whatever runs operations: Temporal, or this process.

No type of Temporal's passes this line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from google.longrunning.operations_pb2 import Operation
from google.protobuf.message import Message

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName

from ..contract import Rpc
from .unreadable import carriable, outcome_unreadable


@dataclass(frozen=True, slots=True)
class Order:
    """An operation to start.

    Attributes:
        rpc: What begins it.
        workflow_id: Stands for the call: a second order with it starts nothing.
        request: Its input, protected and normalised.
        progress: What it shows before its workflow has said anything.
        search_attributes: Clear text by which it can be found.
    """

    rpc: Rpc
    workflow_id: str
    request: Message
    progress: Progress
    search_attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Started:
    """What an order led to.

    Attributes:
        name: The operation's name.
        existed: Whether an earlier order had started it.
        earlier: The request of that order, where it can still be read.
    """

    name: OperationName
    existed: bool = False
    earlier: Message | None = None


@dataclass(frozen=True)
class Snapshot:
    """An operation at one moment. Once it is done it has a result or a fault."""

    name: OperationName
    progress: Progress
    done: bool = False
    result: Message | None = None
    fault: Fault | None = None

    @cached_property
    def operation(self) -> Operation:
        """The same as google.longrunning.Operation, with Progress as its metadata."""
        operation = Operation(name=str(self.name), done=self.done)
        operation.metadata.Pack(self.progress)
        if self.fault is not None:
            operation.error.CopyFrom(self.fault.to_status())
        elif self.result is not None:
            operation.response.Pack(self.result)
        return operation


def ended(
    name: OperationName, progress: Progress, result: Message | None, fault: Fault | None
) -> Snapshot:
    """The snapshot of one that has ended; a result that no client could read is a fault."""
    if result is not None and not carriable(result):
        result, fault = None, outcome_unreadable()
    return Snapshot(name, progress, done=True, result=result, fault=fault)


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which operations to list. The tenant is never left out.

    Attributes:
        tenant: Whose.
        types: Only of these types; of all when empty.
        states: Only in these states; in all when empty.
        created: Only those created so: (">", ">=", "<" or "<=", moment).
    """

    tenant: str
    types: Sequence[str] = ()
    states: Sequence[Progress.State.ValueType] = ()
    created: Sequence[tuple[str, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of operations, newest first, and where the next one begins; b"" on the last."""

    snapshots: Sequence[Snapshot] = field(default_factory=tuple)
    next: bytes = b""


class OperationsBackend(Protocol):
    """Runs operations. Every method ends within `timeout` seconds.

    Every method raises Fault: OPERATION_NOT_FOUND for a name that stands for
    nothing, TEMPORAL_UNAVAILABLE at once when Temporal is away,
    DEADLINE_EXCEEDED when `timeout` is over.
    """

    async def start(self, order: Order, timeout: float) -> Started:
        """Starts an operation, or finds the one that its workflow id stands for."""

    async def update(
        self, rpc: Rpc, name: OperationName, request: Message, call_id: str, timeout: float
    ) -> Message:
        """Sends an update and waits for its answer; of a signal that is its acceptance.

        Args:
            rpc: What is called.
            name: Whom it reaches.
            request: Its request.
            call_id: Made of request_id, method and content: stands for this call, also
                when it is made again.
            timeout: Seconds.

        Raises:
            Fault: The workflow's own; REQUEST_ID_REUSED; OPERATION_DONE;
                WORKER_UNAVAILABLE.
        """

    async def query(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        """Asks the workflow. Raises: Fault: WORKER_UNAVAILABLE."""

    async def describe(self, name: OperationName, timeout: float) -> Snapshot:
        """The operation as it is now."""

    async def outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        """Waits for the operation's end; None when `timeout` is over first."""

    async def cancel(self, name: OperationName, timeout: float) -> None:
        """Asks the operation to stop and undo; does not wait for it."""

    async def delete(self, name: OperationName, timeout: float) -> None:
        """Forgets an operation that has ended."""

    async def list(self, criteria: Criteria, size: int, token: bytes, timeout: float) -> Page:
        """A page of operations."""

    def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        """The operation as it is, then at every change, last when it has ended.

        Survives a while without Temporal. Raises: Fault: TEMPORAL_UNAVAILABLE.
        """
