"""Rules of a fault proxy: each stops some requests, told by their bytes, at one place."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["hold request", "hold reply", "reset reply", "answer", "watch"]


@dataclass(eq=False)
class Rule:
    """What to do with the requests that fit.

    Attributes:
        action: "hold request": keep it from the server. "hold reply": let it take effect and
            keep the reply. "reset reply": pass on the first half of the reply, then reset the
            connection. "answer": give `answer` in the server's place and close. "watch": count.
        contains: what a request must have in it, whatever the case of its letters.
        lacks: what it must not have in it.
        answer: see action.
        armed: whether it strikes; what it holds stays held when it no longer does.
        count: how often it has struck; a rule for replies does when the reply has come.
        landed: how many held requests were answered by the server after their release.
    """

    action: Action
    contains: tuple[bytes, ...] = ()
    lacks: tuple[bytes, ...] = ()
    answer: bytes = b""
    armed: bool = True
    count: int = 0
    landed: int = 0
    _holds: list[asyncio.Future[bool]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def holding(self) -> int:
        """How many requests or replies it holds now."""
        return sum(not hold.done() for hold in self._holds)

    async def struck(self, times: int = 1) -> None:
        """Wait until it has struck so often."""
        await self._until(lambda: self.count >= times)

    async def answered_late(self) -> None:
        """Wait until the server has answered a request that was held and released."""
        await self._until(lambda: self.landed > 0)

    def release(self) -> None:
        """Pass on what is held."""
        self._decide(True)

    def drop(self) -> None:
        """Forget what is held: its connections are reset."""
        self._decide(False)

    def _decide(self, go_on: bool) -> None:
        for hold in self._holds:
            if not hold.done():
                hold.set_result(go_on)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._changed.clear()
            await self._changed.wait()

    # What the proxy asks and tells.

    def fits(self, request: bytes) -> bool:
        """Whether a request (in lower case) is one of those."""
        return (
            self.armed
            and all(part.lower() in request for part in self.contains)
            and not any(part.lower() in request for part in self.lacks)
        )

    def strike(self) -> None:
        """It has struck."""
        self.count += 1
        self._changed.set()

    async def hold(self) -> None:
        """Strike, and wait for the release.

        Raises:
            ConnectionAbortedError: it was dropped instead.
        """
        decision: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._holds.append(decision)
        self.strike()
        if not await decision:
            raise ConnectionAbortedError("dropped by a rule")

    def note_late_answer(self) -> None:
        """The server has answered what was released."""
        self.landed += 1
        self._changed.set()
