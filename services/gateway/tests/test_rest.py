"""REST is the contract's google.api.http in all its forms; hostile input gets a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nexpo import registry
from nexpo.contract import Method, ServiceContract
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.serving import WorkerServer

from .clients import Gateway, Refused
from .conftest import gateway_settings, ready
from .parcels.contract import PACKAGE, message


class Finding:
    """The worker behind FindParcels: answers with the request that reached it."""

    CONTRACT: ClassVar = ServiceContract(
        name=f"{PACKAGE}.ParcelService",
        queue="nexpo-db",
        methods=(
            Method(
                f"{PACKAGE}.FindParcels",
                "find_parcels",
                registry.message_class(f"{PACKAGE}.FindParcelsRequest"),
                registry.message_class(f"{PACKAGE}.FindParcelsResponse"),
                "read",
            ),
        ),
    )

    async def find_parcels(self, request: Any) -> Any:
        if request.depot == "slow":
            await asyncio.sleep(60)
        return message(
            "FindParcelsResponse",
            request=request,
            notes=["one", "two"],
            tenant=activity.current().tenant,
        )


@pytest.fixture
async def gateway(temporal: TemporalAddress, keys_file: Path) -> AsyncIterator[Gateway]:
    """A gateway with a worker for reads."""
    plain = gateway_settings(temporal.url, keys_file)
    worker = WorkerServer(plain, [Finding()])
    await worker.start()
    settings = gateway_settings(
        temporal.url, keys_file, db_worker_address=f"127.0.0.1:{worker.port}"
    )
    async with ready(settings) as gateway:
        yield gateway
    await worker.stop(0)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/parcels", {}),
        ("/v1/parcels?depot=d", {"depot": "d"}),
        ("/v1/parcels?depot=a%20b%2Fc%26d", {"depot": "a b/c&d"}),
        (
            "/v1/parcels?place.city=Bern&place.street=Main",
            {"place": {"city": "Bern", "street": "Main"}},
        ),
        ("/v1/parcels?sizes=SIZE_SMALL&sizes=2", {"sizes": ["SIZE_SMALL", "SIZE_LARGE"]}),
        ("/v1/parcels?within=3.5s", {"within": "3.500s"}),
        ("/v1/parcels?since=2026-01-31T09:00:00Z", {"since": "2026-01-31T09:00:00Z"}),
        ("/v1/parcels?mask=place.city,tags", {"mask": "place.city,tags"}),
        ("/v1/parcels?weight=-9007199254740993", {"weight": "-9007199254740993"}),
        ("/v1/parcels?fragile=true&score=1.5", {"fragile": True, "score": 1.5}),
        ("/v1/parcels?tags=a&tags=&tags=%C3%BC", {"tags": ["a", "", "ü"]}),
        ("/v1/parcels?seal=aGk%3D", {"seal": "aGk="}),
        (
            "/v1/depots/north%2Fwest/parcels/Z%C3%BCrich",
            {"depot": "north/west", "place": {"city": "Zürich"}},
        ),
        (
            "/v1/depots/n/parcels/c?place.street=x",
            {"depot": "n", "place": {"city": "c", "street": "x"}},
        ),
        ("/v1/shelves/a/b%2Fc/d/parcels", {"path": "shelves/a/b%2Fc/d"}),
        ("/v1/shelves/parcels", None),
    ],
)
async def test_path_and_query_fill_the_request(
    gateway: Gateway, target: str, expected: dict[str, Any] | None
) -> None:
    if expected is None:
        with pytest.raises(Refused) as refused:
            await gateway.rest("GET", target)
        assert refused.value.reason == "UNKNOWN_METHOD"
        return
    answer = await gateway.rest("GET", target)
    assert answer.get("request", {}) == expected
    assert answer["tenant"] == "acme"


async def test_a_body_can_be_one_field_and_the_answer_can_be_one_field(gateway: Gateway) -> None:
    answer = await gateway.rest("PATCH", "/v1/parcels?depot=d", {"city": "Bern"})
    assert answer["request"] == {"depot": "d", "place": {"city": "Bern"}}
    assert await gateway.rest("GET", "/v1/parcelNotes") == ["one", "two"]
    sent = await gateway.rest("POST", "/v1/depots/south/parcels:send", {"city": "Bern"})
    assert sent["name"].startswith("operations/acme~")


async def test_the_idempotency_key_header_is_the_request_id(gateway: Gateway) -> None:
    body = {"plan": "finish"}
    names = {
        (await gateway.rest("POST", "/v1/parcels:send", body, idempotency_key=f'"{key}"'))["name"]
        for key in ("key-of-mine", "key-of-mine")
    }
    assert len(names) == 1
    with pytest.raises(Refused) as refused:
        await gateway.rest("POST", "/v1/parcels:send", {"requestId": "a"}, idempotency_key="b")
    assert refused.value.fields == ("request_id",)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/v1/parcels?userId.x=1", ("userId.x",)),
        ("/v1/parcels?depot.x=1", ("depot.x",)),
        ("/v1/parcels?place=x", ("place",)),
        ("/v1/parcels?places.a.city=x", ("places.a.city",)),
        ("/v1/parcels?depot=a&depot=b", ("depot",)),
        ("/v1/parcels?fragile=maybe", ("fragile",)),
        ("/v1/parcels?weight=1.5", ("weight",)),
        ("/v1/parcels?weight=99999999999999999999", ("weight",)),
        ("/v1/parcels?score=heavy", ("score",)),
        ("/v1/parcels?sizes=SIZE_HUGE", ("sizes[0]",)),
        ("/v1/parcels?within=soon", ("within",)),
        ("/v1/parcels?since=yesterday", ("since",)),
        ("/v1/parcels?seal=%21%21", ("seal",)),
        ("/v1/parcels?depot=%FF", ()),
        ("/v1/depots/%FF/parcels/x", ("depot",)),
        ("/v1/parcels?" + "&".join(f"tags={n}" for n in range(500)), ()),
    ],
)
async def test_a_bad_query_is_refused_with_its_field(
    gateway: Gateway, target: str, fields: tuple[str, ...]
) -> None:
    with pytest.raises(Refused) as refused:
        await gateway.rest("GET", target)
    assert (refused.value.status, refused.value.reason) == (400, "INVALID_ARGUMENT")
    assert refused.value.fields == fields


DEEP = b'{"extra":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "line 1, column 2"),
        (b'{"plan": "x",\n}', "line 2"),
        (b"plan=x", "line 1"),
        (b"[]", "must be an object"),
        (b'"x"', "must be an object"),
        (b"null", "must be an object"),
        (b'{"plan": NaN}', "NaN"),
        (b'{"plan": "\xff"}', "UTF-8"),
        (b'{"plan": "\\ud800"}', "plan"),
        (b'{"plan": "a", "plan": "b"}', "twice"),
        (b'{"requestId": "a", "request_id": "b"}', "request_id"),
        (b'{"plan": 5}', "plan"),
        (b'{"size": "SIZE_HUGE"}', "size"),
        (b'{"size": 1.5}', "size"),
        (b'{"nothing": 1}', "nothing"),
        (b'{"address": []}', "address"),
        (b'{"address": {"town": "x"}}', "address.town"),
        (b'{"stops": {"city": "x"}}', "stops"),
        (b'{"stops": [{"city": 1}, null, {"street": "x"}]}', "stops[0].city"),
        (b'{"extra": 5}', "extra"),
        (DEEP, "deep"),
        (b'{"note": ' + b"9" * 5000 + b"}", "too long"),
    ],
)
async def test_a_bad_body_is_refused_in_plain_words(
    gateway: Gateway, body: bytes, words: str
) -> None:
    with pytest.raises(Refused) as refused:
        await gateway.rest("POST", "/v1/parcels:send", body)
    assert (refused.value.status, refused.value.reason) == (400, "INVALID_ARGUMENT")
    assert words in refused.value.raw
    for leak in ("Traceback", "NoneType", "nexpo.parcels", "Failed to parse", "json_format"):
        assert leak not in refused.value.raw


@pytest.mark.parametrize(
    "target",
    [
        "/v1/../v1/users",
        "/v1//users",
        "/v1/users/",
        "/v1/operations/..%2F..%2Fetc",
        "/v1/operations/a~b~c~d/../../x",
        "/v1/users/%00",
        "/v1/parcels:drop",
        "/%2e%2e/etc/passwd",
        "//evil.example/",
        "/v1/operations/a:b:c",
        "/v1/" + "a/" * 2000,
        "/",
    ],
)
async def test_a_hostile_path_gets_a_problem_and_nothing_else(
    gateway: Gateway, target: str
) -> None:
    with pytest.raises(Refused) as refused:
        await gateway.rest("GET", target)
    assert refused.value.status in (400, 404)
    assert refused.value.reason in (
        "UNKNOWN_METHOD",
        "INVALID_ARGUMENT",
        "OPERATION_NOT_FOUND",
    )


async def test_a_wrong_verb_is_answered_with_those_that_work(gateway: Gateway) -> None:
    for verb, target, allow in (
        ("GET", "/v1/parcels:send", "POST"),
        ("POST", "/v1/users/x", "DELETE, GET, PATCH"),
        ("PUT", "/v1/operations/x", "DELETE, GET"),
    ):
        answer = await gateway.http(verb, target)
        assert (answer.status, answer.headers["allow"]) == (405, allow.lower())
        assert answer.json["reason"] == "METHOD_NOT_ALLOWED"


async def test_watch_streams_lines_or_events(gateway: Gateway) -> None:
    name = (await gateway.send(plan="finish", _prefer="wait=30")).name
    lines = await gateway.http("GET", f"/v1/{name}:watch")
    assert lines.headers["content-type"] == "application/x-ndjson"
    [frame] = [json.loads(line) for line in lines.body.splitlines()]
    assert frame["done"]
    assert frame["metadata"]["state"] == "SUCCEEDED"
    events = await gateway.http("GET", f"/v1/{name}:watch", accept="text/event-stream")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert json.loads(events.body.decode().removeprefix("data: ")) == frame
    missing = await gateway.http("GET", "/v1/operations/acme~a~b~c:watch")
    assert (missing.status, missing.json["reason"]) == (404, "OPERATION_NOT_FOUND")


async def test_a_read_ends_by_its_deadline(gateway: Gateway) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(Refused) as refused:
        await gateway.rest("GET", "/v1/parcels?depot=slow", grpc_timeout="400m")
    assert (refused.value.status, refused.value.reason) == (504, "DEADLINE_EXCEEDED")
    assert asyncio.get_running_loop().time() - began < 9
