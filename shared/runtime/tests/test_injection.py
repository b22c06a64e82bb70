"""A service's classes get what their constructors ask for, by type."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from nexpo_runtime.errors import ContractError
from nexpo_runtime.settings import Settings
from nexpo_runtime.worker.injection import Offers

if typing.TYPE_CHECKING:
    from decimal import Decimal


class Shelf(typing.Protocol):
    """What a service may ask for without knowing who is it."""


class Wood(Shelf):
    """One that is."""


class Oak(Wood):
    """One that is some other, too."""


class Letters:
    """Another thing to ask for."""


class Asks:
    def __init__(self, settings: Settings, shelf: Shelf, letters: Letters | None) -> None:
        self.got = (settings, shelf, letters)


class AsksForAShelf:
    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf


class AsksForWood:
    def __init__(self, wood: Wood) -> None:
        self.wood = wood


class AsksForNothing:
    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace


class SaysNothing:
    def __init__(self, shelf) -> None:  # type: ignore[no-untyped-def]  # the mistake
        self.shelf = shelf


class TakesAnything:
    def __init__(self, **shelves: Shelf) -> None:
        self.shelves = shelves


class TakesNoName:
    def __init__(self, shelf: Shelf, /) -> None:
        self.shelf = shelf


class AsksForNoType:
    def __init__(self, shelf: typing.Nowhere) -> None:  # type: ignore[name-defined]  # the mistake
        self.shelf = shelf


class AsksTheTypeChecker:
    def __init__(self, price: Decimal) -> None:
        self.price = price


EVENTS: list[str] = []


@contextlib.asynccontextmanager
async def open_wood(settings: Settings) -> AsyncIterator[Wood]:
    EVENTS.append(f"opened for {settings.service}")
    yield Wood()
    EVENTS.append("closed")


@contextlib.asynccontextmanager
async def open_nothing() -> AsyncIterator[Letters | None]:
    yield None


@contextlib.asynccontextmanager
async def says_nothing():  # type: ignore[no-untyped-def]  # the mistake
    yield Wood()


@contextlib.asynccontextmanager
async def egg(hen: Letters) -> AsyncIterator[Wood]:
    yield Wood()


@contextlib.asynccontextmanager
async def hen(egg: Wood) -> AsyncIterator[Letters]:
    yield Letters()


async def refusal(cls: type, *offered: object) -> str:
    """Why no object of the class can be made."""
    async with AsyncExitStack() as stack:
        with pytest.raises(ContractError) as refused:
            await Offers(offered, stack).make(cls)
    return str(refused.value)


async def test_an_object_is_found_by_its_type_or_by_one_that_it_extends() -> None:
    settings, wood, letters = Settings.load(), Wood(), Letters()
    async with AsyncExitStack() as stack:
        made = await Offers([settings, wood, letters], stack).make(Asks)
        assert (await Offers([], stack).make(AsksForNothing)).pace == 1.0

    assert made.got == (settings, wood, letters)


async def test_what_a_function_opens_is_opened_once_when_asked_for_and_closed() -> None:
    EVENTS.clear()
    async with AsyncExitStack() as stack:
        offers = Offers([Settings.load(), open_wood, open_nothing], stack)
        assert not EVENTS
        first, second = await offers.make(Asks), await offers.make(AsksForAShelf)
        assert first.got[1:] == (second.shelf, None)

    assert [f"opened for {Settings.service}", "closed"] == EVENTS


async def test_what_may_be_none_is_none_when_nobody_offers_it() -> None:
    async with AsyncExitStack() as stack:
        made = await Offers([Settings.load(), Wood()], stack).make(Asks)

    assert made.got[2] is None


async def test_what_may_be_none_does_not_reach_who_needs_it() -> None:
    class Needs:
        def __init__(self, letters: Letters) -> None: ...

    said = await refusal(Needs, open_nothing)

    assert "the argument 'letters: Letters' is offered by nobody" in said


async def test_an_argument_that_nobody_offers_is_named() -> None:
    place = f"{__name__}.AsksForAShelf"

    assert await refusal(AsksForAShelf, Letters()) == (
        f"{place}: the argument 'shelf: Shelf' is offered by nobody: let main offer an object of"
        " that type, or a function that opens one (offers=[...]); it offers Letters"
    )


async def test_an_argument_that_two_offers_fit_is_named_with_both() -> None:
    assert await refusal(AsksForAShelf, Wood(), open_wood) == (
        f"{__name__}.AsksForAShelf: the argument 'shelf: Shelf' fits {__name__}.Wood and"
        f" {__name__}.open_wood: ask for the type of one, or let main offer one only"
    )


async def test_who_asks_for_the_very_type_of_one_offer_gets_that_one() -> None:
    oak, wood = Oak(), Wood()
    async with AsyncExitStack() as stack:
        assert (await Offers([oak, wood], stack).make(AsksForWood)).wood is wood
        assert (await Offers([oak], stack).make(AsksForWood)).wood is oak


async def test_a_constructor_that_does_not_say_what_it_asks_for_is_named() -> None:
    place = f"{__name__}."

    assert await refusal(SaysNothing, Wood()) == (
        f"{place}SaysNothing: the argument 'shelf' has no annotation, so nothing can be found for"
        " it: write its type"
    )
    for cls, argument in ((TakesAnything, "**shelves: 'Shelf'"), (TakesNoName, "shelf: 'Shelf'")):
        said = f"{cls.__name__}: '{argument}' cannot be given by its name"
        assert said in await refusal(cls, Wood())
    assert "AsksForNoType: an annotation of its arguments is no type: AttributeError" in (
        await refusal(AsksForNoType, Wood())
    )
    assert "nothing is called Decimal where its arguments are annotated" in await refusal(
        AsksTheTypeChecker
    )


async def test_a_function_that_does_not_say_what_it_opens_is_named() -> None:
    assert f"main offers {__name__}.says_nothing, which does not say" in await refusal(
        Asks, says_nothing
    )


async def test_functions_that_need_each_other_are_named() -> None:
    assert (
        await refusal(AsksForAShelf, egg, hen)
        == f"{__name__}.egg needs {__name__}.hen needs {__name__}.egg: it would have to be open"
        " before it is opened"
    )
