"""Settings of the gateway."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from nexpo_runtime.settings import Environment, GrpcListener, HttpListener, Names, Workers
from nexpo_runtime.transport import hosts_of, stays_here

from .processes.mail.settings import NotificationSettings

EDGE, PROCESSES = "edge", "processes"
DEVELOPMENT_KEYS_FILE = Path(".nexpo/api-keys.json")


class GatewaySettings(NotificationSettings):
    """What the gateway reads beside what every service does."""

    service: ClassVar[str] = "nexpo-gateway"

    roles: Names = (EDGE, PROCESSES)
    grpc_address: GrpcListener = "127.0.0.1:8450"
    http_address: HttpListener = "127.0.0.1:8451"

    http_keep_alive: float = Field(
        75, gt=0, le=3600, description="seconds that an idle HTTP connection stays open"
    )

    api_keys_file: Path | None = None
    address_rate_limit: float = Field(
        5000, gt=0, description="calls a second that one address may make, whatever they are"
    )
    address_rate_burst: int = Field(
        10_000, ge=1, description="calls at once that one address may make"
    )
    rate_limit: float = Field(500, gt=0, description="calls a second that one credential may make")
    rate_burst: int = Field(1000, ge=1, description="calls at once that one credential may make")
    public_rate_limit: float = Field(
        50, gt=0, description="calls a second without a credential that one address may make"
    )
    public_rate_burst: int = Field(
        200, ge=1, description="calls at once without a credential that one address may make"
    )

    db_worker_address: Workers = ()
    cloud_worker_address: Workers = ()
    ai_worker_address: Workers = ()

    def problems(self) -> list[str]:
        found = super().problems()
        found += [
            f"ROLES: there is no role {name!r}; write edge, processes or both"
            for name in self.roles
            if name not in (EDGE, PROCESSES)
        ]
        if not self.roles:
            found.append("ROLES: names no role; write edge, processes or both")
        elif not self.enable_temporal and not (self.serves_edge and self.runs_processes):
            found.append(
                "ROLES: with ENABLE_TEMPORAL=false one process has both; remove it, or switch"
                " Temporal on"
            )
        if self.serves_edge and self.api_keys_file is None and not self.may_make_key:
            found.append(
                "API_KEYS_FILE: not set; give the path of a file with API keys (a key is made by "
                "itself only with ENVIRONMENT=development and both addresses on 127.0.0.1)"
            )
        return found

    @property
    def serves_edge(self) -> bool:
        """Whether users' calls are served here."""
        return EDGE in self.roles

    @property
    def runs_processes(self) -> bool:
        """Whether workflows and their activities run here."""
        return PROCESSES in self.roles

    @property
    def keys_file(self) -> Path:
        """Where the API keys are."""
        return self.api_keys_file or DEVELOPMENT_KEYS_FILE

    @cached_property
    def may_make_key(self) -> bool:
        """Whether a missing key file is made: for a developer, and out of everyone else's reach."""
        hosts = [*hosts_of(self.grpc_address), *hosts_of(self.http_address)]
        return self.environment is Environment.DEVELOPMENT and all(map(stays_here, hosts))

    @property
    def workers(self) -> dict[str, tuple[str, ...]]:
        """Addresses of the workers' own gRPC by the worker's name."""
        return {
            "nexpo-db": self.db_worker_address,
            "nexpo-cloud": self.cloud_worker_address,
            "nexpo-ai": self.ai_worker_address,
        }
