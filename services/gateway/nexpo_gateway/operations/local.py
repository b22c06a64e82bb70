"""Operations in this process, for ENABLE_TEMPORAL=false: not durable.

A restart loses what runs and what has ended. Everything else is the same: the
workflows, their contract, their errors, their undo; attempts go over the
workers' gRPC.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName
from nexpo_runtime.telemetry import logs
from nexpo_runtime.workflow import flow
from nexpo_runtime.workflow.local_engine import Attempter, LocalOperation
from nexpo_runtime.workflow.operation import Operation

from ..contract import Rpc
from .backend import Criteria, OperationsBackend, Order, Page, Snapshot, Started, ended
from .endings import ended_progress

_ENDED_KEPT = 10_000
_COMPARE = {">": gt, ">=": ge, "<": lt, "<=": le}

_log = logs.get(__name__)


@dataclass
class _Record:
    """One operation, as long as this process remembers it."""

    name: OperationName
    request: Message
    snapshot: Snapshot
    operation: LocalOperation
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot and wakes who watches."""
        self.snapshot = snapshot
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()


class LocalBackend(OperationsBackend):
    """Runs operations in this process.

    Args:
        workflows: Classes made by `@operation`.
        attempt: Makes the attempts of their calls.
        task_after: How long an undo is retried before it becomes a human's task.
    """

    def __init__(
        self,
        workflows: Sequence[type[Operation[Any, Any]]],
        attempt: Attempter,
        task_after: timedelta = flow.TASK_AFTER,
    ) -> None:
        self._workflows: Mapping[str, type[Operation[Any, Any]]] = {
            workflow.contract.name: workflow for workflow in workflows
        }
        self._attempt = attempt
        self._task_after = task_after
        self._records: dict[str, _Record] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, order: Order, timeout: float) -> Started:
        known = self._records.get(order.workflow_id)
        if known is not None:
            return Started(known.name, existed=True, earlier=known.request)
        workflow = self._workflows.get(order.rpc.name)
        if workflow is None or workflow.contract.needs_temporal:
            raise Fault(Reason.REASON_NEEDS_TEMPORAL, "This operation runs on Temporal only.")
        record = self._record(workflow, order)
        self._records[order.workflow_id] = record
        running = asyncio.create_task(self._run(record))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return Started(record.name)

    async def update(
        self, rpc: Rpc, name: OperationName, request: Message, call_id: str, timeout: float
    ) -> Message:
        return await self._sent(rpc, name, request, timeout)

    async def query(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        return await self._sent(rpc, name, request, timeout)

    async def _sent(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        sent = asyncio.create_task(self._find(name).operation.send(rpc.name, request))
        return await _within(timeout, sent)

    async def describe(self, name: OperationName, timeout: float) -> Snapshot:
        return self._find(name).snapshot

    async def outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        record = self._find(name)
        try:
            async with asyncio.timeout(timeout):
                await record.ended.wait()
        except TimeoutError:
            return None
        return record.snapshot

    async def cancel(self, name: OperationName, timeout: float) -> None:
        self._find(name).operation.cancel()

    async def delete(self, name: OperationName, timeout: float) -> None:
        del self._records[self._find(name).name.workflow_id]

    async def list(self, criteria: Criteria, size: int, token: bytes, timeout: float) -> Page:
        found = sorted(
            (r.snapshot for r in self._records.values() if _matches(r.snapshot, criteria)),
            key=_newest,
            reverse=True,
        )
        if token:
            found = [snapshot for snapshot in found if _newest(snapshot) < token.decode()]
        following = _newest(found[size - 1]).encode() if len(found) > size else b""
        return Page(found[:size], following)

    async def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        record = self._find(name)
        shown: Snapshot | None = None
        while True:
            changed, snapshot = record.changed, record.snapshot
            if snapshot is not shown:
                shown = snapshot
                yield snapshot
            if snapshot.done:
                return
            await changed.wait()

    async def close(self) -> None:
        """Drops what still runs; it is lost, which the log says."""
        if self._running:
            _log.warning("operations are lost: they ran without Temporal", lost=len(self._running))
        for record in self._records.values():
            # A cancel that an operation would take for its caller's, it would undo for first.
            record.operation.drop()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _record(self, workflow: type[Operation[Any, Any]], order: Order) -> _Record:
        name = OperationName(order.workflow_id, order.rpc.name, str(uuid.uuid4()))
        operation = LocalOperation(
            workflow,
            order.request,
            name.workflow_id,
            name.run_id,
            self._attempt,
            lambda progress: self._show(Snapshot(name, progress)),
        )
        operation.task_after = self._task_after
        first = Progress()
        first.CopyFrom(order.progress)
        first.durable = False
        return _Record(name, order.request, Snapshot(name, first), operation)

    def _show(self, snapshot: Snapshot) -> None:
        record = self._records.get(snapshot.name.workflow_id)
        if record is not None and record.name == snapshot.name:
            record.show(snapshot)

    async def _run(self, record: _Record) -> None:
        result: Message | None = None
        fault: Fault | None = None
        try:
            result = await record.operation.start()
        except Fault as error:
            fault = error
        progress = ended_progress(record.snapshot.progress, fault)
        record.show(ended(record.name, progress, result, fault))
        record.ended.set()
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        ended = [key for key, record in self._records.items() if record.snapshot.done]
        for key in ended[: max(0, len(ended) - _ENDED_KEPT)]:
            del self._records[key]

    def _find(self, name: OperationName) -> _Record:
        record = self._records.get(name.workflow_id)
        if record is None or record.name != name:
            raise Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
        return record


def _matches(snapshot: Snapshot, criteria: Criteria) -> bool:
    progress = snapshot.progress
    created = progress.create_time.ToDatetime(tzinfo=UTC)
    return (
        snapshot.name.tenant == criteria.tenant
        and (not criteria.types or snapshot.name.type in criteria.types)
        and (not criteria.states or progress.state in criteria.states)
        and all(_compared(created, how, moment) for how, moment in criteria.created)
    )


def _compared(created: datetime, how: str, moment: datetime) -> bool:
    return bool(_COMPARE[how](created, moment))


def _newest(snapshot: Snapshot) -> str:
    """Sorts running before ended, then by the time of creation, the name breaking ties."""
    created = snapshot.progress.create_time.ToMicroseconds()
    return f"{int(not snapshot.done)} {created:020} {snapshot.name}"


async def _within(timeout: float, task: asyncio.Task[Message]) -> Message:
    try:
        async with asyncio.timeout(timeout):
            # Not cancelled with its caller: as on Temporal, it may still be applied.
            return await asyncio.shield(task)
    except TimeoutError:
        raise Fault(
            Reason.REASON_DEADLINE_EXCEEDED,
            "The answer did not come in time; the call may still be applied.",
        ) from None
