"""Requests whose body is announced and never comes, on every kind of path that needs none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .in_process import gateway_in_process

_ANSWERED_WITHIN = 2.0
# The moment in which a body may still come, or the idle time that these tests set.
_CLOSED_WITHIN = 8.0


@pytest.mark.parametrize("announced", ["content-length: 1000", "transfer-encoding: chunked"])
async def test_a_body_that_never_comes_is_not_waited_for(keys_file: Path, announced: str) -> None:
    async def ask(port: int, target: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{target} HTTP/1.1\r\nhost: nexpo\r\n{announced}\r\n\r\n".encode())
        async with asyncio.timeout(_ANSWERED_WITHIN):
            status = (await reader.readline()).split()[1]
        async with asyncio.timeout(_CLOSED_WITHIN):
            await reader.read()
        writer.close()
        return status

    targets = {
        "GET /live": b"200",
        "POST /live": b"404",
        "POST /nowhere": b"404",
        "POST /v1/users:onboard": b"401",
        "GET /verify?operation=a&token=b": b"200",
        "PUT /verify": b"404",
    }
    async with gateway_in_process(keys_file, http_keep_alive=2) as gateway:
        found = await asyncio.gather(*(ask(gateway.http_port, target) for target in targets))
        assert dict(zip(targets, found, strict=True)) == targets


async def test_a_body_that_trickles_behind_its_answer_ends_the_connection(keys_file: Path) -> None:
    async with gateway_in_process(keys_file) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.http_port)
        writer.write(b"GET /live HTTP/1.1\r\nhost: nexpo\r\ncontent-length: 1000\r\n\r\n")
        reading = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(15):
            while not reading.done():
                writer.write(b"x")
                await asyncio.wait({reading}, timeout=0.5)
        assert reading.exception() is not None or b"200 OK" in reading.result()
        writer.close()
