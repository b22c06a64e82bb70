"""Makes a store refuse one effect: triggers, a validator, and the stand-ins' fault end points."""

from __future__ import annotations

import hashlib
from typing import Any

import asyncpg
import httpx
from motor.motor_asyncio import AsyncIOMotorClient

from nexpo_dev.environment import Servers

from .places import Person, Phase, Place

_KIND = {"forward": "create", "undo": "remove", "activation": "change"}

_TRIGGER = """
CREATE TABLE IF NOT EXISTS {schema}.chaos_refusals (kind text, key text);
CREATE OR REPLACE FUNCTION {schema}.chaos_refuse() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    asked text := CASE
        WHEN {dead} THEN 'remove' WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'change' END;
BEGIN
    IF EXISTS (
        SELECT FROM {schema}.chaos_refusals r WHERE r.kind = asked AND r.key = NEW.{key}
    ) THEN
        -- As a check constraint does, it tells everything that was to be written.
        RAISE EXCEPTION 'refused from outside'
            USING ERRCODE = 'check_violation', DETAIL = 'Failing row contains ' || NEW::text;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER chaos_users BEFORE INSERT OR UPDATE ON {schema}.nexpo_users
    FOR EACH ROW EXECUTE FUNCTION {schema}.chaos_refuse();
CREATE OR REPLACE TRIGGER chaos_claims BEFORE INSERT OR UPDATE ON {schema}.nexpo_claims
    FOR EACH ROW EXECUTE FUNCTION {schema}.chaos_refuse();
"""

_HTTP = (
    "HTTP/1.1 {status}\r\ncontent-type: {type}\r\ncontent-length: {length}\r\n"
    "connection: close\r\n\r\n{body}"
)
_S3 = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>'
_CLAUDE = '{"type": "error", "error": {"type": "invalid_request_error", "message": "No"}}'


def refusal_of(server: str) -> bytes:
    """How a server that has no fault of its own for one request says no."""
    if server == "mailbox":
        return b"550 5.7.1 refused from outside\r\n"
    body, status, kind = {
        "object_storage": (_S3, "403 Forbidden", "application/xml"),
        "claude": (_CLAUDE, "400 Bad Request", "application/json"),
    }[server]
    return _HTTP.format(status=status, type=kind, length=len(body), body=body).encode()


class Refusals:
    """What the databases refuse at present.

    Args:
        servers: The stack's; their tables must be there.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._mongo: list[dict[str, object]] = []
        self._sql = {
            "postgres": (servers.postgres.url, "public", "NEW.removed_time IS NOT NULL", "key"),
            "supabase": (
                servers.supabase.database_url,
                "public",
                "NEW.removed_time IS NOT NULL",
                "key",
            ),
            "sqlserver": (
                servers.sqlserver.postgres.url,
                "dbo",
                "NEW.tombstone_time IS NOT NULL",
                "effect_key",
            ),
        }

    async def prepare(self) -> None:
        """Install the triggers."""
        for url, schema, dead, key in self._sql.values():
            await _execute(url, _TRIGGER.format(schema=schema, dead=dead, key=key))

    async def add(self, place: Place, person: Person) -> None:
        """Refuse the effect of this place and person, until cleared."""
        step = place.step.replace("activate in", "create in")
        key = person.key(step)
        if place.server == "mongodb":
            self._mongo.append(_document(place.phase, key))
            await self._validate()
        elif place.server == "cosmosdb":
            await self._cosmos_fault(place.phase, hashlib.sha256(key.encode()).hexdigest())
        else:
            url, schema, _, _ = self._sql[place.server]
            await _execute(
                url,
                f"INSERT INTO {schema}.chaos_refusals VALUES ($1, $2)",
                _KIND[place.phase],
                key,
            )

    async def clear(self) -> None:
        """Refuse nothing any more."""
        self._mongo.clear()
        await self._validate()
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.delete(self._fault_url, headers=self._authorization)
        for url, schema, _, _ in self._sql.values():
            await _execute(url, f"DELETE FROM {schema}.chaos_refusals")

    async def _validate(self) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(self._servers.mongodb.url)
        rules = {"$nor": self._mongo} if self._mongo else {}
        try:
            await client.get_default_database("nexpo").command("collMod", "users", validator=rules)
        finally:
            client.close()

    async def _cosmos_fault(self, phase: Phase, item: str) -> None:
        operation = {"forward": "create", "undo": "upsert", "activation": "replace"}[phase]
        fault = {"operation": operation, "contains": item, "status": 400}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(self._fault_url, json=fault, headers=self._authorization)
            answer.raise_for_status()

    @property
    def _fault_url(self) -> str:
        return f"{self._servers.cosmosdb.url}_fault"

    @property
    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._servers.cosmosdb.key}"}


def _document(phase: Phase, key: str) -> dict[str, object]:
    if phase == "undo":
        return {"key": key, "live": False}
    return {"key": key, "state": "ACTIVE" if phase == "activation" else "PENDING"}


async def _execute(url: str, statement: str, *values: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
