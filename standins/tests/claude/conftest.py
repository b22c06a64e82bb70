"""A stand-in that is as new for each test, called through Anthropic's own SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anthropic
import httpx
import pytest

from nexpo_dev import servers
from nexpo_dev.pytest_plugin import kept_running
from nexpo_dev.servers.stand_ins import ClaudeServer


@pytest.fixture(scope="module")
def one_for_the_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaudeServer]:
    """Started once: that takes longer than most tests."""
    server = servers.claude(tmp_path_factory.mktemp("claude"))
    with kept_running(server):
        yield server


@pytest.fixture
async def stand_in(one_for_the_file: ClaudeServer) -> ClaudeServer:
    """A stand-in to be made to fail, as if it were new: without faults, and running."""
    if not one_for_the_file.running:
        await one_for_the_file.start()
    async with httpx.AsyncClient(base_url=one_for_the_file.url) as http:
        (await http.delete("/_fault")).raise_for_status()
        (await http.delete("/_requests")).raise_for_status()
    return one_for_the_file


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
