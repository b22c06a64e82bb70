"""Read RPCs, straight to the worker that owns the data."""

from __future__ import annotations

from google.protobuf.message import DecodeError, Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker_clients import WorkerClients

from .contract import Rpc


class WorkerReads:
    """Forwards a read by its rule; no queue and no workflow in between."""

    def __init__(self, workers: WorkerClients) -> None:
        self._workers = workers

    async def read(self, rpc: Rpc, request: Message, tenant: str, timeout: float) -> Message:
        """The worker's answer. Raises: Fault."""
        answer = await self._workers.call(
            rpc.rule.read.worker,
            rpc.path,
            request.SerializeToString(),
            tenant=tenant,
            timeout=timeout,
        )
        try:
            return rpc.response.FromString(answer)
        except DecodeError as error:
            raise Fault(Reason.REASON_INTERNAL) from error
