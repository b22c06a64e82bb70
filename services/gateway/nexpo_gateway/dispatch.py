"""The dispatcher: what every call goes through, whatever its surface.

authenticate -> authorise -> read -> validate -> rate limit -> act by the rule.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Protocol

from google.protobuf.message import Message

from nexpo import registry
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.operations_pb2 import Progress
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import OperationName

from .auth import Authenticator, identify
from .calls import CallContext, Caller
from .contract import Contract, Rpc
from .identity import require_same, settle_request_id, workflow_id
from .limits import RateLimit
from .operations.backend import OperationsBackend, Order, Snapshot
from .operations.endings import telling_the_end
from .operations.service import NativeCall, OperationMethods, named
from .protection import Protection
from .validation import check, invalid, normalise_emails

Read = Callable[[], Message]
"""Makes the request's message. Raises: Fault: it cannot be read."""

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
        credentials: RateLimit,
        addresses: RateLimit,
        protection: Protection,
        backend: OperationsBackend,
        operations: OperationMethods,
        reads: Reads,
        natives: Mapping[str, object],
    ) -> None:
        """Wires the parts together.

        Args:
            contract: What there is to call.
            authenticators: Who may say who asks, in order.
            credentials: Limits the calls of one credential.
            addresses: Limits public calls from one address.
            protection: Protects sensitive fields.
            backend: Runs operations.
            operations: Waits for operations.
            reads: Reaches the workers.
            natives: What serves a service's native methods, by its full name.
        """
        self.contract = contract
        self._authenticators = authenticators
        self._credentials = credentials
        self._addresses = addresses
        self._protection = protection
        self._backend = backend
        self._operations = operations
        self._reads = reads
        self._natives = natives

    def close(self) -> None:
        """Ends the calls that could go on for long, at the beginning of a shutdown."""
        self._operations.close()

    async def call(self, rpc: Rpc, context: CallContext, read: Read) -> Message:
        """Makes a call that has one answer. Raises: Fault."""
        caller, request = self._admit(rpc, context, read)
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
        caller, request = self._admit(rpc, context, read)
        async for answer in self._native(rpc)(request, NativeCall(_known(caller), context)):
            yield answer

    def _admit(self, rpc: Rpc, context: CallContext, read: Read) -> tuple[Caller | None, Message]:
        caller: Caller | None = None
        if not rpc.public:
            caller = identify(self._authenticators, context.headers)
            if not caller.may(rpc.permission):
                raise Fault(
                    Reason.REASON_PERMISSION_DENIED,
                    f"The call needs the permission '{rpc.permission}'.",
                    metadata={"permission": rpc.permission},
                )
        if context.remaining < _SHORTEST:
            raise Fault(
                Reason.REASON_DEADLINE_TOO_SHORT, "The deadline leaves no time for the call."
            )
        request = read()
        settle_request_id(rpc, request, context)
        normalise_emails(request)
        check(request)
        if caller is None:
            self._addresses.take(context.peer)
        else:
            self._credentials.take(f"{caller.tenant}/{caller.name}")
        return caller, request

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
        if started.earlier is not None:
            require_same(rpc, request, started.earlier)
        wait = context.wait
        if wait is not None:
            context.trailers["preference-applied"] = f"wait={wait:.0f}"
            waited = await self._operations.wait(started.name, context.limit(wait))
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
        if rpc.kind == "update":
            update = self._backend.update(rpc, name, request, request_id, timeout)
            return await telling_the_end(self._backend, name, update)
        if rpc.kind == "query":
            return await self._backend.query(rpc, name, request, timeout)
        await self._backend.signal(rpc, name, request, timeout)
        return rpc.response()

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
