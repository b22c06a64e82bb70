"""Settings of the cloud-worker."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, https

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class CloudSettings(Settings):
    """What the cloud-worker reads from the environment.

    Attributes:
        enable_object_storage: Whether homes are provisioned at all.
        s3_endpoint_url: Where the S3 API is; Amazon's own when empty.
        s3_bucket: The bucket of all homes.
        s3_region: Region to sign for.
        s3_access_key_id: With the next, the credential.
        s3_secret_access_key: See above.
        s3_create_bucket: Whether a bucket that is missing is made.
        s3_timeout: Seconds that one request may take; two fit into an activity.
    """

    service: ClassVar[str] = "nexpo-cloud"

    enable_object_storage: bool = False
    s3_endpoint_url: Annotated[str, Outside(https)] = ""
    s3_bucket: str = "nexpo"
    s3_region: str = "us-east-1"
    s3_access_key_id: str = ""
    s3_secret_access_key: SecretStr | None = None
    s3_create_bucket: bool = True
    s3_timeout: float = Field(4.0, gt=0, le=60)

    def object_storage_state(self) -> str:
        """ "on", or "off: why"."""
        return "on" if self.enable_object_storage else "off: ENABLE_OBJECT_STORAGE is false"

    def problems(self) -> list[str]:
        """What fields that are well-formed each still get wrong together."""
        problems = super().problems()
        if not _BUCKET.fullmatch(self.s3_bucket):
            problems.append("S3_BUCKET: not the name of a bucket; 3 to 63 of a-z, 0-9, '-' and '.'")
        url = urlsplit(self.s3_endpoint_url)
        if self.s3_endpoint_url and (url.scheme not in ("http", "https") or not url.hostname):
            problems.append("S3_ENDPOINT_URL: not a http:// or https:// URL; correct or unset it")
        if self.enable_object_storage:
            problems += self._credential_problems()
        return problems

    def _credential_problems(self) -> list[str]:
        parts = {
            "S3_ACCESS_KEY_ID": self.s3_access_key_id,
            "S3_SECRET_ACCESS_KEY": self.s3_secret_access_key,
        }
        # On Amazon's own machines the SDK finds a role by itself.
        if not self.s3_endpoint_url and not any(parts.values()):
            return []
        return [
            f"{name}: not set, but ENABLE_OBJECT_STORAGE is true; set it, or set "
            "ENABLE_OBJECT_STORAGE=false"
            for name, value in parts.items()
            if not value
        ]
