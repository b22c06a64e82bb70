"""The protocol itself: signatures, clocks, and requests that no SDK would send."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import httpx
import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import CosmosHttpResponseError
from azure.cosmos.partition_key import PartitionKey

from nexpo_dev.pytest_plugin import CosmosAddress
from nexpo_standins.cosmosdb.partition_hash import UNDEFINED, effective_key


class Raw:
    """Requests that are signed, and otherwise anything."""

    def __init__(self, address: CosmosAddress) -> None:
        self._address = address

    async def __call__(
        self,
        method: str,
        path: str,
        kind: str,
        link: str,
        body: bytes = b"",
        *,
        key: str = "",
        age: timedelta = timedelta(),
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        date = format_datetime(datetime.now(UTC) - age, usegmt=True)
        text = f"{method.lower()}\n{kind}\n{link}\n{date.lower()}\n\n"
        secret = base64.b64decode(key or self._address.key)
        signature = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())
        token = quote(f"type=master&ver=1.0&sig={signature.decode()}", safe="")
        signed = {"authorization": token, "x-ms-date": date}
        async with httpx.AsyncClient(base_url=self._address.url) as client:
            return await client.request(
                method,
                path,
                content=body,
                headers=signed | dict(headers or {}),
            )


@pytest.fixture
def raw(stand_in: CosmosAddress) -> Raw:
    return Raw(stand_in)


@pytest.fixture
def link(container: ContainerProxy) -> str:
    return container.container_link


async def test_a_signed_request_is_served(raw: Raw) -> None:
    answer = await raw("GET", "/dbs", "dbs", "")
    assert answer.status_code == 200
    assert "Databases" in answer.json()


async def test_a_signature_of_another_key_verb_or_resource_is_refused(raw: Raw) -> None:
    other = base64.b64encode(b"other").decode()
    assert (await raw("GET", "/dbs", "dbs", "", key=other)).status_code == 401
    assert (await raw("GET", "/dbs", "dbs", "dbs/x")).status_code == 401
    assert (await raw("GET", "/dbs", "colls", "")).status_code == 401
    answer = await raw("GET", "/dbs", "dbs", "", headers={"authorization": "nonsense"})
    assert answer.status_code == 401
    assert answer.json()["code"] == "Unauthorized"


async def test_a_request_without_a_signature_is_refused(stand_in: CosmosAddress) -> None:
    async with httpx.AsyncClient(base_url=stand_in.url) as client:
        assert (await client.get("/")).status_code == 401
        assert (await client.get("/_fault")).status_code == 401


@pytest.mark.parametrize("minutes", [-16, 16])
async def test_a_clock_that_is_wrong_is_refused(raw: Raw, minutes: int) -> None:
    answer = await raw("GET", "/dbs", "dbs", "", age=timedelta(minutes=minutes))
    assert answer.status_code == 403


async def test_an_error_names_its_code(container: ContainerProxy) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        await container.read_item("none", "t")
    assert caught.value.status_code == 404
    assert "NotFound" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"null", {}, 400),
        (b'{"id": "a", "tenant": "t", "n": NaN}', {}, 400),
        (b'{"id": "a", "tenant": "t", "x": ' + b"[" * 100_000, {}, 400),
        (b"\xff\xfe", {}, 400),
        (b'{"tenant": "t"}', {}, 400),
        (b'{"id": 5, "tenant": "t"}', {}, 400),
        (b'{"id": "a", "tenant": "other"}', {}, 400),
        (b'{"id": "a"}', {}, 400),
        (b'{"id": "a", "tenant": "t"}', {"x-ms-documentdb-partitionkey": "t"}, 400),
        (b'{"id": "a", "tenant": "t"}', {"x-ms-documentdb-partitionkey": '["t", "u"]'}, 400),
        (b'{"id": "a", "tenant": "t"}', {"x-ms-cosmos-is-batch-request": "true"}, 400),
        (b"[]", {"x-ms-cosmos-is-batch-request": "true"}, 400),
        (b"[5]", {"x-ms-cosmos-is-batch-request": "true"}, 400),
        (b'[{"operationType": "Patch"}]', {"x-ms-cosmos-is-batch-request": "true"}, 207),
        (b"[" + b"{}," * 100 + b"{}]", {"x-ms-cosmos-is-batch-request": "true"}, 400),
        (b'{"query": 5}', {"x-ms-documentdb-isquery": "True"}, 400),
        (
            b'{"query": "SELECT * FROM c", "parameters": 5}',
            {"x-ms-documentdb-isquery": "True"},
            200,
        ),
        (
            b'{"query": "SELECT * FROM c"}',
            {"x-ms-documentdb-isquery": "True", "x-ms-max-item-count": "many"},
            400,
        ),
        (b"x" * 5_000_000, {}, 413),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(
    raw: Raw, link: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"x-ms-documentdb-partitionkey": '["t"]', **headers}
    answer = await raw("POST", f"/{link}/docs", "docs", link, body, headers=sent)
    assert answer.status_code == status
    feed = await raw("GET", f"/{link}/docs", "docs", link)
    assert feed.json()["Documents"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/dbs/none"),
        ("GET", "/dbs/none/colls"),
        ("GET", "/dbs/none/colls/none/docs"),
        ("GET", "/dbs/none/colls/none/pkranges"),
        ("GET", "/dbs/none/colls/none/docs/a"),
        ("GET", "/colls/x"),
        ("GET", "/dbs/x/docs/y"),
        ("GET", "/nonsense"),
        ("GET", "/dbs/x/colls/y/sprocs"),
        ("PATCH", "/dbs/x/colls/y/docs/z"),
        ("PUT", "/dbs/x"),
        ("GET", "/%00/%ff"),
        ("GET", "/dbs/a/colls/b/docs/c/attachments/d"),
    ],
)
async def test_a_path_that_leads_nowhere_is_refused(raw: Raw, method: str, path: str) -> None:
    parts = [part for part in path.split("/") if part]
    feed = len(parts) % 2 == 1
    owner = parts[:-1] if feed else parts
    kind = parts[-1] if feed else parts[-2]
    answer = await raw(method, path, kind, "/".join(owner))
    assert answer.status_code in (401, 404, 405)
    assert json.loads(answer.content)["code"]


async def test_a_container_that_was_made_again_is_not_taken_for_the_old_one(
    raw: Raw, link: str
) -> None:
    answer = await raw(
        "GET", f"/{link}/docs", "docs", link, headers={"x-ms-cosmos-intended-collection-rid": "x"}
    )
    assert (answer.status_code, answer.headers["x-ms-substatus"]) == (400, "1024")


async def test_the_account_names_the_address_that_the_client_used(
    client: CosmosClient, stand_in: CosmosAddress
) -> None:
    account = await client.client_connection.GetDatabaseAccount()
    assert account.WritableLocations[0]["databaseAccountEndpoint"] == stand_in.url


@pytest.mark.parametrize(
    "value", ["", "t", "x" * 15, "x" * 16, "é" * 40, True, False, None, 3, -1.5]
)
def test_hashes_of_keys_are_the_services(value: object) -> None:
    key = PartitionKey("/tenant")
    assert effective_key([value]) == key._get_epk_range_for_partition_key(value).min  # type: ignore[arg-type]  # any JSON
    deep = PartitionKey(["/a", "/b"])
    assert effective_key([value, "b"]) == deep._get_effective_partition_key_string([value, "b"])  # type: ignore[list-item]  # so
    assert effective_key([UNDEFINED]) == effective_key([UNDEFINED])
