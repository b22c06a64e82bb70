"""The recorded histories, and what it takes to replay them.

They are what Temporal holds: signed with the key below, which protects nothing;
in clear, so that people can read them, but for CheckHealth's, which are encrypted.
Each is told by a test of its workflow, with the fixture `recorder`; `make record`
runs those tests and writes what is not there. A history that does not
replay any more is a running operation that would be stuck: a changed workflow
needs `flow.patched`, not a new recording. A new workflow needs its histories from
the release on that has its RPC.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import descriptor_pb2
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from nexpo_runtime.settings import Settings
from nexpo_runtime.testing import replayer
from nexpo_runtime.workflow.temporal_engine import use_temporal

HISTORIES = Path(__file__).with_name("histories")
RELEASED = Path(__file__).parents[2] / "proto/released.binpb"


@dataclass(frozen=True)
class Recorded:
    """One recorded history.

    Attributes:
        workflow: Short name of its type: OnboardUser.
        scenario: What happened, in a few words.
        history: As Temporal had it.
    """

    workflow: str
    scenario: str
    history: WorkflowHistory

    @property
    def last_event(self) -> str:
        """How it ended: WORKFLOW_EXECUTION_COMPLETED and its like."""
        return EventType.Name(self.history.events[-1].event_type).removeprefix("EVENT_TYPE_")

    def activities(self) -> list[str]:
        """Ids of the activities that were scheduled: the names of the steps."""
        return [
            event.activity_task_scheduled_event_attributes.activity_id
            for event in self.history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]


def settings(**more: str) -> Settings:
    """With the keys of the recordings."""
    key = base64.b64encode(b"only for recorded tests, 32 byte").decode()
    known = {"SERVICE_KEY": "recorded-histories-only", "ENCRYPTION_KEYS": f"recorded:{key}"}
    return Settings.load(ENVIRONMENT="test", **{**known, **more})


def histories() -> list[Recorded]:
    """Every recording, by type and scenario."""
    return [read(path) for path in sorted(HISTORIES.glob("*/*.json"))]


def read(path: Path) -> Recorded:
    """One recording."""
    text = path.read_text(encoding="utf-8")
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    history = WorkflowHistory.from_json(started["workflowId"], text)
    return Recorded(path.parent.name, path.stem.replace("_", " "), history)


@functools.cache
def _released() -> frozenset[str]:
    """Full names of every RPC of the released contract."""
    files = descriptor_pb2.FileDescriptorSet.FromString(RELEASED.read_bytes()).file
    return frozenset(
        f"{file.package}.{method.name}"
        for file in files
        for service in file.service
        for method in service.method
    )


def is_released(rpc: str) -> bool:
    """Whether operations of this RPC may be running somewhere."""
    return rpc in _released()


def todays(workflows: Iterable[type]) -> Replayer:
    """Replays the recordings on these workflows."""
    use_temporal()
    return replayer(settings(), workflows)
