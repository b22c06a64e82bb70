"""One call of one method of a service, whoever made it: observed and with faults only.

Temporal's activities (activity_interceptor.py) and plain gRPC (serving.py) both
go through here, so logs, metrics, context and errors are the same on both.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import ClassVar, Protocol

from google.protobuf.message import Message

from nexpo.contract import Method, ServiceContract

from . import activity, logs
from .activity import ActivityContext
from .errors import Fault
from .failures import fault_from
from .metrics import ACTIVITY_SECONDS

_log = logs.get(__name__)

Implementation = Callable[[Message], Awaitable[Message]]


class Service(Protocol):
    """An instance of a subclass of a generated base: it has what its CONTRACT says."""

    CONTRACT: ClassVar[ServiceContract]


def implementation(service: Service, method: Method) -> Implementation:
    """The coroutine function of the service that implements the method.

    Raises:
        TypeError: It has none, or one that is not `async def`.
    """
    function: object = getattr(service, method.method, None)
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{type(service).__name__} has no 'async def {method.method}'")
    implemented: Implementation = function
    return implemented


def check(services: Iterable[Service], queue: str) -> None:
    """Compares services with their contracts, so that a mistake is found at start.

    Raises:
        TypeError: Lists every method that is missing and every service that
            belongs to another queue.
    """
    problems: list[str] = []
    for service in services:
        contract = service.CONTRACT
        if contract.queue != queue:
            problems.append(f"{contract.name} belongs to {contract.queue}, not to {queue}")
        for method in contract.methods:
            try:
                implementation(service, method)
            except TypeError as error:
                problems.append(str(error))
    if problems:
        raise TypeError("; ".join(problems))


async def invoke(
    call: Implementation, name: str, request: Message, context: ActivityContext
) -> Message:
    """Makes the call in its context.

    A response with a field `attempt` gets the attempt's number.

    Raises:
        Fault: Also for exceptions that are no faults; their text stays here.
        asyncio.CancelledError: The caller gave up.
    """
    began = time.perf_counter()
    with activity.within(context), logs.bound(**_fields(name, context)):
        try:
            answer = _counted(await call(request), context.attempt)
        except asyncio.CancelledError:
            _observe(name, "cancelled", "", began)
            raise
        except Exception as error:
            fault = fault_from(error)
            fault.attempt = context.attempt
            _observe(name, "fault", fault.name, began)
            _report(error, fault)
            raise fault from None
        _observe(name, "ok", "", began)
        _log.debug("call done", seconds=round(time.perf_counter() - began, 4))
    return answer


def _counted(answer: Message, attempt: int) -> Message:
    """The answer with the attempt's number, where it has a field for it."""
    if "attempt" in answer.DESCRIPTOR.fields_by_name:
        setattr(answer, "attempt", attempt)  # noqa: B010  # Message has no such attribute
    return answer


def _fields(name: str, context: ActivityContext) -> dict[str, str | int]:
    fields: dict[str, str | int] = {
        "method": name,
        "tenant": context.tenant,
        "attempt": context.attempt,
    }
    if context.operation:
        fields["workflow_id"] = context.operation
    return fields


def _observe(name: str, outcome: str, reason: str, began: float) -> None:
    ACTIVITY_SECONDS.labels(name, outcome, reason).observe(time.perf_counter() - began)


def _report(error: Exception, fault: Fault) -> None:
    if error is not fault and fault.name == "INTERNAL":
        _log.error("call failed by a bug", exc_info=error)
    else:
        log = _log.warning if fault.entry.retryable else _log.info
        log("call failed", reason=fault.name, exc_info=error.__cause__)
