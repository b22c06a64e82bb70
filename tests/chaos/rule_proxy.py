"""A fault proxy that knows one request from another: each rule stops one operation at one place.

    rule = proxy.add(Rule("hold request", contains=(b"dev/.../create in mongodb", b"ada@")))
    await rule.struck()  # the request has arrived, its effect has not happened
    rule.disarm()        # later attempts pass
    rule.release()       # the held request goes on, although its sender may be dead

A held request is passed on even when its sender has gone: that is how an effect comes late.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from nexpo_dev import ports
from nexpo_dev.fault_proxy import FaultProxy

_CHUNK = 65536
_TDS_HEADER = 8
_LATE_ANSWER_SECONDS = 10.0
_CONTINUE = b"HTTP/1.1 100"

Action = Literal["hold request", "hold reply", "answer", "watch"]
Unframe = Callable[[bytes], bytes]


@dataclass(eq=False)
class Rule:
    """What to do with the requests that fit.

    Attributes:
        action: "hold request": keep it from the server. "hold reply": let it take effect and
            keep the answer. "answer": give `answer` in the server's place. "watch": count only.
        contains: what a request must have in it, whatever the case of its letters.
        lacks: what it must not have in it.
        answer: see action.
        count: how many requests fitted while it was armed.
        landed: how many held requests were answered by the server after their release.
    """

    action: Action
    contains: tuple[bytes, ...]
    lacks: tuple[bytes, ...] = ()
    answer: bytes = b""
    count: int = 0
    landed: int = 0
    armed: bool = True
    _holds: list[asyncio.Future[bool]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def fits(self, request: bytes) -> bool:
        """Whether a request (in lower case) is one of those."""
        return (
            self.armed
            and all(part.lower() in request for part in self.contains)
            and not any(part.lower() in request for part in self.lacks)
        )

    @property
    def holding(self) -> int:
        """How many requests or replies it keeps now."""
        return sum(not hold.done() for hold in self._holds)

    async def struck(self, times: int = 1) -> None:
        """Wait until so many requests have fitted."""
        while self.count < times:
            self._changed.clear()
            await self._changed.wait()

    async def answered_late(self) -> None:
        """Wait until the server has answered a request that was held and released."""
        while not self.landed:
            self._changed.clear()
            await self._changed.wait()

    def disarm(self) -> None:
        """Later requests pass; what is held stays held."""
        self.armed = False

    def release(self) -> None:
        """Pass on what is held."""
        self._decide(True)

    def let_go(self) -> None:
        """Pass on what is held, and go on holding what comes."""
        self._decide(True)
        self.armed = True

    def drop(self) -> None:
        """Forget what is held: its connections are closed."""
        self._decide(False)

    def _decide(self, go_on: bool) -> None:
        self.armed = False
        for hold in self._holds:
            if not hold.done():
                hold.set_result(go_on)

    # What a connection tells.

    def strike(self) -> None:
        """A request has fitted."""
        self.count += 1
        self._changed.set()

    async def hold(self) -> bool:
        """Wait until it is decided; whether to go on."""
        decision: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._holds.append(decision)
        return await decision

    def note_late_answer(self) -> None:
        """The server has answered what was released."""
        self.landed += 1
        self._changed.set()


class RuleProxy(FaultProxy):
    """Forwards to 127.0.0.1:target; what fits a rule is treated as the rule says.

    FaultProxy's own faults, which strike all requests alike, are none of its.

    Args:
        target: port of the server behind it.
        unframe: takes out of the bytes of a request what would stand between its parts.
    """

    def __init__(self, target: int, unframe: Unframe | None = None) -> None:
        super().__init__(target)
        self._rules: list[Rule] = []
        self._unframe = unframe or bytes

    def add(self, rule: Rule) -> Rule:
        """Follow one more rule; of those that fit, the first one that does not only watch."""
        self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Forget every rule and what it holds."""
        super().heal()
        for rule in self._rules:
            rule.drop()
        self._rules.clear()

    def match(self, request: bytes, seen: set[Rule]) -> Rule | None:
        """The rule for a request, each at most once an exchange; those that watch are told."""
        visible = self._unframe(request).lower()
        chosen: Rule | None = None
        for rule in self._rules:
            if rule in seen or (chosen and rule.action != "watch") or not rule.fits(visible):
                continue
            seen.add(rule)
            rule.strike()
            if rule.action != "watch":
                chosen = rule
        return chosen

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await connection.run()
        finally:
            self._open.discard(task)
            writer.close()

    @property
    def _open(self) -> set[asyncio.Task[None]]:
        opened: set[asyncio.Task[None]] = self.__dict__.setdefault("_tasks", set())
        return opened

    async def __aexit__(self, *error: object) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await super().__aexit__(None, None, None)


class _Connection:
    """One client's connection and its counterpart to the server."""

    def __init__(
        self, proxy: RuleProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_client = reader
        self._to_client = writer
        self._request = b""  # since the last reply
        self._seen: set[Rule] = set()
        self._reply: Rule | None = None  # keeps the next reply
        self._late: Rule | None = None  # waits for the answer to what it released
        self._answered = asyncio.Event()
        self._on_hold = False

    async def run(self) -> None:
        """Forward until one side ends."""
        try:
            await self._reach_server()
        except OSError:
            return
        requests = asyncio.create_task(self._pump_requests())
        try:
            await asyncio.wait((self._replies, requests), return_when=asyncio.FIRST_COMPLETED)
            if self._on_hold:  # the server has closed an idle connection; the request is kept
                await asyncio.wait((requests,))
        finally:
            for pump in (self._replies, requests):
                pump.cancel()
            await asyncio.gather(self._replies, requests, return_exceptions=True)
            self._to_server.close()

    async def _reach_server(self) -> None:
        from_server, self._to_server = await asyncio.open_connection(ports.HOST, self._proxy.target)
        self._replies = asyncio.create_task(self._pump_replies(from_server))

    async def _pump_requests(self) -> None:
        while data := await self._from_client.read(_CHUNK):
            self._request += data
            rule = self._proxy.match(self._request, self._seen)
            if rule is not None and rule.action == "answer":
                self._to_client.write(rule.answer)
                await self._to_client.drain()
                return
            if rule is not None and rule.action == "hold reply":
                self._reply = rule
                self._answered.clear()
            if rule is not None and rule.action == "hold request":
                if not await self._held(rule):
                    return
                if self._replies.done():
                    data = self._request
                    await self._reach_server()
            self._to_server.write(data)
            await self._to_server.drain()
        if self._late or self._reply:
            # The sender is gone, but what was held is to take its course.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._reply else _LATE_ANSWER_SECONDS):
                    await self._answered.wait()

    async def _held(self, rule: Rule) -> bool:
        self._on_hold = True
        if not await rule.hold():
            return False
        self._late = rule
        self._answered.clear()
        return True

    async def _pump_replies(self, from_server: asyncio.StreamReader) -> None:
        while data := await from_server.read(_CHUNK):
            interim = data.startswith(_CONTINUE) and data.endswith(b"\r\n\r\n")
            if self._reply is not None and not interim and not await self._reply.hold():
                return
            if self._late is not None and not interim:
                self._late.note_late_answer()
            if not interim:
                self._reply = self._late = None
                self._on_hold = False
                self._request = b""
                self._seen.clear()
                self._answered.set()
            with contextlib.suppress(ConnectionError):  # who asked may be dead
                self._to_client.write(data)
                await self._to_client.drain()


def without_tds_headers(data: bytes) -> bytes:
    """What a client of SQL Server sent, without the headers between its packets."""
    parts, at = [], 0
    while at + _TDS_HEADER <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length < _TDS_HEADER:
            return data
        parts.append(data[at + _TDS_HEADER : at + length])
        at += length
    return b"".join(parts)
