"""Waits for operations and follows them, until the gateway shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName

from .backend import OperationsBackend, Snapshot
from .native import CALL_SECONDS
from .watch import WatchHub


class Waiting:
    """The calls that could go on for long."""

    def __init__(self, backend: OperationsBackend) -> None:
        self._backend = backend
        self._hub = WatchHub(backend)
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ends watches and waits with SHUTTING_DOWN, so that a shutdown need not wait for them."""
        self._closing.set()
        self._hub.close()

    def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        """The operation now, then at every change."""
        return self._hub.watch(name)

    async def wait(self, name: OperationName, timeout: float) -> Snapshot:
        """Waits for the operation's end. Raises: Fault: as the operation failed."""
        snapshot = await self._outcome(name, timeout) if timeout > 0 else None
        if snapshot is None:
            snapshot = await self._backend.describe(name, CALL_SECONDS)
        if snapshot.fault is not None:
            raise snapshot.fault
        return snapshot

    async def _outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        outcome = asyncio.ensure_future(self._backend.outcome(name, timeout))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({outcome, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not outcome.done():
                raise Fault(Reason.REASON_SHUTTING_DOWN, "The gateway is shutting down.")
            return outcome.result()
        finally:
            outcome.cancel()
            closing.cancel()
