"""An HTTP connection: how long it may be idle, and how long a head may take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from nexpo_runtime.service import http_connection
from nexpo_runtime.service.http_server import HttpServer

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST /unread HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@contextlib.asynccontextmanager
async def connected(
    keep_alive: float = 5, *more: Route
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server that says hello."""
    routes = [
        Route("/", hello),
        Route("/unread", hello, methods=["POST"]),
        Route("/length", length, methods=["POST"]),
        *more,
    ]
    server = HttpServer(Starlette(routes=routes), ["127.0.0.1:0"], keep_alive=keep_alive)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[0])
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.stop(1)


async def ended(reader: asyncio.StreamReader, within: float) -> bool:
    """Whether the server ends the connection in that time."""
    try:
        async with asyncio.timeout(within):
            return await reader.read() is not None
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def test_an_idle_connection_stays_open_as_long_as_it_should() -> None:
    async with connected(keep_alive=0.6) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        assert not await ended(reader, 0.3)
        writer.write(GET)
        await reader.readuntil(b"hello")
        assert await ended(reader, 5)


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nhost:", GET + b"GET /"])
async def test_a_head_that_does_not_come_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.3)
    async with connected(keep_alive=60) as (reader, writer):
        writer.write(begin)
        assert await ended(reader, 5)


async def test_letters_that_trickle_do_not_prolong_the_time_of_a_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.3)
    async with connected(keep_alive=60) as (reader, writer):
        ending = asyncio.ensure_future(ended(reader, 5))
        writer.write(b"GET / HTTP/1.1\r\nx: ")
        while not ending.done():
            writer.write(b"x")
            await asyncio.wait({ending}, timeout=0.05)
        assert ending.result()


async def test_a_body_that_nobody_reads_has_no_longer_than_a_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.3)
    async with connected(keep_alive=60) as (reader, writer):
        writer.write(POST)
        await reader.readuntil(b"hello")
        ending = asyncio.ensure_future(ended(reader, 5))
        while not ending.done():
            with contextlib.suppress(ConnectionError):
                writer.write(b"1\r\nx\r\n")
            await asyncio.wait({ending}, timeout=0.05)
        assert ending.result()


async def test_a_connection_is_idle_again_behind_a_body_that_nobody_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.3)
    async with connected(keep_alive=60) as (reader, writer):
        writer.write(POST)
        await reader.readuntil(b"hello")
        writer.write(b"1\r\nx\r\n")
        await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        assert not await ended(reader, 0.8)
        writer.write(GET)
        await reader.readuntil(b"hello")


async def test_a_large_body_arrives_whole_in_small_reads() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST /length HTTP/1.1\r\nhost: a\r\nconnection: close\r\n")
        writer.write(b"content-length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        assert (await reader.read()).endswith(b"3000000")


async def test_the_rest_of_a_body_that_turns_into_nonsense_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "_LINGER_SECONDS", 60)
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def reading(request: Request) -> Response:
        begun.set()
        with contextlib.suppress(ClientDisconnect):
            return PlainTextResponse(str(await request.body()))
        given_up.set()
        return PlainTextResponse("nobody hears it")

    async with connected(5, Route("/reading", reading, methods=["POST"])) as (reader, writer):
        writer.write(POST.replace(b"/unread", b"/reading"))
        async with asyncio.timeout(5):
            await begun.wait()
            writer.write(b"no length\r\n")
            await given_up.wait()
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
