"""The db-worker as a process: `python -m nexpo_db_worker`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import httpx
from calls import new_key, reason_of
from google.protobuf.message import Message
from user_records import new_record
from waiting import until

from nexpo.users.v1.user_records_pb2 import CreateUserRequest, CreateUserResponse
from nexpo.users.v1.users_pb2 import (
    GetUserRequest,
    GetUserResponse,
    ListUsersRequest,
    ListUsersResponse,
    UserView,
)
from nexpo_db_worker.engines import ENGINES
from nexpo_dev.fault_proxy import FaultProxy
from nexpo_dev.pytest_plugin import CosmosAddress, SqlServerAddress, SupabaseAddress
from nexpo_runtime.edge.worker_clients import WorkerClients
from nexpo_runtime.settings import Environment, Settings
from nexpo_runtime.worker.serving import method_path

MessageT = TypeVar("MessageT", bound=Message)
CREATE = method_path("nexpo.users.v1.UserRecordActivities", "nexpo.users.v1.CreateUser")
GET = method_path("nexpo.users.v1.UserService", "nexpo.users.v1.GetUser")
LIST = method_path("nexpo.users.v1.UserService", "nexpo.users.v1.ListUsers")


class Worker:
    """A worker's process, and what it said at start."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, object]] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(json.loads(line))

    async def line(self, event: str) -> dict[str, object]:
        """The first line of the log about the event."""

        async def said() -> bool:
            assert self.process.returncode is None, self.said
            return any(line.get("event") == event for line in self.said)

        await until(said)
        return next(line for line in self.said if line.get("event") == event)

    async def grpc_address(self) -> str:
        return f"127.0.0.1:{(await self.line('serving gRPC'))['port']}"

    async def answer(self, path: str) -> tuple[int, dict[str, object]]:
        """Status and content of a health path."""
        ports = (await self.line("serving HTTP"))["ports"]
        assert isinstance(ports, list)
        async with httpx.AsyncClient(trust_env=False) as http:
            found = await http.get(f"http://127.0.0.1:{ports[0]}{path}")
        return found.status_code, found.json()

    async def ready(self, ready: bool = True) -> None:
        """Waits until /ready says so, or says that it is not."""

        async def said() -> bool:
            return ((await self.answer("/ready"))[0] == 200) is ready

        await until(said)

    async def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.terminate()
        async with asyncio.timeout(90):
            code = await self.process.wait()
            await self._reader
        return code


def environment(**variables: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "ENABLE_TEMPORAL": "false", "ENVIRONMENT": "test", **variables}


@asynccontextmanager
async def a_worker(**variables: str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexpo_db_worker"),
        stderr=asyncio.subprocess.PIPE,
        env=environment(**variables),
    )
    worker = Worker(process)
    try:
        yield worker
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def clients(*workers: Worker) -> AsyncIterator[WorkerClients]:
    settings = Settings.load(environment=Environment.TEST, enable_temporal=False)
    addresses = [await worker.grpc_address() for worker in workers]
    async with WorkerClients(settings, {"nexpo-db": addresses}) as opened:
        yield opened


async def call(
    opened: WorkerClients, path: str, request: Message, answer: type[MessageT], tenant: str
) -> MessageT:
    raw = await opened.call(
        "nexpo-db", path, request.SerializeToString(), tenant=tenant, timeout=60, operation="op"
    )
    return answer.FromString(raw)


async def test_it_says_which_stores_are_on_and_why_the_others_are_off(
    empty_database: str,
) -> None:
    async with a_worker(DATABASE_URL=empty_database) as worker:
        said = await worker.line("starting")
        assert said["providers"] == {
            "postgres": "on",
            "mongodb": "off: ENABLE_MONGODB is false",
            "cosmosdb": "off: ENABLE_COSMOSDB is false",
            "sqlserver": "off: ENABLE_SQLSERVER is false",
            "supabase": "off: ENABLE_SUPABASE is false",
        }
        await worker.ready()
        assert await worker.end() == 0
    assert empty_database.split("@")[0] not in json.dumps(worker.said)


async def test_a_user_is_created_read_and_listed_over_its_grpc(
    empty_database: str, tenant: str
) -> None:
    async with a_worker(DATABASE_URL=empty_database) as worker:
        await worker.ready()
        async with clients(worker) as opened:
            record = new_record()
            create = CreateUserRequest(key=new_key(), database="databases/postgres", record=record)
            created = await call(opened, CREATE, create, CreateUserResponse, tenant)
            assert created.id
            assert created.attempt == 1
            get = GetUserRequest(user_id=record.user.user_id)
            found = await call(opened, GET, get, GetUserResponse, tenant)
            assert found.user == record.user
            listed = await call(opened, LIST, ListUsersRequest(), ListUsersResponse, tenant)
            assert list(listed.users) == [record.user]
            other = call(opened, GET, get, GetUserResponse, "another-tenant")
            assert await reason_of(other) == "USER_NOT_FOUND"
            bad = ListUsersRequest(page_token="made up")
            refused = call(opened, LIST, bad, ListUsersResponse, tenant)
            assert await reason_of(refused) == "INVALID_PAGE_TOKEN"
            create.database = "databases/cosmosdb"
            off = call(opened, CREATE, create, CreateUserResponse, tenant)
            assert await reason_of(off) == "STORE_DISABLED"


async def test_all_five_stores_hold_a_user_side_by_side(
    empty_database: str,
    mongodb_url: str,
    supabase: SupabaseAddress,
    cosmosdb: CosmosAddress,
    sqlserver: SqlServerAddress,
    tenant: str,
) -> None:
    variables = {
        "DATABASE_URL": empty_database,
        "ENABLE_MONGODB": "true",
        "MONGODB_URL": mongodb_url,
        "ENABLE_COSMOSDB": "true",
        "COSMOSDB_URL": cosmosdb.url,
        "COSMOSDB_KEY": cosmosdb.key,
        "ENABLE_SQLSERVER": "true",
        "SQLSERVER_URL": sqlserver.url,
        "ENABLE_SUPABASE": "true",
        "SUPABASE_URL": supabase.url,
        "SUPABASE_KEY": supabase.key,
        "SUPABASE_DATABASE_URL": supabase.database_url,
    }
    stores = sorted(f"databases/{kind}" for kind in ENGINES)
    record = new_record()
    record.user.profile.attributes["score"] = 0.1
    async with a_worker(**variables) as worker:
        await worker.ready()
        async with clients(worker) as opened:
            creations = [
                CreateUserRequest(key=new_key(), database=store, record=record) for store in stores
            ]
            answers = await asyncio.gather(
                *(call(opened, CREATE, one, CreateUserResponse, tenant) for one in creations)
            )
            get = GetUserRequest(user_id=record.user.user_id, view=UserView.USER_VIEW_COPIES)
            found = await call(opened, GET, get, GetUserResponse, tenant)
        assert await worker.end() == 0
    assert [copy.database for copy in found.copies] == stores
    assert [copy.id for copy in found.copies] == [answer.id for answer in answers]
    assert all(copy.user == record.user for copy in found.copies)


async def test_two_workers_start_at_once_on_an_empty_database(
    empty_database: str, mongodb_url: str, tenant: str
) -> None:
    variables = {
        "DATABASE_URL": empty_database,
        "ENABLE_MONGODB": "true",
        "MONGODB_URL": mongodb_url,
    }
    async with a_worker(**variables) as one, a_worker(**variables) as two:
        await asyncio.gather(one.ready(), two.ready())
        record = new_record()
        create = CreateUserRequest(key=new_key(), database="databases/mongodb", record=record)
        async with clients(one) as first, clients(two) as second:
            answers = await asyncio.gather(
                call(first, CREATE, create, CreateUserResponse, tenant),
                call(second, CREATE, create, CreateUserResponse, tenant),
            )
        assert answers[0].id == answers[1].id
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT count(*) FROM nexpo_migrations") == 1
    await connection.close()


async def test_a_database_that_is_away_at_start_is_waited_for_and_migrated(
    empty_database: str,
) -> None:
    async with FaultProxy.before(empty_database) as proxy:
        proxy.cut()
        async with a_worker(DATABASE_URL=proxy.through(empty_database)) as worker:

            async def missed() -> bool:
                status, report = await worker.answer("/health")
                assert status == 503
                checks = report["checks"]
                assert isinstance(checks, dict)
                return bool(checks["postgres"]["reason"] == "STORE_UNAVAILABLE")

            await until(missed)
            assert (await worker.answer("/live"))[0] == 200
            assert (await worker.answer("/ready"))[0] == 503
            proxy.heal()
            await worker.ready()
            proxy.cut()
            await worker.ready(False)
            proxy.heal()
            await worker.ready()
            assert await worker.end() == 0


async def test_a_store_beside_the_authority_that_is_away_only_degrades(
    empty_database: str, mongodb_url: str, tenant: str
) -> None:
    async with FaultProxy.before(mongodb_url) as proxy:
        proxy.cut()
        variables = {"ENABLE_MONGODB": "true", "MONGODB_URL": proxy.through(mongodb_url)}
        async with a_worker(DATABASE_URL=empty_database, **variables) as worker:
            await worker.ready()
            assert (await worker.answer("/health"))[1]["status"] == "degraded"
            async with clients(worker) as opened:
                create = CreateUserRequest(
                    key=new_key(), database="databases/mongodb", record=new_record()
                )
                away = call(opened, CREATE, create, CreateUserResponse, tenant)
                assert await reason_of(away) == "STORE_UNAVAILABLE"
                create.database = "databases/postgres"
                await call(opened, CREATE, create, CreateUserResponse, tenant)


async def test_a_killed_worker_leaves_its_database_usable(empty_database: str, tenant: str) -> None:
    create = CreateUserRequest(key=new_key(), database="databases/postgres", record=new_record())
    async with a_worker(DATABASE_URL=empty_database) as worker:
        await worker.ready()
        async with clients(worker) as opened:
            first = await call(opened, CREATE, create, CreateUserResponse, tenant)
        worker.process.send_signal(signal.SIGKILL)
        await worker.process.wait()
    async with a_worker(DATABASE_URL=empty_database) as worker:
        await worker.ready()
        async with clients(worker) as opened:
            again = await call(opened, CREATE, create, CreateUserResponse, tenant)
    assert again.id == first.id


async def test_wrong_settings_are_listed_and_end_the_process() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexpo_db_worker"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(ENABLE_MONGODB="maybe", AUTHORITY_STORE="oracle"),
    )
    _, stderr = await process.communicate()
    assert process.returncode == 2
    assert b"ENABLE_MONGODB: " in stderr
    assert b"AUTHORITY_STORE: " in stderr


async def test_no_driver_of_a_store_that_is_off_is_imported(
    empty_database: str,
) -> None:
    program = (
        "import asyncio, sys; from contextlib import AsyncExitStack;"
        "from nexpo_db_worker.databases.opened import open_databases;"
        "from nexpo_db_worker.settings import DbSettings\n"
        "async def main():\n"
        "    async with AsyncExitStack() as stack:\n"
        "        await open_databases(DbSettings.load().configured, 'postgres', stack)\n"
        "asyncio.run(main())\n"
        "drivers = {'asyncpg', 'motor', 'pymongo', 'azure', 'pytds', 'supabase'}\n"
        "print(sorted(drivers & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        stdout=asyncio.subprocess.PIPE,
        env=environment(DATABASE_URL=empty_database),
    )
    stdout, _ = await process.communicate()
    assert stdout.decode().strip() == "['asyncpg']"
