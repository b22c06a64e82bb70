"""A gateway on a real Temporal, with a contract of the tests' own compiled in."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_dev.waiting import eventually as eventually
from nexpo_gateway.server import Started, running_gateway
from nexpo_gateway.settings import GatewaySettings

from .clients import Gateway
from .parcels.contract import with_parcels
from .parcels.workflow import KeepParcel, Packing, ReturnParcel, SendParcel

# One for all tests: they share a server, so each lists what others have encrypted.
ENCRYPTION_KEY = "k1:" + base64.b64encode(b"k" * 32).decode()
KEYS = {
    "acme-key": ("acme", ["*"]),
    "other-key": ("other", ["*"]),
    "reader-key": ("acme", ["parcels.get", "operations.get"]),
}


PARCELS: dict[str, Any] = {
    "contract": with_parcels(),
    "workflows": [SendParcel, ReturnParcel, KeepParcel],
    "services": [Packing()],
}


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return write_keys(tmp_path / "keys.json")


def write_keys(path: Path) -> Path:
    """Writes the key file of all tests."""
    entries = [
        {
            "name": key,
            "tenant": tenant,
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "permissions": permissions,
        }
        for key, (tenant, permissions) in KEYS.items()
    ]
    path.write_text(json.dumps({"keys": entries}))
    return path


@pytest.fixture
def settings(temporal: TemporalAddress, keys_file: Path) -> GatewaySettings:
    return gateway_settings(temporal.url, keys_file)


def gateway_settings(temporal: str, keys_file: Path, **more: object) -> GatewaySettings:
    """Encryption on; a queue of the test's own by the prefix; free ports."""
    return GatewaySettings.load(
        **{
            "environment": "test",
            "temporal_address": temporal,
            "temporal_task_queue": f"{uuid.uuid4().hex[:8]}-",
            "encryption_keys": ENCRYPTION_KEY,
            "api_keys_file": keys_file,
            "grpc_address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "shutdown_timeout": 5,
            **more,
        }
    )


@contextlib.asynccontextmanager
async def running(settings: GatewaySettings, **more: Any) -> AsyncIterator[tuple[Gateway, Started]]:
    """A gateway and its clients."""
    options: Any = {**PARCELS, **more}
    async with (
        running_gateway(settings, **options) as started,
        Gateway(started.grpc_port, started.http_port) as gateway,
    ):
        yield gateway, started


@contextlib.asynccontextmanager
async def ready(settings: GatewaySettings, **more: Any) -> AsyncIterator[Gateway]:
    """The clients of a gateway that is ready."""
    async with running(settings, **more) as (gateway, started):
        await eventually(lambda: started.health.ready)
        yield gateway


@pytest.fixture
async def gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """The clients of a gateway that is ready."""
    async with ready(settings) as gateway:
        yield gateway
