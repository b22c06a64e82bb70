"""Each service, installed from its lock into an environment of its own, starts alone.

The wheels are built as a release would, so a file that a wheel forgets is missed here. Packages
come from uv's cache, or from the registry that uv is set up for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.requirements import Requirement

from nexpo_dev import ports
from nexpo_dev.pytest_plugin import PostgresAddress, TemporalAddress
from nexpo_dev.servers.process import Process, last_lines

pytestmark = [pytest.mark.timeout(300), pytest.mark.verify]

ROOT = Path(__file__).parents[2]
OWN = ("shared/contracts", "shared/runtime")
_UV = (sys.executable, "-m", "uv")


@dataclass(frozen=True)
class Expected:
    """What a service says at its start with nothing but its defaults.

    Attributes:
        queue: The queue that it polls.
        providers: Their states.
        strangers: Modules of other services' dependencies.
    """

    queue: str
    providers: Mapping[str, str]
    strangers: tuple[str, ...]


_DRIVERS = ("asyncpg", "motor", "azure.cosmos", "pytds", "supabase")
SERVICES = {
    "gateway": Expected(
        "nexpo-gateway",
        {"mail": "off: SMTP_URL is not set"},
        (*_DRIVERS, "aiobotocore", "anthropic"),
    ),
    "db-worker": Expected(
        "nexpo-db",
        {
            "postgres": "on",
            "mongodb": "off: ENABLE_MONGODB is false",
            "cosmosdb": "off: ENABLE_COSMOSDB is false",
            "sqlserver": "off: ENABLE_SQLSERVER is false",
            "supabase": "off: ENABLE_SUPABASE is false",
        },
        ("aiobotocore", "anthropic", "aiosmtplib", "argon2", "protovalidate"),
    ),
    "cloud-worker": Expected(
        "nexpo-cloud",
        {"object_storage": "off: ENABLE_OBJECT_STORAGE is false"},
        (*_DRIVERS, "anthropic", "aiosmtplib", "argon2", "protovalidate"),
    ),
    "ai-worker": Expected(
        "nexpo-ai",
        {"claude": "off: ENABLE_CLAUDE is false"},
        (*_DRIVERS, "aiobotocore", "aiosmtplib", "argon2", "protovalidate"),
    ),
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel of each own package that a service needs, by its folder."""
    folder = tmp_path_factory.mktemp("wheels")
    built = {}
    for package in (*OWN, *(f"services/{service}" for service in SERVICES)):
        target = folder / package
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, at=package)
        (built[package],) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=SERVICES)
def installed(
    request: pytest.FixtureRequest,
    wheels: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path]:
    """A service's name, and the Python of its environment."""
    service: str = request.param
    folder = tmp_path_factory.mktemp(service)
    python = folder / "venv/bin/python"
    run(*_UV, "venv", "-q", "--no-project", "--python", sys.executable, folder / "venv")
    install = (*_UV, "pip", "install", "-q", "--python", python)
    run(*install, "--require-hashes", "-r", ROOT / f"services/{service}/requirements.txt")
    own = [wheels[package] for package in (*OWN, f"services/{service}")]
    run(*install, "--no-deps", *own)
    return service, python


def test_its_lock_is_all_that_it_needs(installed: tuple[str, Path]) -> None:
    service, python = installed
    run(*_UV, "pip", "check", "--python", python)
    listed = json.loads(run(*_UV, "pip", "list", "--format", "json", "--python", python))
    own = {"nexpo-contracts", "nexpo-runtime", f"nexpo-{service}"}
    assert {entry["name"] for entry in listed} == locked(service) | own


def test_nothing_of_another_service_can_be_imported(installed: tuple[str, Path]) -> None:
    service, python = installed
    others = [f"nexpo_{name.replace('-', '_')}" for name in SERVICES if name != service]
    asked = [
        *others,
        "nexpo_dev",
        "nexpo_standins",
        "nexpo_cli",
        "pytest",
        *SERVICES[service].strangers,
    ]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError: continue\n"
        "    print(name)\n"
    )
    assert run(python, "-I", "-c", program, *asked) == ""


async def test_it_starts_alone_and_says_what_it_is(
    installed: tuple[str, Path],
    temporal: TemporalAddress,
    postgres: PostgresAddress,
    tmp_path: Path,
) -> None:
    service, python = installed
    expected = SERVICES[service]
    prefix = f"alone-{uuid.uuid4().hex[:8]}-"
    settings = {
        "TEMPORAL_ADDRESS": temporal.url,
        "TEMPORAL_NAMESPACE": temporal.namespace,
        "TEMPORAL_TASK_QUEUE": prefix,
    }
    if service == "db-worker":
        settings |= {"ENABLE_POSTGRES": "true", "DATABASE_URL": postgres.url}
    async with started(service, python, tmp_path, settings) as process:
        said = process.said("starting")
        assert said["queue"] == prefix + expected.queue
        assert said["providers"] == expected.providers
        await process.says('"event": "polling"')
        assert process.said("polling")["queue"] == prefix + expected.queue
        process.stop()
        assert await process.ended() == 0
        assert process.said("stopped")


async def test_without_temporal_it_starts_too_and_says_that_it_waits(
    installed: tuple[str, Path], tmp_path: Path
) -> None:
    service, python = installed
    settings = {"TEMPORAL_ADDRESS": f"127.0.0.1:{ports.choose()}"}
    if service == "db-worker":
        settings |= {"ENABLE_POSTGRES": "true", "DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}
    async with started(service, python, tmp_path, settings, ready=False) as process:
        await process.says("temporal cannot be reached")
        assert (await process.get("/live")).status_code == 200
        assert (await process.get("/ready")).status_code == 503


class Alone:
    """A service that runs in its own environment."""

    def __init__(self, process: Process, log: Path, url: str) -> None:
        self._process = process
        self.log = log
        self._url = url

    def said(self, event: str) -> dict[str, Any]:
        """The first line of its log about an event."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        found: dict[str, Any] = next(
            entry for entry in map(json.loads, lines) if entry["event"] == event
        )
        return found

    async def says(self, text: str) -> None:
        """Waits until it has."""
        async with asyncio.timeout(90):
            while text not in self.log.read_text():  # noqa: ASYNC110  # another process's file
                await asyncio.sleep(0.05)

    async def get(self, path: str) -> httpx.Response:
        """Asks its HTTP."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.get(self._url + path)

    async def answers(self, path: str) -> None:
        """Waits until it says yes."""
        async with asyncio.timeout(60):
            while True:
                assert self._process.exit_code is None, last_lines(self.log)
                with contextlib.suppress(httpx.TransportError):
                    if (await self.get(path)).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM."""
        os.kill(self._process.pid, signal.SIGTERM)

    async def ended(self) -> int | None:
        """Its exit code, once it has ended."""
        await self._process.ended(within=40)
        return self._process.exit_code


@contextlib.asynccontextmanager
async def started(
    service: str, python: Path, folder: Path, settings: Mapping[str, str], ready: bool = True
) -> AsyncIterator[Alone]:
    """`python -m` the service, with these settings and nothing else around it."""
    http = ports.choose()
    log = folder / "service.log"
    process = Process(
        [python, "-m", f"nexpo_{service.replace('-', '_')}"],
        log,
        environment={
            **settings,
            "PATH": os.environ["PATH"],
            "HTTP_ADDRESS": f"127.0.0.1:{http}",
            "GRPC_ADDRESS": f"127.0.0.1:{ports.choose()}",
        },
    )
    alone = Alone(process, log, f"http://127.0.0.1:{http}")
    try:
        await alone.answers("/ready" if ready else "/live")
        yield alone
    finally:
        await process.kill()


def locked(service: str) -> set[str]:
    """Names in a service's lock that this platform gets."""
    lock = (ROOT / f"services/{service}/requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([A-Za-z0-9._-]+==[^\\\n]+)", lock, re.MULTILINE)
    wanted = [Requirement(pin.strip()) for pin in pins]
    return {one.name.lower() for one in wanted if one.marker is None or one.marker.evaluate()}


def run(*command: object, at: str = ".") -> str:
    """What a command prints. Raises: AssertionError: It failed."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT / at,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
