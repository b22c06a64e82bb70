"""The S3 provider against a storage that is away, locked, new or talks nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_cloud_worker.homes.homes import Homes
from nexpo_cloud_worker.object_stores.s3 import open_s3
from nexpo_cloud_worker.object_stores.s3_errors import fault_of_code
from nexpo_cloud_worker.settings import CloudSettings
from nexpo_dev import servers
from nexpo_runtime.errors import Fault

MakeSettings = Callable[..., CloudSettings]


async def _reason(settings: CloudSettings) -> str:
    """Why a home cannot be provisioned."""
    async with open_s3(settings) as store:
        with pytest.raises(Fault) as failed:
            await Homes(store).create("tenant", "key", str(uuid.uuid4()))
    return failed.value.name


@contextlib.asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[str]:
    """A server that gives one answer to everything; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_missing_bucket_is_made(settings: MakeSettings) -> None:
    new = settings(s3_bucket=f"nexpo-{uuid.uuid4()}")

    async with open_s3(new) as store:
        uri = await Homes(store).create("tenant", "key", "user")
        await store.ping()

    assert uri == f"s3://{new.s3_bucket}/homes/tenant/user/"


async def test_a_missing_bucket_that_may_not_be_made_is_a_refusal(settings: MakeSettings) -> None:
    missing = settings(s3_bucket=f"nexpo-{uuid.uuid4()}", s3_create_bucket=False)

    assert await _reason(missing) == "OBJECT_STORE_REFUSED"


async def test_a_wrong_secret_is_a_refusal(settings: MakeSettings) -> None:
    wrong = settings(s3_secret_access_key=SecretStr("not-the-secret"))

    assert await _reason(wrong) == "OBJECT_STORE_REFUSED"


async def test_a_storage_that_is_away_is_unavailable(settings: MakeSettings) -> None:
    assert await _reason(settings(s3_endpoint_url="http://127.0.0.1:9")) == (
        "OBJECT_STORE_UNAVAILABLE"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<html>",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
        b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "half an answer", "a proxy's page", "slow down"],
)
async def test_nonsense_is_unavailable(settings: MakeSettings, answer: bytes) -> None:
    async with _answering(answer) as url:
        assert await _reason(settings(s3_endpoint_url=url)) == "OBJECT_STORE_UNAVAILABLE"


async def test_a_storage_that_stays_silent_is_unavailable_in_time(settings: MakeSettings) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        silenced = settings(s3_endpoint_url=url, s3_timeout=0.3)
        async with asyncio.timeout(20):
            assert await _reason(silenced) == "OBJECT_STORE_UNAVAILABLE"


@pytest.mark.verify
async def test_a_storage_killed_and_started_again_serves_the_same_client(tmp_path: Path) -> None:
    async with servers.object_storage(tmp_path) as server:
        settings = CloudSettings.load(
            enable_object_storage=True,
            s3_endpoint_url=server.url,
            s3_bucket=server.bucket,
            s3_access_key_id=server.access_key_id,
            s3_secret_access_key=SecretStr(server.secret_access_key),
        )
        async with open_s3(settings) as store:
            homes = Homes(store)
            uri = await homes.create("tenant", "key", "user")
            await server.kill()
            with pytest.raises(Fault) as failed:
                await homes.create("tenant", "key", "user")
            await server.start()

            assert failed.value.reason == Reason.REASON_OBJECT_STORE_UNAVAILABLE
            assert await homes.create("tenant", "key", "user") == uri


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("SlowDown", 503, "OBJECT_STORE_UNAVAILABLE"),
        ("ConditionalRequestConflict", 409, "OBJECT_STORE_UNAVAILABLE"),
        ("RequestTimeTooSkewed", 403, "OBJECT_STORE_UNAVAILABLE"),
        ("InternalError", 200, "OBJECT_STORE_UNAVAILABLE"),
        ("429", 429, "OBJECT_STORE_UNAVAILABLE"),
        ("AccessDenied", 0, "OBJECT_STORE_REFUSED"),
        ("AccessDenied", 403, "OBJECT_STORE_REFUSED"),
        ("EntityTooLarge", 400, "OBJECT_STORE_REFUSED"),
    ],
)
def test_codes_of_the_storage_become_reasons(code: str, status: int, reason: str) -> None:
    assert fault_of_code(code, status).name == reason


def test_only_a_storage_asking_for_fewer_requests_says_when_to_come_back() -> None:
    assert fault_of_code("SlowDown", 503).retry_after is not None
    assert fault_of_code("InternalError", 500).retry_after is None
