"""Object storage over the S3 API, by aiobotocore."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from nexpo_runtime.telemetry import logs

from ..settings import CloudSettings
from .object_store import ObjectEntry, ObjectStore
from .s3_errors import code_of, fault_of, fault_of_code

_CONNECT_SECONDS = 2.0
_CONNECTIONS = 50
_NO_BUCKET = ("NoSuchBucket", "404")
_NO_OBJECT = ("NoSuchKey",)
_EXISTS = ("PreconditionFailed",)
_BUCKET_EXISTS = ("BucketAlreadyExists", "BucketAlreadyOwnedByYou")

_log = logs.get(__name__)


class S3Store(ObjectStore):
    """An ObjectStore in one bucket, which is made when it is missing and that is allowed.

    Args:
        client: aiobotocore's client of S3, its own retries off.
        settings: Bucket and limits.
    """

    def __init__(self, client: object, settings: CloudSettings) -> None:
        self._client = client
        self._bucket = settings.s3_bucket
        self._region = settings.s3_region
        self._may_create = settings.s3_create_bucket
        self._timeout = settings.s3_timeout

    def uri(self, key: str) -> str:
        """s3://bucket/key."""
        return f"s3://{self._bucket}/{key}"

    async def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Writes an object where there is none, by If-None-Match. False when there is one."""
        answer = await self._request(
            "put_object",
            _EXISTS,
            Key=key,
            Body=body,
            Metadata=dict(metadata),
            IfNoneMatch="*",
        )
        return answer is not None

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Writes an object, whatever was there."""
        await self._request("put_object", Key=key, Body=body, Metadata=dict(metadata))

    async def get(self, key: str) -> bytes | None:
        """Reads a whole object; None when there is none."""
        answer = await self._request("get_object", _NO_OBJECT, Key=key)
        return None if answer is None else bytes(answer["Body"])

    async def page(self, prefix: str, after: str = "", limit: int = 1000) -> list[ObjectEntry]:
        """At most `limit` objects behind `after`; fewer only where there are no more."""
        entries: list[ObjectEntry] = []
        more = {"StartAfter": after} if after else {}
        while len(entries) < limit:
            asked = limit - len(entries)
            answer = await self._request("list_objects_v2", Prefix=prefix, MaxKeys=asked, **more)
            assert answer is not None
            for item in answer.get("Contents", ()):
                entries.append(ObjectEntry(item["Key"], item["Size"], item["LastModified"]))
            if not answer.get("IsTruncated"):
                break
            more = {"ContinuationToken": answer["NextContinuationToken"]}
        return entries

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes at most 1000 objects; what does not exist counts as deleted."""
        objects = [{"Key": key} for key in keys]
        answer = await self._request("delete_objects", Delete={"Objects": objects, "Quiet": True})
        errors = (answer or {}).get("Errors", ())
        for error in errors:
            if error.get("Code") not in _NO_OBJECT:
                raise fault_of_code(str(error.get("Code", "")), status=0)

    async def ping(self) -> None:
        """Answers when the bucket does; makes it when it is missing and that is allowed."""
        await self._request("head_bucket")

    async def _request(
        self, operation: str, expected: Collection[str] = (), **arguments: object
    ) -> dict[str, Any] | None:
        """Makes one request; None when it fails with a code that is expected.

        Raises:
            Fault: It failed otherwise.
        """
        for bucket_made in (False, True):
            try:
                return await self._send(operation, Bucket=self._bucket, **arguments)
            except ClientError as error:
                if code_of(error) in expected:
                    return None
                if bucket_made or not self._may_create or code_of(error) not in _NO_BUCKET:
                    raise fault_of(error) from error
            except Exception as error:
                # All of them: an answer that is no answer makes the SDK raise nearly anything.
                raise fault_of(error) from error
            await self._make_bucket()
        raise AssertionError("the second try returns or raises")

    async def _make_bucket(self) -> None:
        more: dict[str, object] = {}
        if self._region != "us-east-1":
            more["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        try:
            await self._send("create_bucket", Bucket=self._bucket, **more)
        except Exception as error:
            if isinstance(error, ClientError) and code_of(error) in _BUCKET_EXISTS:
                return
            raise fault_of(error) from error
        _log.info("bucket made", bucket=self._bucket)

    async def _send(self, operation: str, **arguments: object) -> dict[str, Any]:
        async with asyncio.timeout(self._timeout):
            answer: dict[str, Any] = await getattr(self._client, operation)(**arguments)
            if "Body" in answer:
                async with answer["Body"] as body:
                    answer["Body"] = await body.read()
        return answer


@contextlib.asynccontextmanager
async def open_s3(settings: CloudSettings) -> AsyncIterator[S3Store]:
    """The storage that the settings name; it need not answer yet."""
    secret = settings.s3_secret_access_key
    async with get_session().create_client(
        "s3",
        endpoint_url=settings.s3_endpoint_url or None,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id or None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=AioConfig(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=settings.s3_timeout,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        ),
    ) as client:
        yield S3Store(client, settings)
