"""Compares a workflow class with its contract, when the class is made.

What Python and Temporal let pass and would then never call, or call without
awaiting it, is refused here: at import, by file and line, with the mend.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from google.protobuf.message import Message

from nexpo.contract import Handler, WorkflowContract

from ..errors import ContractError

_VALIDATE = "validate_"
# What a subclass is there to write, and what every class has.
_WRITTEN = {"execute", "begin"}
_MADE = {"__init__", "run"}
# What the runtime keeps in every instance.
_STATE = {"tracker"}


def check_shape(cls: type, contract: WorkflowContract[Any], base: type) -> None:
    """Compares a class with its contract.

    Args:
        cls: A subclass of `base`.
        contract: What it must do.
        base: Operation itself; what it has is nobody's handler.

    Raises:
        ContractError: Lists everything that does not fit, a line each.
    """
    written = dict(_written(cls, base))
    problems = [
        *_own(written, base),
        *_execute(cls, contract, base, written),
        *(problem for handler in contract.handlers for problem in _handler(handler, cls, base)),
        *_validators(written, contract),
    ]
    if problems:
        raise ContractError("\n".join([f"{cls.__name__} is not {contract.name}:", *problems]))


def _written(cls: type, base: type) -> Iterator[tuple[str, object]]:
    """What the author wrote, by name: of the class and of those below Operation."""
    for each in reversed(cls.__mro__):
        if issubclass(each, base) and each is not base and "__nexpo_contract__" not in vars(each):
            yield from vars(each).items()


def _own(written: dict[str, object], base: type) -> Iterator[str]:
    for name, value in written.items():
        if name in _MADE and isinstance(value, FunctionType):
            advice = "is the runtime's and never called; prepare the state in begin"
            yield f"{_place(value)}{name} {advice}"
        elif isinstance(value, FunctionType) and name in vars(base) and name not in _WRITTEN:
            yield f"{_place(value)}{name} would replace Operation.{name}; rename it"


def _execute(
    cls: type, contract: WorkflowContract[Any], base: type, written: dict[str, object]
) -> Iterator[str]:
    execute: object = getattr(cls, "execute", None)
    if execute is vars(base)["execute"]:
        yield f"execute is missing; write 'async def execute(self, request: {_name(contract)})'"
    else:
        yield from method_problems("execute", execute, True, contract.request, contract.response)
    begin = written.get("begin")
    if begin is not None:
        yield from method_problems("begin", begin, False, contract.request, None)


def _handler(handler: Handler, cls: type, base: type) -> Iterator[str]:
    function: object = getattr(cls, handler.method, None)
    kind = f"the {handler.kind} {handler.name}"
    if hasattr(base, handler.method) or handler.method in _STATE:
        yield f"{handler.method} is Operation's own, so it cannot be {kind}; rename the RPC"
    elif not callable(function):
        written = [name for name, value in inspect.getmembers(cls) if callable(value)]
        near = difflib.get_close_matches(handler.method, written, 1, 0.75)
        hint = f"; did you mean it by {near[0]}?" if near else f": {kind}; write it"
        yield f"{handler.method} is missing{hint}"
    else:
        # Temporal calls a query without awaiting it.
        asynchronous = handler.kind != "query"
        yield from method_problems(
            handler.method, function, asynchronous, handler.request, handler.response
        )


def _validators(written: dict[str, object], contract: WorkflowContract[Any]) -> Iterator[str]:
    # A signal is carried by an update, so that it can be refused, too.
    refusable = {h.method: h for h in contract.handlers if h.kind != "query"}
    queries = {h.method for h in contract.handlers if h.kind == "query"}
    for name, value in written.items():
        if not name.startswith(_VALIDATE) or not callable(value):
            continue
        method = name.removeprefix(_VALIDATE)
        if method in refusable:
            yield from method_problems(name, value, False, refusable[method].request, None)
        elif method in queries:
            yield f"{_place(value)}{name} is never called: a query cannot be refused; remove it"
        else:
            near = difflib.get_close_matches(method, refusable, 1, 0.5)
            mend = f"rename it to {_VALIDATE}{near[0]}" if near else "rename or remove it"
            yield (
                f"{_place(value)}{name} is never called: there is no update or signal {method};"
                f" {mend}"
            )


def method_problems(
    name: str,
    function: object,
    asynchronous: bool,
    request: type[Message],
    response: type[Message] | None,
) -> Iterator[str]:
    """What is wrong with a method that takes one message, and returns another or nothing.

    Args:
        name: Of the method.
        function: As the class has it.
        asynchronous: Whether it is awaited.
        request: What it is called with.
        response: What it must return; None when nobody looks.
    """
    if not isinstance(function, FunctionType):
        yield f"{name} must be a method; write it as one"
        return
    place = _place(function)
    if asynchronous and not inspect.iscoroutinefunction(function):
        yield f"{place}{name} is awaited; write it as 'async def'"
    if not asynchronous and (
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    ):
        yield f"{place}{name} is never awaited, so it would do nothing; write it as 'def'"
    taken = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    if len(taken) != 2:
        yield f"{place}{name} must take self and the request, nothing else; correct it"
    yield from _types(name, function, request, response)


def _types(
    name: str, function: FunctionType, request: type[Message], response: type[Message] | None
) -> Iterator[str]:
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        return  # names for the type checker alone, which compares them itself
    answer = hints.pop("return", Any)
    for given in list(hints.values())[:1]:
        if _differs(given, request):
            yield f"{_place(function)}{name} gets a {_full(request)}, not a {_full(given)}"
    if response is not None and _differs(answer, response):
        yield f"{_place(function)}{name} must return a {_full(response)}, not a {_full(answer)}"


def _differs(given: object, wanted: type[Message]) -> bool:
    is_message = isinstance(given, type) and issubclass(given, Message) and given is not Message
    return is_message and given is not wanted


def _full(kind: object) -> str:
    descriptor = getattr(kind, "DESCRIPTOR", None)
    return str(getattr(descriptor, "full_name", kind))


def _name(contract: WorkflowContract[Any]) -> str:
    return contract.request.DESCRIPTOR.name


def _place(function: object) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
