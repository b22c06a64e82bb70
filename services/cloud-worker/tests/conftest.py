"""Homes on a real object storage; each test keeps to a tenant of its own."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import pytest
from pydantic import SecretStr

from nexpo_cloud_worker.homes.homes import Homes
from nexpo_cloud_worker.object_stores.s3 import S3Store, open_s3
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_dev.pytest_plugin import ObjectStorageAddress

MakeSettings = Callable[..., CloudSettings]


@pytest.fixture
def settings(object_storage: ObjectStorageAddress) -> MakeSettings:
    """Makes settings for the storage; keyword arguments replace fields."""

    def make(**changes: object) -> CloudSettings:
        values: dict[str, object] = {
            "enable_object_storage": True,
            "s3_endpoint_url": object_storage.url,
            "s3_bucket": object_storage.bucket,
            "s3_region": object_storage.region,
            "s3_access_key_id": object_storage.access_key_id,
            "s3_secret_access_key": SecretStr(object_storage.secret_access_key),
            # SeaweedFS makes writers of one key queue for its lock by the second.
            "s3_timeout": 60.0,
        }
        return CloudSettings.load(**{**values, **changes})

    return make


@pytest.fixture
async def store(settings: MakeSettings) -> AsyncIterator[S3Store]:
    """The storage."""
    async with open_s3(settings()) as opened:
        yield opened


@pytest.fixture
def homes(store: S3Store) -> Homes:
    """Homes in it."""
    return Homes(store)


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has."""
    return f"tenant-{uuid.uuid4()}"
