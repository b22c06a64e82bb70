"""What the fault proxy does to a connection, seen by a client of an echoing server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from nexpo_dev.fault_proxy import FaultProxy

SOON = 5.0
NEVER = 0.3


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that answers each line with "re: " and the line."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                received.append(line)
                writer.write(b"re: " + line)
        except ConnectionError:
            pass
        writer.close()

    received: list[bytes] = []
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, FaultProxy(server.sockets[0].getsockname()[1]) as proxy:
        proxy.received = received  # type: ignore[attr-defined]  # for the tests below
        yield proxy


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, proxy: FaultProxy) -> "Client":
        """A new connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def ask(self, line: bytes, within: float = SOON) -> bytes:
        """Send a line, give back the answer."""
        self._writer.write(line + b"\n")
        return await self.read(within)

    async def read(self, within: float = SOON) -> bytes:
        """The next line."""
        return (await asyncio.wait_for(self._reader.readline(), within)).rstrip()


async def test_it_passes_everything_on_at_first(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    assert await client.ask(b"one") == b"re: one"


async def test_a_cut_resets_connections_old_and_new_until_healed(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    await client.ask(b"one")
    proxy.cut()
    with pytest.raises(ConnectionError):
        await client.read()
    with pytest.raises(ConnectionError):
        await (await Client.connect(proxy)).ask(b"two")
    proxy.heal()
    assert await (await Client.connect(proxy)).ask(b"three") == b"re: three"


async def test_a_server_that_is_away_looks_like_a_reset() -> None:
    async with FaultProxy(1) as proxy:
        with pytest.raises(ConnectionError):
            await (await Client.connect(proxy)).ask(b"one")


async def test_a_delay_makes_every_answer_late(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.delay(0.2)
    begin = asyncio.get_running_loop().time()
    await client.ask(b"one")
    assert asyncio.get_running_loop().time() - begin >= 0.4


async def test_a_held_reply_comes_after_the_effect_and_the_healing(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.hold_replies()
    with pytest.raises(TimeoutError):
        await client.ask(b"one", within=NEVER)
    await proxy.held()
    assert proxy.received == [b"one\n"]  # type: ignore[attr-defined]  # see the fixture
    proxy.heal()
    assert await client.read() == b"re: one"


async def test_only_the_reply_to_a_chosen_request_is_held(proxy: FaultProxy) -> None:
    client, other = await Client.connect(proxy), await Client.connect(proxy)
    proxy.hold_replies(to=b"COMMIT")
    assert await client.ask(b"INSERT") == b"re: INSERT"
    with pytest.raises(TimeoutError):
        await client.ask(b"COMMIT", within=NEVER)
    assert await other.ask(b"SELECT") == b"re: SELECT"


async def test_only_a_reply_with_chosen_content_is_held(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.hold_replies(containing=b"re: two")
    assert await client.ask(b"one") == b"re: one"
    with pytest.raises(TimeoutError):
        await client.ask(b"two", within=NEVER)


async def test_a_reply_breaks_off_half_way(proxy: FaultProxy) -> None:
    client = await Client.connect(proxy)
    proxy.reset_replies(to=b"COMMIT")
    assert await client.ask(b"INSERT") == b"re: INSERT"
    with pytest.raises((ConnectionError, AssertionError)):
        assert await client.ask(b"COMMIT") == b"re: COMMIT"
    await asyncio.wait_for(proxy.held(), SOON)
    assert proxy.received == [b"INSERT\n", b"COMMIT\n"]  # type: ignore[attr-defined]  # see above
