"""A service of Nexpo as a child process: `python -m nexpo_db_worker` and its like."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import httpx

from nexpo_dev import ports
from nexpo_dev.servers.server import Server


class Service(Server):
    """One of the four services, with the whole environment that it gets.

    Args:
        name: "gateway", "db-worker", "cloud-worker" or "ai-worker".
        folder: as in Server.
        port: preferred HTTP port.
        grpc_port: preferred gRPC port.
    """

    patience: ClassVar[float] = 30  # it drains: longer than its SHUTDOWN_TIMEOUT

    def __init__(
        self, name: str, folder: Path, *, port: int | None = None, grpc_port: int | None = None
    ) -> None:
        self.name = name
        super().__init__(folder, port=port)
        self.grpc_port = self.memory.port("grpc_port", grpc_port)
        # The workers' HTTP is for operators anyway; the gateway's is for users.
        self.metrics_port = self.memory.port("metrics_port") if name == "gateway" else self.port
        self.settings: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """Its HTTP address: /ready, /health, /metrics, and the gateway's REST."""
        return f"http://{ports.HOST}:{self.port}"

    @property
    def metrics_url(self) -> str:
        """Its Prometheus metrics."""
        return f"http://{ports.HOST}:{self.metrics_port}/metrics"

    @property
    def grpc_address(self) -> str:
        """host:port of its gRPC."""
        return f"{ports.HOST}:{self.grpc_port}"

    def command(self) -> Sequence[str | Path]:
        """python -m nexpo_..."""
        return [sys.executable, "-m", f"nexpo_{self.name.replace('-', '_')}"]

    def environment(self) -> Mapping[str, str] | None:
        """Its settings and where it listens."""
        return {
            **self.settings,
            "GRPC_ADDRESS": self.grpc_address,
            "HTTP_ADDRESS": f"{ports.HOST}:{self.port}",
            **({"METRICS_PORT": str(self.metrics_port)} if self.name == "gateway" else {}),
            "PYTHONUNBUFFERED": "1",
        }

    async def answers(self) -> bool:
        """Whether /ready says yes."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.url}/ready", timeout=10)
        if answer.status_code != httpx.codes.OK:
            raise ConnectionError(f"not ready: {await self.health()}")
        return True

    async def status(self) -> str:
        """ "ok", "degraded" (it works without something that helps) or "failing"."""
        return str((await self.health())["status"])

    async def health(self) -> Mapping[str, object]:
        """What /health says: status, and each check by name."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"{self.url}/health", timeout=10)
        health: dict[str, object] = answer.json()
        return health
