"""Read RPCs, straight to the worker that owns the data."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError, Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.errors import ContractError, Fault

from ..contract import Contract, Rpc


def check_reachable(workers: Iterable[str]) -> None:
    """Checks that the gateway has a setting for every worker of a read.

    Args:
        workers: Names of those that it has.

    Raises:
        ContractError: Lists the reads of the others.
    """
    known = set(workers)
    lost = [
        f"{rpc.path}: its worker {rpc.rule.read.worker} has no address: add one to GatewaySettings"
        " and to its property workers"
        for rpc in Contract.load().rpcs
        if rpc.kind == "read" and rpc.rule.read.worker not in known
    ]
    if lost:
        raise ContractError("\n".join(lost))


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
