"""Services of a contract with more in it, as processes: generated, started, reached."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import httpx

from nexpo_tools.generate import ROOT, generate

ADDED = Path(__file__).parent / "added"
# One tenant's credentials: one that may do everything, one that may only count.
KEYS = {"all-key": ["*"], "count-key": ["votes.count"]}


def build(root: Path) -> None:
    """Makes a workspace of the checkout's contract and gateway, and of what is added.

    What is added is two files: a proto, and the module of its workflow.
    """
    shutil.copytree(ROOT / "proto", root / "proto")
    proto = root / "proto/nexpo/votes/v1/votes.proto"
    proto.parent.mkdir(parents=True)
    shutil.copyfile(ADDED / "votes.proto", proto)
    generate(root / "proto", root)
    package = root / "services/gateway/nexpo_gateway"
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "services/gateway/nexpo_gateway", package, ignore=unwanted)
    shutil.copyfile(ADDED / "open_vote.py.txt", package / "processes/open_vote.py")


def environment(root: Path) -> dict[str, str]:
    """The environment in which the workspace's packages come before the checkout's."""
    path = os.pathsep.join([str(root / "shared/contracts"), str(root / "services/gateway")])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass
class ExtendedService:
    """A service of a workspace, as a process.

    Attributes:
        root: Where it runs and logs.
        temporal: host:port of the Temporal server.
        packages: The environment in which the workspace's packages are found.
        queue_prefix: Of its task queues: the server is shared by all tests.
        settings: More of its variables.
        url: Of its HTTP, once it has started.
    """

    module: ClassVar[str]

    root: Path
    temporal: str
    packages: dict[str, str]
    queue_prefix: str = field(default_factory=lambda: f"{uuid.uuid4().hex[:8]}-")
    settings: dict[str, str] = field(default_factory=dict)
    url: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, within: float = 90.0) -> None:
        """Starts it and waits until it is ready.

        Raises:
            AssertionError: It is not; holds its log.
        """
        log = self.root / "service.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=self.root,
                env={**self.packages, **self._settings()},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + within
        while not self._ready(log.read_text(errors="replace")):
            assert self._process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < end, log.read_text(errors="replace")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it as an orchestrator does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _ready(self, log: str) -> bool:
        """Whether it is, at the addresses that it says in its log."""
        if not self._found(log):
            return False
        try:
            return httpx.get(f"{self.url}/ready", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _found(self, log: str) -> bool:
        """Whether its log has said where it listens."""
        said = _said(log, "serving HTTP")
        if said is not None:
            self.url = f"http://127.0.0.1:{said['ports'][0]}"
        return said is not None

    def _settings(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": "test",
            "TEMPORAL_ADDRESS": self.temporal,
            "TEMPORAL_TASK_QUEUE": self.queue_prefix,
            "ENCRYPTION_KEYS": "k1:" + base64.b64encode(b"k" * 32).decode(),
            "GRPC_ADDRESS": "127.0.0.1:0",
            "HTTP_ADDRESS": "127.0.0.1:0",
            **self.settings,
        }


@dataclass
class ExtendedWorker(ExtendedService):
    """The db-worker."""

    module: ClassVar[str] = "nexpo_db_worker"


@dataclass
class ExtendedGateway(ExtendedService):
    """The gateway.

    Attributes:
        grpc_address: host:port of its gRPC, once it has started.
    """

    module: ClassVar[str] = "nexpo_gateway"

    grpc_address: str = ""

    def _found(self, log: str) -> bool:
        said = _said(log, "serving")
        if said is not None:
            self.grpc_address = f"127.0.0.1:{said['grpc_port']}"
            self.url = f"http://127.0.0.1:{said['http_ports'][0]}"
        return said is not None

    def _settings(self) -> dict[str, str]:
        keys = [
            {
                "name": key,
                "tenant": "acme",
                "sha256": hashlib.sha256(key.encode()).hexdigest(),
                "permissions": permissions,
            }
            for key, permissions in KEYS.items()
        ]
        file = self.root / "api-keys.json"
        file.write_text(json.dumps({"keys": keys}))
        return {**super()._settings(), "API_KEYS_FILE": str(file)}


def _said(log: str, event: str) -> dict[str, Any] | None:
    """A line of the log, by its event."""
    found = re.search(rf'^.*"event": *"{event}".*$', log, re.MULTILINE)
    said: dict[str, Any] | None = json.loads(found[0]) if found else None
    return said
