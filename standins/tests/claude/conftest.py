"""A stand-in of its own for each test, called through Anthropic's own SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anthropic
import httpx
import pytest

from nexpo_dev import servers
from nexpo_dev.servers.stand_ins import ClaudeServer


@pytest.fixture
async def stand_in(tmp_path: Path) -> AsyncIterator[ClaudeServer]:
    """The stand-in, running."""
    async with servers.claude(tmp_path) as server:
        yield server


@pytest.fixture
async def sdk(stand_in: ClaudeServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The real SDK, without its retries."""
    async with anthropic.AsyncAnthropic(
        api_key=stand_in.api_key, base_url=stand_in.url, max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture
async def control(stand_in: ClaudeServer) -> AsyncIterator[httpx.AsyncClient]:
    """Its end points for tests: /_fault and /_requests."""
    async with httpx.AsyncClient(base_url=stand_in.url) as http:
        yield http
