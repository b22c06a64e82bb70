"""Gives a service's classes what their constructors ask for, by type.

A service's main offers objects, and functions that open one: `open_claude(settings:
AiSettings) -> AsyncIterator[Claude]`, under `contextlib.asynccontextmanager`. What nobody
asks for is not opened.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from ..errors import ContractError

T = TypeVar("T")

_NONE = type(None)


class Offers:
    """What a service's main offers, each opened at most once.

    Args:
        offered: Objects, and functions under `asynccontextmanager` whose own arguments
            are offered too.
        stack: Closes what was opened.

    Raises:
        ContractError: A function does not say what it opens.
    """

    def __init__(self, offered: Sequence[object], stack: AsyncExitStack) -> None:
        self._stack = stack
        self._offers = [(_provided(offer), offer) for offer in offered]
        self._opened: dict[int, object] = {}
        self._opening: list[str] = []

    async def make(self, cls: type[T]) -> T:
        """An object of the class.

        Raises:
            ContractError: Its constructor asks for what nobody offers, or for what two
                offers fit, or does not say what it asks for.
        """
        return cls(**await self._arguments(cls.__init__, _place(cls)))

    async def _arguments(self, function: Any, place: str) -> dict[str, object]:
        return {
            name: await self._given(wanted, f"{place}: the argument '{name}: {_shown(wanted)}'")
            for name, wanted in _wanted(function, place).items()
        }

    async def _given(self, wanted: object, what: str) -> object:
        exact = [offer for provided, offer in self._offers if provided == wanted]
        fitting = exact or [offer for provided, offer in self._offers if _fits(provided, wanted)]
        if len(fitting) > 1:
            found = " and ".join(_offer_name(offer) for offer in fitting)
            raise ContractError(
                f"{what} fits {found}: ask for the type of one, or let main offer one only"
            )
        if fitting:
            return await self._open(fitting[0])
        if _NONE in _members(wanted):
            return None
        known = ", ".join(sorted(_shown(provided) for provided, _ in self._offers)) or "nothing"
        raise ContractError(
            f"{what} is offered by nobody: let main offer an object of that type, or a function"
            f" that opens one (offers=[...]); it offers {known}"
        )

    async def _open(self, offer: object) -> object:
        if not _is_function(offer):
            return offer
        if id(offer) not in self._opened:
            name = _offer_name(offer)
            if name in self._opening:
                circle = " needs ".join([*self._opening, name])
                raise ContractError(f"{circle}: it would have to be open before it is opened")
            self._opening.append(name)
            arguments = await self._arguments(inspect.unwrap(typing.cast(Any, offer)), name)
            opening = typing.cast(Any, offer)(**arguments)
            self._opened[id(offer)] = await self._stack.enter_async_context(opening)
            self._opening.remove(name)
        return self._opened[id(offer)]


def _wanted(function: Any, place: str) -> dict[str, object]:
    """The types of a function's arguments that have no default, by name."""
    if not inspect.isroutine(function) or not hasattr(function, "__code__"):
        return {}  # object's own: it takes nothing
    hints = _hints(function, place)
    wanted: dict[str, object] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "self" or parameter.default is not parameter.empty:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ContractError(
                f"{place}: '{parameter}' cannot be given by its name: name each argument"
            )
        if name not in hints:
            raise ContractError(
                f"{place}: the argument '{name}' has no annotation, so nothing can be found for"
                " it: write its type"
            )
        wanted[name] = hints[name]
    return wanted


def _hints(function: Any, place: str) -> dict[str, object]:
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise ContractError(
            f"{place}: nothing is called {error.name} where its arguments are annotated: correct"
            " the name, or import it outside 'if TYPE_CHECKING'"
        ) from None
    except Exception as error:  # whatever an annotation does when it is evaluated
        raise ContractError(
            f"{place}: an annotation of its arguments is no type: {type(error).__name__}: {error}:"
            " correct it"
        ) from error


def _provided(offer: object) -> object:
    """The type of an offer: the object's own, or what the function opens."""
    if not _is_function(offer):
        return type(offer)
    opened = typing.get_args(_hints(inspect.unwrap(typing.cast(Any, offer)), "main").get("return"))
    if not opened:
        raise ContractError(
            f"main offers {_offer_name(offer)}, which does not say what it opens: write it under"
            " asynccontextmanager with '-> AsyncIterator[...]'"
        )
    return opened[0]


def _fits(provided: object, wanted: object) -> bool:
    """Whether whatever is provided is among what is wanted."""
    members = _members(wanted)
    return all(
        any(member in getattr(each, "__mro__", ()) for member in members)
        for each in _members(provided)
    )


def _members(kind: object) -> tuple[object, ...]:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if union else (kind,)


def _is_function(offer: object) -> bool:
    return inspect.isroutine(offer)


def _offer_name(offer: object) -> str:
    named = offer if _is_function(offer) else type(offer)
    return f"{named.__module__}.{getattr(named, '__qualname__', named)}"


def _place(cls: type) -> str:
    return f"{cls.__module__}.{cls.__name__}"


def _shown(kind: object) -> str:
    return kind.__qualname__ if isinstance(kind, type) else str(kind)
