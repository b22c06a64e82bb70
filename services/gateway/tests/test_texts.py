"""The texts of a request are found however deep they lie, and named as the caller knows them."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from nexpo_gateway.content.texts import texts

from .parcels.contract import message


def upper(request: Message, *fields: str) -> list[str]:
    """Replaces the texts of these fields by upper case; where they are."""
    found = list(texts(request, lambda field: field.name in fields))
    for text in found:
        text.replace(text.value.upper())
    return [text.path for text in found]


def test_a_text_in_a_message_a_list_and_a_map_is_found_and_replaced() -> None:
    fields: dict[str, Any] = {
        "depot": "d",
        "tags": ["a", "b"],
        "place": {"city": "bern", "street": "s"},
        "places": {"two": {"city": "oslo"}, "one": {"city": "rome"}},
    }
    request = message("FindParcelsRequest", **fields)
    assert upper(request, "city", "tags") == [
        "place.city",
        "tags[0]",
        "tags[1]",
        'places["one"].city',
        'places["two"].city',
    ]
    fields["tags"] = ["A", "B"]
    fields["place"]["city"] = "BERN"
    fields["places"] = {"two": {"city": "OSLO"}, "one": {"city": "ROME"}}
    assert request == message("FindParcelsRequest", **fields)


def test_a_text_in_one_message_of_many_is_told_by_its_place() -> None:
    request = message("SendParcelRequest", stops=[{"street": "s"}, {}, {"city": "bern"}])
    assert upper(request, "city") == ["stops[2].city"]
    assert request.stops[2].city == "BERN"
