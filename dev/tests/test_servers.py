"""Every server of the embedded stack: it starts, serves, and keeps what it acknowledged."""

import asyncio
import smtplib
import uuid
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from nexpo_dev import servers
from nexpo_dev.pytest_plugin import (
    ObjectStorageAddress,
    PostgresAddress,
    SupabaseAddress,
    TemporalAddress,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space in its path, below one that only its owner may enter."""
    tmp_path.chmod(0o700)
    return tmp_path / "a folder"


async def restart(server: servers.Server) -> None:
    """SIGKILL, then start: it must be the same server at the same place."""
    before, process = server.url, server.pid
    await server.kill()
    assert not server.running
    await server.start()
    assert server.url == before
    assert server.pid != process


@pytest.mark.verify
async def test_postgres_keeps_what_it_committed_when_killed(folder: Path) -> None:
    async with servers.postgres(folder) as server:
        database = await asyncpg.connect(server.url)
        await database.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        await restart(server)
        await database.close()
        database = await asyncpg.connect(server.url)
        assert await database.fetchval("SELECT id FROM kept") == 7
        assert await database.fetchval("SHOW fsync") == "on"
        await database.close()
    server.remove()
    assert not server.home.exists()


async def test_postgres_refuses_a_wrong_password(postgres: PostgresAddress) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url, password="wrong")


@pytest.mark.verify
async def test_mongodb_keeps_what_it_acknowledged_when_killed(folder: Path) -> None:
    async with servers.mongodb(folder) as server:
        async with AsyncMongoClient[dict[str, object]](server.url) as client:
            await client.test.kept.insert_one({"_id": 7})
        await restart(server)
        async with AsyncMongoClient[dict[str, object]](server.url) as client:
            assert await client.test.kept.find_one({}) == {"_id": 7}
        wrong = server.url.replace(server.password, "wrong")
        async with AsyncMongoClient[dict[str, object]](wrong) as client:
            with pytest.raises(OperationFailure):
                await client.test.kept.find_one({})


@pytest.mark.verify
async def test_object_storage_keeps_what_it_acknowledged_when_killed(folder: Path) -> None:
    async with servers.object_storage(folder) as server:
        async with _s3(server) as s3:
            await s3.put_object(Bucket=server.bucket, Key="kept", Body=b"7")
        await restart(server)
        async with _s3(server) as s3:
            found = await s3.get_object(Bucket=server.bucket, Key="kept")
            assert await found["Body"].read() == b"7"


async def test_object_storage_guards_its_bucket(object_storage: ObjectStorageAddress) -> None:
    bucket, key = object_storage.bucket, uuid.uuid4().hex
    async with _s3(object_storage) as s3:
        await s3.put_object(Bucket=bucket, Key=key, Body=b"7", IfNoneMatch="*")
        with pytest.raises(ClientError, match="PreconditionFailed"):
            await s3.put_object(Bucket=bucket, Key=key, Body=b"8", IfNoneMatch="*")
        with pytest.raises(ClientError, match="BucketNotEmpty"):
            await s3.delete_bucket(Bucket=bucket)
    async with _s3(replace(object_storage, secret_access_key="wrong")) as s3:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            await s3.get_object(Bucket=bucket, Key=key)


@pytest.mark.verify
async def test_supabase_keeps_what_it_acknowledged_when_killed(folder: Path) -> None:
    async with servers.supabase(folder) as server:
        await _make_table(server.database_url, "kept")
        await _wait_for_table(server.url, server.key, "kept")
        headers = {"apikey": server.key}
        async with httpx.AsyncClient(base_url=f"{server.url}/rest/v1", headers=headers) as api:
            (await api.post("/kept", json={"id": 7})).raise_for_status()
            await restart(server)
            assert (await api.get("/kept")).json() == [{"id": 7}]
    server.remove()


async def test_supabase_takes_its_own_keys_only(supabase: SupabaseAddress) -> None:
    async with httpx.AsyncClient(base_url=f"{supabase.url}/rest/v1") as api:
        assert (await api.get("/")).status_code == 401
        assert (await api.get("/", headers={"apikey": "wrong"})).status_code == 401
        forged = {"apikey": supabase.key, "authorization": "Bearer e30.e30.e30"}
        assert (await api.get("/", headers=forged)).status_code == 401


async def test_supabase_shows_a_new_table_at_once(supabase: SupabaseAddress) -> None:
    table = f"t{uuid.uuid4().hex}"
    await _make_table(supabase.database_url, table)
    await _wait_for_table(supabase.url, supabase.key, table)


@pytest.mark.verify
async def test_mailbox_keeps_mail_when_killed(folder: Path) -> None:
    async with servers.mailbox(folder) as server:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = "Kept", "a@nexpo.example", "b@nexpo.example"
        mail.set_content("seven")
        with smtplib.SMTP("127.0.0.1", server.smtp_port) as smtp:
            smtp.send_message(mail)
        await restart(server)
        async with httpx.AsyncClient() as http:
            mails = (await http.get(f"{server.url}/mails")).json()
        assert [(one["subject"], one["text"].strip()) for one in mails] == [("Kept", "seven")]


@pytest.mark.verify
async def test_temporal_keeps_workflows_when_killed(folder: Path) -> None:
    async with servers.temporal(folder) as server:
        client = await Client.connect(server.url)
        started = await client.start_workflow("Kept", id="kept", task_queue="nobody-polls")
        await restart(server)
        client = await Client.connect(server.url)
        found = await client.get_workflow_handle("kept").describe()
        assert found.run_id == started.result_run_id


async def test_temporal_knows_our_search_attributes_and_retention(
    temporal: TemporalAddress,
) -> None:
    client = await Client.connect(temporal.url, namespace=temporal.namespace)
    found = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=temporal.namespace)
    )
    assert found.config.workflow_execution_retention_ttl.ToTimedelta().days == 7
    attributes = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=temporal.namespace)
    )
    assert {"NexpoState", "NexpoTenant"} <= set(attributes.custom_attributes)


@pytest.mark.verify
@pytest.mark.parametrize("kind", ["claude", "cosmosdb", "sqlserver"])
async def test_a_stand_in_comes_back_at_the_same_place_when_killed(kind: str, folder: Path) -> None:
    made = {
        "claude": servers.claude,
        "cosmosdb": servers.cosmosdb,
        "sqlserver": servers.sqlserver,
    }[kind](folder)
    async with made as server:
        await restart(server)
    server.remove()


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(folder: Path) -> None:
    server = servers.mailbox(folder)
    (folder / "mails").touch()  # where its folder should be
    with pytest.raises(servers.StartError, match="FileExistsError"):
        await server.start(within=90)
    assert not server.running


async def test_its_secrets_are_for_the_owner_alone(folder: Path) -> None:
    server = servers.mongodb(folder)
    assert (server.folder / "server.json").stat().st_mode & 0o077 == 0
    assert server.folder.stat().st_mode & 0o066 == 0


def _s3(  # type: ignore[no-untyped-def]  # untyped upstream
    server: servers.ObjectStorageServer | ObjectStorageAddress,
):
    return get_session().create_client(
        "s3",
        endpoint_url=server.url,
        region_name=server.region,
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=AioConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


async def _make_table(database_url: str, table: str) -> None:
    database = await asyncpg.connect(database_url)
    await database.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    await database.close()


async def _wait_for_table(url: str, key: str, table: str) -> None:
    """PostgREST reads the schema again a moment after it was told to."""
    async with httpx.AsyncClient(headers={"apikey": key}) as api:
        while table not in str((await api.get(f"{url}/rest/v1/")).json()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
