"""The stand-in encrypts as MS-TDS says, and lets nobody in otherwise where it must."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytds
import pytest

from nexpo_dev.certificates import Authority
from nexpo_standins.sqlserver.login import Access, Encrypt, agreed_encryption, prelogin_reply
from nexpo_standins.sqlserver.packets import Kind, framed
from nexpo_standins.sqlserver.server import Server
from nexpo_standins.sqlserver.wire import Encryption

NOWHERE = "postgresql://127.0.0.1:1/none"
OFF, ON, NOT, REQ = Encrypt.LOGIN_ONLY, Encrypt.ON, Encrypt.NOT_SUPPORTED, Encrypt.REQUIRED


@pytest.fixture
async def forced(tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """Port of a server that forces encryption, and its authority."""
    authority = Authority()
    pair = authority.issue(tmp_path, "127.0.0.1")
    access = Access("ada", "secret", "nexpo")
    server = Server(access, NOWHERE, Encryption(*pair), required=True)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1], authority.write(tmp_path)


@pytest.mark.parametrize(
    ("able", "required", "answers"),
    [
        (False, False, {OFF: NOT, ON: NOT, NOT: NOT, REQ: NOT}),
        (True, False, {OFF: OFF, ON: ON, NOT: NOT, REQ: ON}),
        (True, True, {OFF: ON, ON: ON, NOT: REQ, REQ: ON}),
    ],
)
def test_prelogin_is_answered_as_the_protocols_table_says(
    able: bool, required: bool, answers: dict[Encrypt, Encrypt]
) -> None:
    assert {one: agreed_encryption(one, able, required) for one in Encrypt} == answers


async def test_a_client_without_encryption_does_not_come_in_where_it_is_forced(
    forced: tuple[int, Path], connect: Callable[..., Any]
) -> None:
    url = f"mssql://ada:secret@127.0.0.1:{forced[0]}/nexpo"
    with pytest.raises(pytds.Error, match="required by server"):
        await asyncio.to_thread(connect, url)


@pytest.mark.parametrize(("protocols", "answered"), [(["tds/8.0"], True), (["h2"], False)])
async def test_tls_first_is_for_tds_8_alone(
    forced: tuple[int, Path], protocols: list[str], answered: bool
) -> None:
    port, authority = forced
    context = ssl.create_default_context(cafile=authority)
    context.set_alpn_protocols(protocols)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(framed(prelogin_reply(NOT), Kind.PRELOGIN))
        reply = await asyncio.wait_for(reader.read(100), 90)
    except ConnectionError:
        reply = b""
    writer.close()
    assert reply.startswith(bytes([Kind.REPLY])) is answered
    assert bool(reply) is answered
