"""Settings of the cloud-worker: everything that is wrong is listed at once."""

from __future__ import annotations

import pytest

from nexpo_cloud_worker.settings import CloudSettings
from nexpo_runtime.settings import SettingsError


def test_with_nothing_set_the_storage_is_off_and_says_why() -> None:
    assert CloudSettings.load().object_storage_state() == "off: ENABLE_OBJECT_STORAGE is false"


def test_everything_wrong_is_listed_at_once_and_no_secret_with_it() -> None:
    with pytest.raises(SettingsError) as failed:
        CloudSettings.load(
            enable_object_storage=True,
            s3_endpoint_url="localhost:8333",
            s3_bucket="A",
            s3_secret_access_key="very-secret-value",
        )

    named = [problem.partition(":")[0] for problem in failed.value.problems]
    assert named == ["S3_BUCKET", "S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID"]
    assert "very-secret-value" not in str(failed.value)


def test_on_amazon_the_credential_may_come_from_the_machine() -> None:
    assert CloudSettings.load(enable_object_storage=True).object_storage_state() == "on"
