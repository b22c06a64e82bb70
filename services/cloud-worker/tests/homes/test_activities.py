"""The activities as a workflow sees them, under Temporal's own activity environment."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from temporalio.testing import ActivityEnvironment

from nexpo.cloud.v1.cloud_pb2 import CreateHomeRequest, EraseHomeRequest, RemoveHomeRequest
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_cloud_worker.homes.activities import CloudActivities
from nexpo_cloud_worker.homes.homes import Homes, home_prefix
from nexpo_cloud_worker.object_stores.s3 import S3Store
from nexpo_runtime.errors import Fault
from nexpo_runtime.worker import activity
from nexpo_runtime.worker.activity import ActivityContext


async def test_a_home_lies_under_the_callers_tenant(store: S3Store, tenant: str) -> None:
    with activity.within(ActivityContext(tenant, "operation", 1)):
        created = await CloudActivities(store).create_home(
            CreateHomeRequest(key="key", user_id="user")
        )

    assert created.uri == store.uri(f"homes/{tenant}/user/")


async def test_erasing_heartbeats_and_counts_on_from_the_last_heartbeat(
    homes: Homes, store: S3Store, tenant: str
) -> None:
    await homes.create(tenant, "key", "user")
    for name in ("a", "b"):
        await store.put(home_prefix(tenant, "user") + name, b"x", {})
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, heartbeat_details=[40])
    heartbeats: list[object] = []
    environment.on_heartbeat = lambda *details: heartbeats.extend(details)
    activities = CloudActivities(store)

    async def erase() -> int:
        with activity.within(ActivityContext(tenant, "operation", 2)):
            request = EraseHomeRequest(key=f"key-{uuid.uuid4()}", user_id="user")
            return (await activities.erase_home(request)).objects

    assert await environment.run(erase) == 42
    assert heartbeats[0] == 40


async def test_switched_off_nothing_is_provisioned_and_undo_ends(tenant: str) -> None:
    off = CloudActivities(None)
    with activity.within(ActivityContext(tenant, "operation", 1)):
        with pytest.raises(Fault) as failed:
            await off.create_home(CreateHomeRequest(key="key", user_id="user"))
        await off.remove_home(RemoveHomeRequest(key="key", user_id="user"))

    assert failed.value.reason == Reason.REASON_STORE_DISABLED
