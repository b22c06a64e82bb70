"""The body of an HTTP request: read when the call was admitted, and not before.

A refusal need not wait for a body, and must not: whoever is refused could send
one for ever. But a connection that is closed while the client still sends is
reset, and the client sees that instead of the answer. So the answer goes out
whole, what still comes is thrown away for a moment, and then the connection ends.

Source: RFC 9112, section 9.6, "Tear-down".
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..content.sizes import MESSAGE_LIMIT, WIRE_LIMIT, over_limit
from ..context import CallContext

_BODY_SECONDS = 30.0
_LINGER_SECONDS = 3.0


class Body:
    """The body of one request.

    Args:
        headers: The request's.
        receive: Gives the next piece, as ASGI has it.
    """

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        self._length = _announced(headers)
        self._unread = self._length != 0

    async def read(self, context: CallContext, limit: int = MESSAGE_LIMIT) -> bytes:
        """All of it, within the limits of size and time.

        Args:
            context: The call's: the caller's deadline is a limit, too.
            limit: The most bytes.

        Raises:
            Fault: MESSAGE_TOO_LARGE.
            TimeoutError: It did not come in time.
        """
        if self._length is not None and self._length > limit:
            raise over_limit(limit)
        body = bytearray()
        async with asyncio.timeout(context.limit(_BODY_SECONDS)):
            while self._unread:
                body += await self._piece()
                if len(body) > limit:
                    raise over_limit(limit)
        return bytes(body)

    async def answer(self, response: Response, scope: Scope, send: Send) -> None:
        """Sends the response; ends the connection when the body was not read."""
        if not self._unread:
            await response(scope, self._receive, send)
            return
        response.headers["connection"] = "close"
        await response(scope, self._receive, _left_open(send))
        await self._drain()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self) -> None:
        left = WIRE_LIMIT
        with contextlib.suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._unread and left > 0:
                    left -= len(await self._piece())

    async def _piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._unread = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def _announced(headers: Headers) -> int | None:
    """How many bytes will come by the head; None when it does not say."""
    if "transfer-encoding" in headers:
        return None
    # What is no number the HTTP server has refused.
    return int(headers.get("content-length", "0"))


def _left_open(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "more_body": True}
        await send(message)

    return sending
