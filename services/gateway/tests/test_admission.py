"""The order of the limits: what a call costs is settled before anything of it is read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from google.longrunning import operations_pb2 as longrunning

from nexpo_gateway.calls.rate_limits import network

from .clients import OPERATIONS, PARCELS, Answer, Gateway, Refused, read_answer
from .conftest import gateway_settings, ready

ONE_CALL = {"rate_limit": 0.01, "rate_burst": 1}
ONE_PUBLIC_CALL = {"public_rate_limit": 0.01, "public_rate_burst": 1}
ONE_ARRIVAL = {"address_rate_limit": 0.01, "address_rate_burst": 1}
SIGN = "/v1/operations/acme~a~b~c:signParcel"


@pytest.fixture
def limited(keys_file: Path) -> Any:
    """Makes a gateway with these limits."""

    def make(**limits: float) -> Any:
        settings = gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False, **limits)
        return ready(settings)

    return make


async def reason(gateway: Gateway, verb: str, target: str, body: Any = None, **more: Any) -> str:
    """The reason with which a REST call is refused; "" when it is not."""
    answer = await gateway.http(verb, target, body, **more)
    return "" if answer.status == 200 else str(answer.json["reason"])


async def grpc_reason(gateway: Gateway, path: str, request: bytes, key: str | None = None) -> str:
    """The same for gRPC."""
    try:
        await gateway.call(path, request, longrunning.Operation, key=key)
    except Refused as refused:
        return refused.reason
    return ""


async def test_a_malformed_body_costs_a_token_on_both_surfaces(limited: Any) -> None:
    async with limited(**ONE_CALL) as gateway:
        assert await reason(gateway, "POST", "/v1/parcels:send", b"{") == "INVALID_ARGUMENT"
        assert await reason(gateway, "POST", "/v1/parcels:send", {}) == "RATE_LIMITED"
        path = PARCELS + "SendParcel"
        assert await grpc_reason(gateway, path, b"\xff", "other-key") == "INVALID_ARGUMENT"
        assert await grpc_reason(gateway, path, b"\xff", "other-key") == "RATE_LIMITED"


async def test_a_malformed_public_call_costs_a_token(limited: Any) -> None:
    async with limited(**ONE_PUBLIC_CALL) as gateway:
        assert await reason(gateway, "POST", SIGN, b"{", key="") == "INVALID_ARGUMENT"
        assert await reason(gateway, "POST", SIGN, b"{}", key="") == "RATE_LIMITED"
        form = await gateway.http("POST", "/verify", b"operation=a&token=b", key="")
        assert form.status == 429


async def test_a_call_without_the_permission_costs_a_token(limited: Any) -> None:
    async with limited(**ONE_CALL) as gateway:
        for expected in ("PERMISSION_DENIED", "RATE_LIMITED"):
            found = await reason(gateway, "POST", "/v1/parcels:send", {}, key="reader-key")
            assert found == expected


async def test_guessing_keys_is_limited_by_address_and_locks_nobody_out(limited: Any) -> None:
    async with limited(**ONE_PUBLIC_CALL) as gateway:
        assert await reason(gateway, "GET", "/v1/operations", key="guess-1") == "UNAUTHENTICATED"
        assert await reason(gateway, "GET", "/v1/operations", key="guess-2") == "RATE_LIMITED"
        path = OPERATIONS + "ListOperations"
        assert await grpc_reason(gateway, path, b"", "guess-3") == "RATE_LIMITED"
        assert await grpc_reason(gateway, path, b"", "") == "RATE_LIMITED"
        # Whoever has a key, or calls what is public, does not pay for the guesser.
        assert await reason(gateway, "GET", "/v1/operations") == ""
        assert await reason(gateway, "POST", SIGN, {}, key="") == "OPERATION_NOT_FOUND"


@pytest.mark.parametrize("target", ["/v1/nothing", "/v1/operations", "/v1/%FF"])
async def test_every_call_of_an_address_counts_also_one_of_no_method(
    limited: Any, target: str
) -> None:
    async with limited(**ONE_ARRIVAL) as gateway:
        await gateway.http("GET", target)
        assert await reason(gateway, "GET", target) == "RATE_LIMITED"
        assert await reason(gateway, "PUT", "/v1/operations", key="guess") == "RATE_LIMITED"
        assert (await gateway.http("POST", "/verify", b"a=b", key="")).status == 429
        for path in (PARCELS + "Nothing", OPERATIONS + "ListOperations"):
            assert await grpc_reason(gateway, path, b"") == "RATE_LIMITED"
        # Whoever watches over the gateway must see that it lives.
        assert (await gateway.http("GET", "/live", key="")).status == 200


@pytest.mark.parametrize("framing", ["content-length: 1000000", "transfer-encoding: chunked"])
@pytest.mark.parametrize(("target", "key"), [("/v1/parcels:send", "guess"), ("/v1/nothing", "")])
async def test_a_refusal_comes_before_the_body_and_ends_the_connection(
    limited: Any, framing: str, target: str, key: str
) -> None:
    async with limited() as gateway:
        reader, writer = await begun(gateway, target, key, framing)
        # Nothing of the body was sent.
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: close" in head.lower()
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            problem = json.loads(await reader.readexactly(length))
        assert problem["reason"] in ("UNAUTHENTICATED", "UNKNOWN_METHOD")
        # What the client sends before it has read the answer resets nothing.
        writer.write(b"5\r\nhello\r\n0\r\n\r\n" if "chunked" in framing else b"x" * 1_000_000)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_an_answer_is_not_lost_when_the_client_still_sends(limited: Any) -> None:
    async with limited() as gateway:
        reader, writer = await begun(
            gateway, "/v1/parcels:send", "guess", "content-length: 3000000"
        )
        writer.write(b"x" * 3_000_000)
        async with asyncio.timeout(20):
            await writer.drain()
            # A connection that is reset takes the answer with it.
            answer = await read_answer(reader)
        assert answer.json["reason"] == "UNAUTHENTICATED"
        writer.close()


async def begun(
    gateway: Gateway, target: str, key: str, *headers: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose head was sent and whose body was not."""
    lines = [f"POST {target} HTTP/1.1", "host: a", f"authorization: Bearer {key}", *headers]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
    writer.write("\r\n".join([*lines, "", ""]).encode())
    return reader, writer


async def test_a_body_that_is_too_large_by_its_own_word_is_not_waited_for(limited: Any) -> None:
    async with limited() as gateway:
        reader, writer = await begun(
            gateway, "/v1/parcels:send", "acme-key", "content-length: 9000000"
        )
        async with asyncio.timeout(20):
            assert b" 413 " in await reader.readline()
        writer.close()


async def test_a_body_that_does_not_say_how_large_it_is_is_not_read_to_its_end(
    limited: Any,
) -> None:
    async with limited() as gateway:
        reader, writer = await begun(
            gateway, "/v1/parcels:send", "acme-key", "transfer-encoding: chunked"
        )
        async with asyncio.timeout(10):
            for _ in range(17):  # 64 KiB each, and no last one
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            assert b" 413 " in await reader.readline()
        writer.close()


async def test_a_connection_survives_a_refusal_whose_body_was_read(limited: Any) -> None:
    async with limited() as gateway:
        reader, writer = await begun(
            gateway, "/v1/parcels:send", "acme-key", "content-length: 1", "connection: keep-alive"
        )
        writer.write(b"{")
        first = await reader.readuntil(b"\r\n\r\n")
        assert b" 400 " in first
        length = int(first.lower().partition(b"content-length: ")[2].split()[0])
        await reader.readexactly(length)
        writer.write(b"GET /live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer: Answer = await read_answer(reader)
        assert answer.status == 200
        writer.close()


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix:/run/socket", "unix:/run/socket"),
    ],
)
def test_an_address_is_counted_with_the_others_that_its_owner_has(
    address: str, counted: str
) -> None:
    assert network(address) == counted
    assert network(address.upper().replace("UNIX:/RUN/SOCKET", "unix:/run/socket")) == counted


async def test_nobody_chooses_the_address_they_are_counted_by(limited: Any) -> None:
    async with limited(**ONE_PUBLIC_CALL) as gateway:
        found = [
            await reason(gateway, "POST", SIGN, {}, key="", x_forwarded_for=f"192.0.2.{number}")
            for number in range(2)
        ]
        assert found == ["OPERATION_NOT_FOUND", "RATE_LIMITED"]
