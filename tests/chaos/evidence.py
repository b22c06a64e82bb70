"""Everything that the stores hold, read by each store's own client, and what must hold of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytds
from aiobotocore.session import get_session
from azure.cosmos.aio import CosmosClient
from motor.motor_asyncio import AsyncIOMotorClient

from nexpo_dev.environment import Servers

from .places import STORES, TENANT, Person, Place

_RESERVATION = "/reserve e-mail"


@dataclass(frozen=True)
class Row:
    """A record or claim, or the tombstone in its place.

    Attributes:
        key: Of the effect that made it; the key's digest in Cosmos DB.
        live: Whether it is no tombstone.
        email: Address of a record, resource of a claim; "" of a tombstone.
        state: Of the account.
        password: Whether it has a password's hash.
        user_id: Of the account.
        name: To show.
    """

    key: str
    live: bool
    email: str = ""
    state: str = ""
    password: bool = False
    user_id: str = ""
    name: str = ""


@dataclass(frozen=True)
class Evidence:
    """What every store held at one moment.

    Attributes:
        users: Rows by store.
        claims: Reservations and locks, in the authority.
        homes: Digest of its key, or "" of a tombstone, by user id.
    """

    users: Mapping[str, list[Row]]
    claims: list[Row]
    homes: Mapping[str, str]

    def of(self, store: str, person: Person) -> list[Row]:
        """The rows of a person's key in a store."""
        key = person.key(f"create in {store}")
        names = (key, hashlib.sha256(key.encode()).hexdigest())
        return [row for row in self.users[store] if row.key in names]

    def home(self, person: Person) -> list[str]:
        """User ids of the homes that the person's key provisioned."""
        digest = hashlib.sha256(person.key("provision home").encode()).hexdigest()
        return [user_id for user_id, made_by in self.homes.items() if made_by == digest]


def landed(evidence: Evidence, place: Place, person: Person) -> bool | None:
    """Whether the effect of a place is there; None where no store would tell."""
    if place.server in ("claude", "mailbox"):
        return None
    if place.step == "reserve e-mail":
        own = [claim for claim in evidence.claims if claim.key == person.key(place.step)]
        return any(claim.live == (place.phase == "forward") for claim in own)
    if place.step == "provision home":
        return bool(evidence.home(person)) == (place.phase == "forward")
    rows = evidence.of(place.server, person)
    if place.phase == "activation":
        return any(row.live and row.state == "ACTIVE" for row in rows)
    return any(row.live == (place.phase == "forward") for row in rows)


async def gather(servers: Servers) -> Evidence:
    """Ask every store for all it holds of the tenant."""
    reads: dict[str, Callable[[Servers], Awaitable[list[Row]]]] = {
        "postgres": lambda s: _postgres(s.postgres.url),
        "mongodb": _mongodb,
        "cosmosdb": _cosmosdb,
        "sqlserver": lambda s: asyncio.to_thread(_sqlserver, s.sqlserver.url),
        "supabase": lambda s: _postgres(s.supabase.database_url),
    }
    users = await asyncio.gather(*(read(servers) for read in reads.values()))
    claims, homes = await asyncio.gather(_claims(servers.postgres.url), _homes(servers))
    return Evidence(dict(zip(reads, users, strict=True)), claims, homes)


def whole(evidence: Evidence, person: Person) -> Iterator[str]:
    """What is wrong with somebody who was onboarded; nothing when all is well."""
    for store in STORES:
        own = evidence.of(store, person)
        if len(own) != 1 or not own[0].live:
            yield f"{store} has {own or 'nothing'} for {person.request_id}"
            continue
        if own[0].email != person.email or own[0].state != "ACTIVE":
            yield f"{store} has {own[0]}"
        if own[0].password != (store == "postgres"):
            yield f"{store}: the password's hash is {'there' if own[0].password else 'missing'}"
        same = [row for row in evidence.users[store] if row.email == person.email]
        if len(same) != 1:
            yield f"{store} has {len(same)} records of {person.email}"
    held = [claim.key for claim in evidence.claims if claim.email == f"email:{person.email}"]
    if held != [person.key("reserve e-mail")]:
        yield f"{person.email} is reserved by {held or 'nobody'}"
    if len(evidence.home(person)) != 1:
        yield f"{person.request_id} has {len(evidence.home(person))} homes"


def gone(evidence: Evidence, person: Person) -> Iterator[str]:
    """What is left of somebody whose onboarding was undone; nothing when all is well."""
    for store in STORES:
        own = evidence.of(store, person)
        if len(own) > 1 or any(row.live for row in own):
            yield f"{store} still has {own}"
        if any(row.email == person.email for row in evidence.users[store]):
            yield f"{store} still has {person.email}"
    if any(claim.email == f"email:{person.email}" for claim in evidence.claims):
        yield f"{person.email} is still reserved"
    if evidence.home(person):
        yield f"the home of {person.request_id} is still there"


def tidy(
    evidence: Evidence, onboarded: Collection[Person], undone: Collection[Person]
) -> Iterator[str]:
    """What is wrong with the stores as a whole: orphans, doubles, tombstones, locks."""
    for store in STORES:
        known = _names(onboarded, f"create in {store}")
        dead = _names(undone, f"create in {store}")
        live = [row for row in evidence.users[store] if row.live]
        yield from (f"orphan in {store}: {row}" for row in live if row.key not in known)
        for email, count in Counter(row.email for row in live).items():
            if count > 1:
                yield f"{count} records of {email} in {store}"
        for row in evidence.users[store]:
            if not row.live and row.key not in dead:
                yield f"{store} has a tombstone where nothing was undone: {row.key}"
    reserved = _names(onboarded, "reserve e-mail")
    freed = _names(undone, "reserve e-mail")
    for claim in evidence.claims:
        if claim.live and claim.key not in reserved:
            yield f"left-over claim: {claim.key} on {claim.email}"
        if not claim.live and claim.key not in freed and claim.key.endswith(_RESERVATION):
            yield f"a claim's tombstone where nothing was undone: {claim.key}"
    live_homes = sum(bool(made_by) for made_by in evidence.homes.values())
    if live_homes != len(onboarded):
        yield f"{live_homes} homes for {len(onboarded)} people"


def _names(people: Iterable[Person], step: str) -> set[str]:
    keys = {person.key(step) for person in people}
    return keys | {hashlib.sha256(key.encode()).hexdigest() for key in keys}


async def _postgres(url: str) -> list[Row]:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("SELECT * FROM nexpo_users WHERE tenant = $1", TENANT)
    finally:
        await connection.close()
    return [
        Row(
            row["key"],
            row["removed_time"] is None,
            row["email"] or "",
            row["state"] or "",
            bool(row["password_hash"]),
            row["user_id"] or "",
            row["display_name"] or "",
        )
        for row in found
    ]


async def _claims(url: str) -> list[Row]:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("SELECT * FROM nexpo_claims WHERE tenant = $1", TENANT)
    finally:
        await connection.close()
    return [Row(row["key"], row["removed_time"] is None, row["resource"] or "") for row in found]


async def _mongodb(servers: Servers) -> list[Row]:
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(servers.mongodb.url)
    try:
        users = client.get_default_database("nexpo")["users"]
        return [
            Row(
                row["key"],
                row["live"],
                row.get("email", ""),
                row.get("state", ""),
                bool(row.get("password_hash")),
                row.get("user_id", ""),
                row.get("display_name", ""),
            )
            async for row in users.find({"tenant": TENANT})
        ]
    finally:
        client.close()


async def _cosmosdb(servers: Servers) -> list[Row]:
    at = servers.cosmosdb
    async with CosmosClient(at.url, at.key) as client:
        users = client.get_database_client("nexpo").get_container_client("users")
        return [
            Row(row["id"], False)
            if "removed_time" in row
            else Row(
                row["id"],
                True,
                row["email"],
                row["state"],
                bool(row["password_hash"]),
                row["user_id"],
                row["display_name"],
            )
            async for row in users.query_items("SELECT * FROM c", partition_key=TENANT)
        ]


def _sqlserver(url: str) -> list[Row]:
    parts = urlsplit(url)
    with (
        pytds.connect(
            dsn=parts.hostname,
            port=parts.port,
            database=parts.path.strip("/"),
            user=parts.username,
            password=parts.password,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT effect_key, tombstone, email, state, password_hash, user_id,"
            " display_name"
            " FROM dbo.nexpo_users WHERE tenant = %s",
            (TENANT,),
        )
        return [
            Row(
                row[0],
                not row[1],
                email=row[2] or "",
                state=row[3] or "",
                password=bool(row[4]),
                user_id=row[5] or "",
                name=row[6] or "",
            )
            for row in cursor.fetchall()
        ]


async def _homes(servers: Servers) -> dict[str, str]:
    at = servers.object_storage
    async with get_session().create_client(
        "s3",
        endpoint_url=at.url,
        region_name=at.region,
        aws_access_key_id=at.access_key_id,
        aws_secret_access_key=at.secret_access_key,
    ) as client:
        found: dict[str, str] = {}
        pages = client.get_paginator("list_objects_v2")
        async for page in pages.paginate(Bucket=at.bucket, Prefix=f"homes/{TENANT}/"):
            for entry in page.get("Contents", []):
                answer = await client.get_object(Bucket=at.bucket, Key=entry["Key"])
                body = await answer["Body"].read() if entry["Size"] else b""
                found[entry["Key"].split("/")[2]] = body.decode()
    return found
