"""The edge in this process: the dispatcher as the gateway wires it, and nothing behind it.

What stands behind is a fake: it starts nothing, but carries every message as Temporal and
gRPC would, and says when it comes out as another.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_gateway.calls.dispatcher import Dispatcher
from nexpo_gateway.calls.protection import Protection
from nexpo_gateway.calls.rate_limits import Limits, RateLimit
from nexpo_gateway.context import CallContext, Caller
from nexpo_gateway.contract import Contract, Rpc
from nexpo_gateway.operations.backend import Criteria, Order, Page, Snapshot, Started
from nexpo_gateway.operations.listing import visibility_query
from nexpo_gateway.operations.pages import PageTokens
from nexpo_gateway.operations.service import OperationMethods
from nexpo_gateway.operations.tasks import OperationTaskMethods
from nexpo_gateway.operations.waiting import Waiting
from nexpo_runtime.errors import Fault
from nexpo_runtime.names import OperationName
from nexpo_runtime.temporal.converter import PayloadConverter

CONTRACT = Contract.load()
# A step of OnboardUser carries its input five times, and Temporal takes 4 MB.
_LARGEST_PAYLOAD = 4_000_000 // 5 // 2
_LARGEST_REQUEST = max(rpc.max_request_bytes for rpc in CONTRACT.rpcs)


@dataclass
class Behind:
    """What stands behind the edge; `accepted` is what it got last."""

    accepted: Message | None = field(default=None)

    async def start(self, order: Order, timeout: float) -> Started:
        self._carry(order.request)
        assert all(isinstance(value, str) for value in order.search_attributes.values())
        return Started(OperationName(order.workflow_id, order.rpc.name, "run"))

    async def update(
        self, rpc: Rpc, name: OperationName, request: Message, request_id: str, timeout: float
    ) -> Message:
        self._carry(request)
        return rpc.response()

    async def query(
        self, rpc: Rpc, name: OperationName, request: Message, timeout: float
    ) -> Message:
        self._carry(request)
        return rpc.response()

    async def describe(self, name: OperationName, timeout: float) -> Snapshot:
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND)

    async def outcome(self, name: OperationName, timeout: float) -> Snapshot | None:
        return None

    async def cancel(self, name: OperationName, timeout: float) -> None:
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND)

    async def delete(self, name: OperationName, timeout: float) -> None:
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND)

    async def list(self, criteria: Criteria, size: int, token: bytes, timeout: float) -> Page:
        visibility_query(criteria).encode()
        return Page()

    async def watch(self, name: OperationName) -> AsyncIterator[Snapshot]:
        raise Fault(Reason.REASON_OPERATION_NOT_FOUND)
        yield

    async def read(self, rpc: Rpc, request: Message, tenant: str, timeout: float) -> Message:
        self._carry(request)
        return rpc.response()

    def _carry(self, request: Message) -> None:
        converter = PayloadConverter()
        [payload] = converter.to_payloads([request])
        assert len(payload.data) <= min(_LARGEST_PAYLOAD, _LARGEST_REQUEST)
        wire = Payload.FromString(payload.SerializeToString())
        [back] = converter.from_payloads([wire], [type(request)])
        assert back == request, "it came out as another"
        assert type(request).FromString(request.SerializeToString()) == request
        _keepable(json.loads(payload.data))
        self.accepted = request


def _keepable(plain: Any, depth: int = 1) -> None:
    """Fails for what some store or reader could not take, by its own word."""
    assert depth < 30, "JSON readers stop at 64 levels, protobuf's at 100 messages: 3 a level"
    if isinstance(plain, str):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", plain), "a control character"
    elif isinstance(plain, dict):
        for name, item in plain.items():
            assert not name.startswith("$"), "MongoDB gives it a meaning"
            assert name.isprintable() or not re.search(r"[\x00-\x1f]", name), "a control character"
            _keepable(item, depth + 1)
    elif isinstance(plain, list):
        for item in plain:
            _keepable(item, depth + 1)
    elif isinstance(plain, int | float) and not isinstance(plain, bool):
        assert abs(plain) < 2**53, "doubles do not have every whole number from there on"


class _Everybody:
    async def authenticate(self, headers: Mapping[str, str]) -> Caller | None:
        return Caller("acme", "key", frozenset({"*"}))


class _Unprotected:
    """Hashing takes 20 ms and is tested where it belongs."""

    async def apply(self, request: Message, *, tenant: str, request_id: str) -> None:
        pass

    def keyed_digest(self, content: bytes) -> str:
        return "digest"


@dataclass
class Edge:
    """Calls the dispatcher."""

    behind: Behind
    dispatcher: Dispatcher

    @classmethod
    def make(cls) -> Edge:
        behind = Behind()
        waiting, pages = Waiting(behind), PageTokens((b"k" * 32,))
        dispatcher = Dispatcher(
            CONTRACT,
            authenticators=[_Everybody()],
            limits=Limits(*(RateLimit(1e9, 10**9) for _ in range(4))),
            protection=cast(Protection, _Unprotected()),
            backend=behind,
            waiting=waiting,
            reads=behind,
            natives=[
                OperationMethods(behind, waiting, pages, CONTRACT),
                OperationTaskMethods(behind, pages),
            ],
        )
        return cls(behind, dispatcher)

    async def call(self, rpc: Rpc, read: Callable[[], Message]) -> Message | Fault:
        """What the edge answers: the message that it let through, or the fault."""
        self.behind.accepted = None
        context = CallContext({}, "127.0.0.1")
        answer: Any = None

        async def received() -> Message:
            return read()

        try:
            if rpc.streams:
                answers = self.dispatcher.stream(rpc, context, received)
                answer = [answer async for answer in answers][-1]
            else:
                answer = await self.dispatcher.call(rpc, context, received)
        except Fault as fault:
            return fault
        return self.behind.accepted or cast(Message, answer)
