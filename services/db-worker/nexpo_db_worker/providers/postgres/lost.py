"""What asyncpg raises when the server cannot be reached, or dies in the middle of a reply."""

from __future__ import annotations

import asyncpg

LOST = (
    *(OSError, TimeoutError, asyncpg.InterfaceError),
    *(EOFError, asyncpg.InternalClientError),  # in the middle of a handshake or a reply
)
