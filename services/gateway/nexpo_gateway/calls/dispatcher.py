"""The dispatcher: what every call goes through, whatever its surface.

limit -> authenticate -> limit -> authorise -> read -> validate -> act by the rule.

What comes before reading costs the same for every call, however large it is; so
nobody gets more of the gateway than the limits say, whatever they send.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from google.protobuf.message import Message

from nexpo import registry
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import OperationName
from nexpo_runtime.worker.invocation import Service

from ..content.limits import check_content
from ..content.spelling import normalise
from ..content.validation import check, invalid
from ..context import CallContext, Caller
from ..contract import Contract, Rpc
from ..identity.api_keys import Authenticator, identify
from ..operations.backend import OperationsBackend, Order, Snapshot
from ..operations.endings import telling_the_end
from ..operations.native import NativeCall, named
from ..operations.waiting import Waiting
from .idempotency import call_content, require_same, settle_request_id, workflow_id
from .protection import Protection
from .rate_limits import Limits, network

Read = Callable[[], Awaitable[Message]]
"""Receives the request and makes its message. Raises: Fault: it cannot be read."""

# Less time than this is over before the answer could be back.
_SHORTEST = 0.02
_DEFAULT_TIMEOUT = 10.0
# What an update's or a wait's own time-out leaves for telling the caller about it.
_MARGIN = 0.05


class Reads(Protocol):
    """Carries read RPCs to the workers that own the data."""

    async def read(self, rpc: Rpc, request: Message, tenant: str, timeout: float) -> Message:
        """The worker's answer. Raises: Fault: the worker's own, or WORKER_UNAVAILABLE."""


class Dispatcher:
    """Serves every RPC of the contract, by its options alone."""

    def __init__(
        self,
        contract: Contract,
        *,
        authenticators: Sequence[Authenticator],
        limits: Limits,
        protection: Protection,
        backend: OperationsBackend,
        waiting: Waiting,
        reads: Reads,
        natives: Iterable[Service],
    ) -> None:
        """Wires the parts together.

        Args:
            contract: What there is to call.
            authenticators: Who may say who asks, in order.
            limits: How often who may call.
            protection: Protects sensitive fields.
            backend: Runs operations.
            waiting: Waits for operations.
            reads: Reaches the workers.
            natives: What implements native methods.
        """
        self.contract = contract
        self._authenticators = authenticators
        self._limits = limits
        self._protection = protection
        self._backend = backend
        self._waiting = waiting
        self._reads = reads
        self._natives = {native.CONTRACT.name: native for native in natives}

    def close(self) -> None:
        """Ends the calls that could go on for long, at the beginning of a shutdown."""
        self._waiting.close()

    def arrived(self, context: CallContext) -> None:
        """Counts a call, before anything else is done for it: also one of no method.

        Raises:
            Fault: RATE_LIMITED: its address calls too often.
        """
        self._limits.arrivals.take(network(context.peer))

    async def call(self, rpc: Rpc, context: CallContext, read: Read) -> Message:
        """Makes a call that has one answer. Raises: Fault."""
        caller, request = await self._admit(rpc, context, read)
        match rpc.kind:
            case "start":
                return await self._start(rpc, request, _known(caller), context)
            case "update" | "signal" | "query":
                return await self._reach(rpc, request, caller, context)
            case "read":
                timeout = _timeout(rpc, context)
                return await self._reads.read(rpc, request, _known(caller).tenant, timeout)
            case _:
                answer: Message = await self._native(rpc)(
                    request, NativeCall(_known(caller), context)
                )
                return answer

    async def stream(
        self, rpc: Rpc, context: CallContext, read: Read
    ) -> AsyncGenerator[Message, None]:
        """Makes a call that is answered by a stream. Raises: Fault."""
        caller, request = await self._admit(rpc, context, read)
        async for answer in self._native(rpc)(request, NativeCall(_known(caller), context)):
            yield answer

    async def _admit(
        self, rpc: Rpc, context: CallContext, read: Read
    ) -> tuple[Caller | None, Message]:
        caller = await self._counted(rpc, context)
        if caller is not None and not caller.may(rpc.permission):
            raise Fault(
                Reason.REASON_PERMISSION_DENIED,
                f"The call needs the permission '{rpc.permission}'.",
                metadata={"permission": rpc.permission},
            )
        if context.remaining < _SHORTEST:
            raise Fault(
                Reason.REASON_DEADLINE_TOO_SHORT, "The deadline leaves no time for the call."
            )
        request = await read()
        settle_request_id(rpc, request, context)
        # First, because whatever comes behind relies on it.
        check_content(request, rpc.max_request_bytes)
        normalise(request)
        check(request)
        return caller, request

    async def _counted(self, rpc: Rpc, context: CallContext) -> Caller | None:
        """Who asks, None for a public call, having counted it against who does."""
        address = network(context.peer)
        if rpc.public:
            self._limits.public.take(address)
            return None
        try:
            caller = await identify(self._authenticators, context.headers)
        except Fault:
            self._limits.refusals.take(address)
            raise
        self._limits.credentials.take(f"{caller.tenant}/{caller.name}")
        return caller

    async def _start(
        self, rpc: Rpc, request: Message, caller: Caller, context: CallContext
    ) -> Message:
        request_id: str = getattr(request, "request_id", "")
        workflow = workflow_id(rpc, request, caller.tenant)
        # What the workflow cannot know it must not be told: it would be lost on the way.
        request.DiscardUnknownFields()
        await self._protection.apply(request, tenant=caller.tenant, request_id=request_id)
        progress = Progress(
            state=Progress.RUNNING, type=rpc.name, durable=True, request_id=request_id
        )
        progress.create_time.FromNanoseconds(time.time_ns() // 1_000_000 * 1_000_000)
        progress.update_time.CopyFrom(progress.create_time)
        order = Order(rpc, workflow, request, progress, _search_attributes(request))
        started = await self._backend.start(order, _timeout(rpc, context))
        if started.existed:
            require_same(rpc, request, started.earlier, started.name.type)
        wait = context.wait
        if wait is not None:
            context.tell("preference-applied", f"wait={int(wait)}")
            waited = await self._waiting.wait(started.name, wait)
            return waited.operation
        if started.existed:
            timeout = _timeout(rpc, context)
            return (await self._backend.describe(started.name, timeout)).operation
        return Snapshot(started.name, progress).operation

    async def _reach(
        self, rpc: Rpc, request: Message, caller: Caller | None, context: CallContext
    ) -> Message:
        # Who reaches an operation without a credential knows its unguessable name.
        tenant = None if caller is None else caller.tenant
        name = named(getattr(request, "operation", ""), tenant, "operation")
        self._require_target(rpc, name)
        request_id: str = getattr(request, "request_id", "")
        request.DiscardUnknownFields()
        await self._protection.apply(request, tenant=name.tenant, request_id=request_id)
        timeout = _timeout(rpc, context)
        if rpc.kind == "query":
            return await self._backend.query(rpc, name, request, timeout)
        # Keyed, because call ids are clear text on Temporal and what they digest may not be.
        digest = self._protection.keyed_digest(call_content(rpc, request))
        update = self._backend.update(rpc, name, request, f"{request_id}/{digest}", timeout)
        return await telling_the_end(self._backend, name, update)

    def _require_target(self, rpc: Rpc, name: OperationName) -> None:
        if name.type not in self.contract.by_type:
            raise Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
        if not rpc.targets(name.type):
            problem = f"is an operation of {name.type}, which has no {rpc.method}"
            raise invalid([FieldViolation("operation", problem)])

    def _native(self, rpc: Rpc) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._natives[rpc.service], rpc.snake_name)
        return method


def _known(caller: Caller | None) -> Caller:
    if caller is None:
        raise Fault(Reason.REASON_UNAUTHENTICATED, "The call carries no credential.")
    return caller


def _timeout(rpc: Rpc, context: CallContext) -> float:
    """Seconds that the rest of the call may take: the caller's and the contract's limit."""
    timeout = context.limit(rpc.call_timeout or _DEFAULT_TIMEOUT) - _MARGIN
    if timeout < _SHORTEST:
        raise Fault(Reason.REASON_DEADLINE_TOO_SHORT, "The deadline leaves no time for the call.")
    return timeout


_search_attribute = functools.cache(registry.search_attribute)


def _search_attributes(request: Message) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, value in request.ListFields():
        attribute = _search_attribute(field)
        if attribute and not field.is_repeated and field.message_type is None:
            found[attribute] = (
                field.enum_type.values_by_number[value].name if field.enum_type else str(value)
            )
    return found
