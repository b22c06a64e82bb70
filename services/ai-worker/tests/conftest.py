"""Claude, by the stand-in through the real SDK, or the real one: see TEST_ANTHROPIC_API_KEY."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from pydantic import SecretStr

from nexpo_ai_worker.claude.client import Claude, open_claude
from nexpo_ai_worker.settings import AiSettings
from nexpo_dev import servers
from nexpo_dev.pytest_plugin import ClaudeAddress, kept_running
from nexpo_dev.servers.stand_ins import ClaudeServer

OpenClaude = Callable[..., contextlib.AbstractAsyncContextManager[Claude]]


def _settings(url: str, key: str, changes: dict[str, object]) -> AiSettings:
    values: dict[str, object] = {
        "enable_claude": True,
        "anthropic_base_url": url,
        "anthropic_api_key": SecretStr(key),
    }
    return AiSettings.load(**{**values, **changes})


@pytest.fixture
async def well(claude: ClaudeAddress) -> AsyncIterator[Claude]:
    """Claude without faults, shared with other tests: perhaps the real one."""
    async with open_claude(_settings(claude.url, claude.api_key, {})) as opened:
        yield opened


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
async def control(stand_in: ClaudeServer) -> AsyncIterator[httpx.AsyncClient]:
    """Its /_fault and /_requests."""
    async with httpx.AsyncClient(base_url=stand_in.url) as http:
        yield http


@pytest.fixture
def opened(stand_in: ClaudeServer) -> OpenClaude:
    """Opens the client on the test's own stand-in; keyword arguments replace settings."""

    def open_with(**changes: object) -> contextlib.AbstractAsyncContextManager[Claude]:
        return open_claude(_settings(stand_in.url, stand_in.api_key, changes))

    return open_with
