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

from ..errors import ContractError, Fault
from ..failures import fault_from
from ..telemetry import logs
from ..telemetry.metrics import ACTIVITY_SECONDS
from ..workflow.shape import method_problems
from . import activity
from .activity import ActivityContext

_log = logs.get(__name__)

Implementation = Callable[[Message], Awaitable[Message]]


class Service(Protocol):
    """An instance of a subclass of a generated base: it has what its CONTRACT says."""

    CONTRACT: ClassVar[ServiceContract]


def implementation(service: Service, method: Method) -> Implementation:
    """The coroutine function of the service that implements the method.

    Raises:
        ContractError: It has none, or one that is not `async def`.
    """
    function: object = getattr(service, method.method, None)
    if not inspect.iscoroutinefunction(function):
        raise ContractError(_missing(type(service), method))
    implemented: Implementation = function
    return implemented


def check(services: Iterable[type], queue: str) -> None:
    """Compares classes with their contracts, so that a mistake is found at start.

    Raises:
        ContractError: Lists every method that is missing, every service that
            belongs to another queue, and every one that is there twice.
    """
    problems: list[str] = []
    seen: dict[str, type] = {}
    for service in services:
        contract: ServiceContract | None = getattr(service, "CONTRACT", None)
        if contract is None:
            problems.append(
                f"{_named(service)} is no service: extend a base of nexpo....*_service with it"
            )
            continue
        if contract.queue != queue:
            problems.append(
                f"{_named(service)}: {contract.name} belongs to {contract.queue}, not to {queue}:"
                " move the class to that service, or correct the queue in its proto"
            )
        if contract.name in seen:
            problems.append(
                f"{_named(service)} and {_named(seen[contract.name])} both are {contract.name}:"
                " remove one"
            )
        seen[contract.name] = service
        problems += [p for method in contract.methods for p in _method_problems(service, method)]
    if problems:
        raise ContractError("\n".join(problems))


def _method_problems(service: type, method: Method) -> Iterable[str]:
    function: object = getattr(service, method.method, None)
    right = inspect.isasyncgenfunction if method.streams else inspect.iscoroutinefunction
    if not right(function) or getattr(function, "__isabstractmethod__", False):
        return [_missing(service, method)]
    if method.kind == "native":
        return []  # it takes the call, too; its types are the type checker's
    return method_problems(method.method, function, True, method.request, method.response)


def _missing(service: type, method: Method) -> str:
    arguments = "self, request, call" if method.kind == "native" else "self, request"
    streams = " with a 'yield'" if method.streams else ""
    return (
        f"{_named(service)} has no 'async def {method.method}({arguments})'{streams}, which is"
        f" {method.name}: write it so"
    )


def _named(service: type) -> str:
    return f"{service.__module__}.{service.__name__}"


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
