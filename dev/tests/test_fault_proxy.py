"""What the fault proxy does to a connection, seen by a client and by the server behind it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest

from nexpo_dev import ports
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_dev.fault_rules import Action, Rule

T = TypeVar("T")
NEVER = 0.3


async def soon(awaited: Awaitable[T]) -> T:
    """What must come without being waited for long."""
    return await asyncio.wait_for(awaited, 5)


class Server:
    """Answers each line with "re: " and the line, but "bye" with the end of its side.

    To "expect" it answers first that it wants to hear more, as HTTP servers do.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.left = asyncio.Event()  # a client has ended its side
        self.reset = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.received.append(line.rstrip())
                if line == b"bye\n":
                    writer.write_eof()
                elif line == b"expect\n":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                elif b"bye" not in self.received:
                    writer.write(b"re: " + line)
            self.left.set()
        except ConnectionError:
            self.reset.set()
        writer.close()


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: FaultProxy) -> "Client":
        """A new connection."""
        return cls(*await asyncio.open_connection(ports.HOST, proxy.port))

    def send(self, line: bytes) -> None:
        self.writer.write(line + b"\n")

    async def ask(self, line: bytes) -> bytes:
        """Send a line, give back the answer."""
        self.send(line)
        return await self.read()

    async def read(self) -> bytes:
        """The next line; empty at the end."""
        return (await soon(self._reader.readline())).rstrip()

    async def read_all(self) -> bytes:
        """What comes until the end."""
        return await soon(self._reader.read())

    async def hears_nothing(self) -> None:
        """Sees that no answer comes."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self._reader.readline(), NEVER)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FaultProxy]:
    listening = await asyncio.start_server(server.serve, ports.HOST, 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, FaultProxy(port, record=True) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy) -> Client:
    return await Client.connect(proxy)


async def test_it_passes_everything_on_at_first_and_keeps_it(
    proxy: FaultProxy, client: Client
) -> None:
    assert await client.ask(b"one") == b"re: one"
    assert proxy.carried == b"one\nre: one\n"


def test_it_takes_the_place_of_host_and_port_in_a_url() -> None:
    url = "postgresql://ada:secret@db.example:5432/users?ssl=off"
    proxy = FaultProxy.before(url)
    assert (proxy.host, proxy.target) == ("db.example", 5432)
    assert proxy.through(url) == f"postgresql://ada:secret@127.0.0.1:{proxy.port}/users?ssl=off"


async def test_a_cut_resets_connections_old_and_new_until_healed(
    proxy: FaultProxy, client: Client
) -> None:
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


async def test_it_ends_with_its_block_whatever_is_held_and_frees_its_port(server: Server) -> None:
    listening = await asyncio.start_server(server.serve, ports.HOST, 0)
    async with listening:
        async with FaultProxy(listening.sockets[0].getsockname()[1]) as proxy:
            rule = proxy.add(Rule("hold request", (b"held",)))
            idle, held = await Client.connect(proxy), await Client.connect(proxy)
            await idle.ask(b"one")
            held.send(b"held")
            await soon(rule.struck())
        for client in (idle, held):
            with pytest.raises(ConnectionError):
                await client.read()
        assert ports.is_free(proxy.port)
    assert server.received == [b"one"]


async def test_a_delay_makes_every_answer_late_until_healed(
    proxy: FaultProxy, client: Client
) -> None:
    time = asyncio.get_running_loop().time
    proxy.delay(0.2)
    begin = time()
    await client.ask(b"one")
    assert time() - begin >= 0.4
    proxy.heal()
    begin = time()
    await client.ask(b"two")
    assert time() - begin < 0.4


async def test_in_silence_requests_take_effect_and_replies_come_after_the_healing(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    proxy.silence()
    client.send(b"one")
    await client.hears_nothing()
    assert server.received == [b"one"]
    proxy.heal()
    assert await client.read() == b"re: one"


async def test_a_client_that_has_ended_its_side_still_gets_its_answer(
    server: Server, client: Client
) -> None:
    client.send(b"one")
    client.writer.write_eof()
    assert await client.read() == b"re: one"
    assert await client.read() == b""
    assert server.left.is_set()


async def test_a_server_that_has_ended_its_side_still_hears_its_client(
    server: Server, client: Client
) -> None:
    assert await client.ask(b"bye") == b""
    client.send(b"still here")
    client.writer.write_eof()
    await soon(server.left.wait())
    assert server.received == [b"bye", b"still here"]


async def test_a_reset_by_the_client_reaches_the_server(server: Server, proxy: FaultProxy) -> None:
    async with FaultProxy(proxy.port) as resetting:
        await (await Client.connect(resetting)).ask(b"one")
        resetting.cut()
        await soon(server.reset.wait())
    assert not server.left.is_set()


async def test_a_held_reply_comes_after_the_effect_and_the_release(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    rule = proxy.add(Rule("hold reply", (b"COMMIT",)))
    assert await client.ask(b"INSERT") == b"re: INSERT"
    client.send(b"commit")
    await soon(rule.struck())
    assert server.received == [b"INSERT", b"commit"]
    assert rule.holding == 1
    assert await (await Client.connect(proxy)).ask(b"SELECT") == b"re: SELECT"
    await client.hears_nothing()
    rule.release()
    assert await client.read() == b"re: commit"
    assert rule.holding == 0


async def test_what_is_held_takes_its_course_although_its_sender_has_been_reset(
    server: Server, proxy: FaultProxy
) -> None:
    reply = proxy.add(Rule("hold reply", (b"begin",)))
    request = proxy.add(Rule("hold request", (b"create",)))
    async with FaultProxy(proxy.port) as resetting:
        client = await Client.connect(resetting)
        client.send(b"begin")
        await soon(reply.struck())
        client.send(b"create")
        await soon(request.struck())
    request.armed = False
    assert await (await Client.connect(proxy)).ask(b"create again") == b"re: create again"
    reply.release()
    assert (server.received, request.landed) == ([b"begin", b"create again"], 0)
    request.release()
    await soon(request.answered_late())
    assert (server.received[2:], request.landed) == ([b"create"], 1)


async def test_a_request_to_hear_more_is_not_yet_the_reply(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    rule = proxy.add(Rule("hold reply", (b"expect",)))
    assert await client.ask(b"expect") == b"HTTP/1.1 100 Continue"
    assert rule.count == 0
    client.send(b"more")
    await soon(rule.struck())
    assert server.received == [b"expect", b"more"]


async def test_a_held_request_goes_on_anew_when_the_server_has_closed_meanwhile() -> None:
    visits: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(writer)
        if len(visits) > 1:
            writer.write(b"re: " + await reader.readline())
        else:
            begun.set()
            await rule.struck()
        writer.close()
        closed.set()

    rule, begun, closed = Rule("hold request", (b"create",)), asyncio.Event(), asyncio.Event()
    listening = await asyncio.start_server(serve, ports.HOST, 0)
    async with listening, FaultProxy(listening.sockets[0].getsockname()[1]) as proxy:
        proxy.add(rule)
        client = await Client.connect(proxy)
        client.writer.write(b"cre")
        await soon(begun.wait())
        client.send(b"ate")
        await soon(closed.wait())
        await client.hears_nothing()
        rule.release()
        assert await client.read() == b"re: create"


async def test_a_reply_breaks_off_half_way(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    rule = proxy.add(Rule("reset reply", (b"COMMIT",)))
    assert await client.ask(b"INSERT") == b"re: INSERT"
    with pytest.raises((ConnectionError, AssertionError)):
        assert await client.ask(b"COMMIT") == b"re: COMMIT"
    await soon(rule.struck())
    assert server.received == [b"INSERT", b"COMMIT"]


async def test_an_answer_is_given_in_the_servers_place(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    answer = b"no\n" * 2_000_000
    proxy.add(Rule("answer", (b"PUT",), answer=answer))
    client.send(b"PUT it")
    assert await client.read_all() == answer
    assert server.received == []


@pytest.mark.parametrize("action", ["hold request", "hold reply"])
async def test_what_is_held_at_the_healing_is_reset(
    server: Server, proxy: FaultProxy, client: Client, action: Action
) -> None:
    rule = proxy.add(Rule(action))
    client.send(b"one")
    await soon(rule.struck())
    proxy.heal()
    with pytest.raises(ConnectionError):
        await client.read()
    assert server.received == ([b"one"] if action == "hold reply" else [])


async def test_of_several_rules_the_first_strikes_and_those_that_watch_count(
    proxy: FaultProxy, client: Client
) -> None:
    watching = proxy.add(Rule("watch", (b"one",), lacks=(b"not",)))
    first = proxy.add(Rule("hold reply", (b"one",)))
    second = proxy.add(Rule("answer", (b"one",), answer=b"never\n"))
    client.send(b"not one")
    await soon(first.struck())
    first.release()
    assert await client.read() == b"re: not one"
    first.armed = second.armed = False
    for _ in range(2):
        assert await client.ask(b"one") == b"re: one"
    await soon(watching.struck(times=2))
    assert (watching.count, first.count, second.count) == (2, 1, 0)


async def test_a_rule_sees_a_request_that_comes_in_pieces_without_what_parts_them(
    proxy: FaultProxy, client: Client
) -> None:
    proxy.unframe = lambda data: data.replace(b"-", b"")
    watching = proxy.add(Rule("watch", (b"whole",)))
    for piece in (b"wh-", b"-ole"):
        client.writer.write(piece)
        await client.writer.drain()
        await asyncio.sleep(0.05)
    assert await client.ask(b"") == b"re: wh--ole"
    assert watching.count == 1
