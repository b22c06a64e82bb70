"""The edge and the processes as processes of their own: each scales alone, and loads its own."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexpo_dev import ports
from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_gateway.engines import QUEUE
from nexpo_gateway.server import Started
from nexpo_gateway.settings import EDGE, PROCESSES, GatewaySettings
from nexpo_runtime.settings import SettingsError
from nexpo_runtime.worker.process import running_worker

from .conftest import ENCRYPTION_KEY, PARCELS, eventually, gateway_settings, running

_IMPORTED = re.compile(r"^import time:.*\|\s+(nexpo_gateway\S*)$", re.MULTILINE)


async def test_what_the_edge_accepts_the_processes_carry_out(
    temporal: TemporalAddress, keys_file: Path
) -> None:
    prefix: dict[str, Any] = {"temporal_task_queue": f"roles-{os.urandom(4).hex()}-"}
    edge = gateway_settings(temporal.url, keys_file, roles="edge", **prefix)
    parts = {name: PARCELS[name] for name in ("workflows", "services")}
    async with running(edge, workflows=(), services=()) as (gateway, started):
        await eventually(lambda: started.health.ready)
        # Nobody polls the queue yet: it is accepted, and waits.
        name = (await gateway.send(plan="finish")).name
        assert not (await gateway.get(name)).done
        await eventually(lambda: not processes_seen(started))
        processes = gateway_settings(temporal.url, keys_file, roles="processes", **prefix)
        async with running_worker(processes, queue=QUEUE, **parts):
            assert (await gateway.wait(name)).done
            assert started.health.ready
            await eventually(lambda: processes_seen(started))


def processes_seen(started: Started) -> bool:
    """Whether the edge's health says that somebody polls the processes' queue."""
    checks: Any = started.health.report()["checks"]
    return bool(checks["processes"]["status"] == "ok")


async def test_an_edge_without_temporal_is_not_ready(keys_file: Path) -> None:
    edge = gateway_settings("127.0.0.1:1", keys_file, roles="edge")
    async with running(edge, workflows=(), services=()) as (_, started):
        assert not started.health.ready


async def test_each_role_loads_only_its_own(
    temporal: TemporalAddress, keys_file: Path, tmp_path: Path
) -> None:
    edge, processes = await asyncio.gather(
        _imported("edge", temporal.url, keys_file, tmp_path),
        _imported("processes", temporal.url, keys_file, tmp_path),
    )

    # What discovery imports by itself is not told, but what that imports is.
    assert "nexpo_gateway.surfaces.rest" in edge
    assert "nexpo_gateway.processes.users.verification" in processes
    assert "nexpo_gateway.processes.mail.smtp" in processes
    loaded = {name for name in edge if name.startswith("nexpo_gateway.processes.")}
    assert loaded == {"nexpo_gateway.processes.mail", "nexpo_gateway.processes.mail.settings"}
    rooms = {name.split(".")[1] for name in processes if "." in name}
    assert not {"surfaces", "http", "calls", "operations", "identity", "content"} & rooms


async def _imported(role: str, temporal: str, keys_file: Path, folder: Path) -> set[str]:
    """The gateway's modules that a process of the role has imported when it is ready."""
    port = ports.choose()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "ROLES": role,
        "ENVIRONMENT": "test",
        "TEMPORAL_ADDRESS": temporal,
        "TEMPORAL_TASK_QUEUE": f"{role}-{os.urandom(4).hex()}-",
        "ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "API_KEYS_FILE": str(keys_file),
        "GRPC_ADDRESS": "127.0.0.1:0",
        "HTTP_ADDRESS": f"127.0.0.1:{port}",
        "DB_WORKER_ADDRESS": "127.0.0.1:1",
    }
    log = folder / f"{role}.log"
    with log.open("wb") as output:
        command = (sys.executable, "-X", "importtime", "-m", "nexpo_gateway")
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=subprocess.DEVNULL, stderr=output
        )
    try:
        await eventually(lambda: _ready(process, port, log), within=60)
    finally:
        process.terminate()
        async with asyncio.timeout(30):
            await process.wait()
    return set(_IMPORTED.findall(await asyncio.to_thread(log.read_text)))


async def _ready(process: Process, port: int, log: Path) -> bool:
    assert process.returncode is None, _end_of(log)
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            answer = await http.get(f"http://127.0.0.1:{port}/ready")
        except httpx.TransportError:
            return False
    return answer.status_code == httpx.codes.OK


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:]


@pytest.mark.parametrize(
    ("roles", "more", "said"),
    [
        ("edge,worker", {}, "ROLES: there is no role 'worker'"),
        (",", {}, "ROLES: names no role"),
        ("edge", {"enable_temporal": "false"}, "ROLES: with ENABLE_TEMPORAL=false one process"),
        ("processes", {"enable_temporal": "false"}, "ROLES: with ENABLE_TEMPORAL=false one"),
    ],
)
def test_roles_that_cannot_be_are_refused(
    roles: str, more: dict[str, object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        gateway_settings("127.0.0.1:1", tmp_path / "keys.json", roles=roles, **more)

    assert said in str(refused.value)


def test_the_keys_of_callers_are_asked_of_the_edge_alone() -> None:
    GatewaySettings.load(environment="test", roles="processes")
    with pytest.raises(SettingsError, match="API_KEYS_FILE: not set"):
        GatewaySettings.load(environment="test", roles="edge")


def test_a_gateway_has_both_roles_unless_it_is_told(tmp_path: Path) -> None:
    settings = GatewaySettings.load(environment="test", api_keys_file=tmp_path / "keys.json")

    assert settings.roles == (EDGE, PROCESSES)
