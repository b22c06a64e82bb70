"""Which call each request_id of an operation stands for: a key means one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.operations.v1.bound_calls_pb2 import BoundCall, BoundCalls

from ..errors import Fault, FieldViolation
from ..fingerprint import SCOPE, differences, fingerprint

ResponseT = TypeVar("ResponseT", bound=Message)

# A run that lets another go on for it carries the table, beside its own state, in one
# payload of at most 2 MB. A running operation answers by them, so they are part of what
# a replay repeats: another figure goes behind flow.patched.
MOST_CALLS = 1_000
MOST_BYTES = 1 << 20


@dataclass(slots=True)
class _Kept:
    call: BoundCall
    size: int = 0


class CallTable:
    """The calls that an operation has taken, by request_id, with what each led to.

    A call is bound when its handler begins; what a validator refused is not. The
    latest MOST_CALLS calls are kept, or fewer when they hold more than MOST_BYTES;
    of those beyond it the oldest that have ended are forgotten. A call that still
    runs never is, nor is the latest.

    The table is all that an operation knows of its calls. To continue as new, wait
    until every handler has ended, put `state` into the next run's input and make
    the next run's table of it: a call that is made again across that border gets
    its answer.

    Args:
        state: Of the run that this one goes on for.
    """

    def __init__(self, state: BoundCalls | None = None) -> None:
        self._kept: dict[str, _Kept] = {}
        self._size = 0
        for call in state.calls if state is not None else ():
            self._kept[call.request_id] = _Kept(call)
            self._weigh(call)

    @property
    def state(self) -> BoundCalls:
        """Everything, for the run that goes on for this one."""
        return BoundCalls(calls=[kept.call for kept in self._kept.values()])

    def find(self, method: str, request: Message) -> BoundCall | None:
        """The call that was made before with the request's key; None for a new key.

        Raises:
            Fault: REQUEST_ID_REUSED: that was another call. Names what differs.
        """
        kept = self._kept.get(_key(request))
        if kept is None:
            return None
        require_method(kept.call.method, method)
        mine = fingerprint(request, SCOPE)
        require_content(differences(mine, dict(kept.call.content)))
        return kept.call

    def bind(self, method: str, request: Message) -> BoundCall:
        """Binds the request's key, which is new, to this call."""
        call = BoundCall(
            request_id=_key(request),
            method=method,
            content=fingerprint(request, SCOPE),
        )
        # Without a key there is nothing by which the call could be made again.
        if call.request_id:
            self._kept[call.request_id] = _Kept(call)
            self._weigh(call)
        return call

    def settle(self, call: BoundCall, outcome: Message | Fault) -> None:
        """Says what the call led to; that is what it is answered from now on."""
        if isinstance(outcome, Fault):
            call.fault.CopyFrom(outcome.to_status())
        else:
            call.answer.Pack(outcome)
        self._weigh(call)

    def _weigh(self, call: BoundCall) -> None:
        kept = self._kept.get(call.request_id)
        if kept is None:
            return
        self._size -= kept.size
        kept.size = call.ByteSize()
        self._size += kept.size
        if len(self._kept) > MOST_CALLS or self._size > MOST_BYTES:
            self._forget_oldest(call)

    def _forget_oldest(self, latest: BoundCall) -> None:
        for request_id, kept in list(self._kept.items()):
            if len(self._kept) <= MOST_CALLS and self._size <= MOST_BYTES:
                return
            if has_ended(kept.call) and kept.call is not latest:
                self._size -= kept.size
                del self._kept[request_id]


def has_ended(call: BoundCall) -> bool:
    """Whether it is known what the call led to."""
    return call.WhichOneof("outcome") is not None


def answer_of(call: BoundCall, response: type[ResponseT]) -> ResponseT:
    """What the call led to, again. Raises: Fault: as it failed."""
    if call.HasField("fault"):
        raise Fault.from_status(call.fault)
    answer = response()
    call.answer.Unpack(answer)
    return answer


def require_method(earlier: str, method: str) -> None:
    """Raises: Fault: REQUEST_ID_REUSED: the key stands for a call of another method."""
    if earlier != method:
        raise Fault(
            Reason.REASON_REQUEST_ID_REUSED,
            f"The request_id was used before for another method: {earlier}.",
            fields=[FieldViolation("method", f"is not {earlier}, which used the id first")],
        )


def require_content(differing: list[str]) -> None:
    """Raises: Fault: REQUEST_ID_REUSED: the key stands for other content. Names fields only."""
    if differing:
        raise Fault(
            Reason.REASON_REQUEST_ID_REUSED,
            f"The request_id was used before with other content: {', '.join(differing)}.",
            fields=[
                FieldViolation(field, "differs from the request that used the id first")
                for field in differing
            ],
        )


def _key(request: Message) -> str:
    key: str = getattr(request, "request_id", "")
    return key
