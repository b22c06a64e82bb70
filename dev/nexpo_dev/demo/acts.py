"""The three acts. Faults come from outside: a trigger, a proxy, a signal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

import asyncpg
import httpx

from nexpo.client import NexpoError
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import OnboardUserRequest, OnboardUserResponse
from nexpo_dev.fault_rules import Rule
from nexpo_dev.stack import Stack

from .screen import Screen
from .witnesses import Testimony, Witnesses

STORES = ("postgres", "mongodb", "cosmosdb", "sqlserver", "supabase")
_PATIENCE = 60.0


class BrokenPromise(Exception):
    """An act did not end as promised; the text says how."""


@dataclass
class Act:
    """How an act went, for the table and the report.

    Attributes:
        title: Its name.
        person: Whose onboarding.
        operation: The operation's name.
        ending: How it ended, in a few words.
        seconds: How long it took.
        ids: The store's own id, by store.
        steps: Name, state, attempt and reason of each step.
        proofs: What the stores were found to have, by when they were asked.
        notes: What was done from outside, in words.
    """

    title: str
    person: str
    operation: str = ""
    ending: str = ""
    seconds: float = 0.0
    ids: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, object]] = field(default_factory=list)
    proofs: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Stage:
    """What the acts play on.

    Args:
        stack: The embedded stack, with a proxy before postgres.
        client: To the gateway.
        screen: Where progress is shown.
        say: Prints a line or a table.
    """

    def __init__(
        self, stack: Stack, client: UserServiceClient, screen: Screen, say: Callable[[object], None]
    ) -> None:
        self.stack = stack
        self.client = client
        self.screen = screen
        self.say = say
        self.witnesses = Witnesses(stack.servers, "dev")
        self._known_homes: frozenset[str] = frozenset()

    async def finishes(self, act: Act) -> None:
        """Everything goes well."""
        operation = await self._begin(act)
        result = await self._verified(act, operation)
        await self._prove_whole(act, result)
        act.ending = f"active in {len(result.record_ids)} stores"

    async def undoes(self, act: Act) -> None:
        """SQL Server refuses the person: a trigger in the database behind the stand-in."""
        await self._refuse(act.person)
        self._note(act, "SQL Server is told to refuse this person (a trigger, from outside).")
        operation = await self._begin(act)
        await self._play(act, operation)
        try:
            await operation.result(_PATIENCE)
        except NexpoError as error:
            act.ending = f"undone: {error.reason}"
        else:
            raise BrokenPromise("the onboarding succeeded although SQL Server refused")
        found = await self._testify(act, "after the undo")
        _expect(not any(one.ids for one in found), "something is left in a store", found)
        undone = [step["name"] for step in act.steps if step["state"] == "UNDONE"]
        _expect("create in postgres" in undone, "nothing was undone", found)

    async def survives(self, act: Act) -> None:
        """db-worker is killed after its first commit of the record, before it could report."""
        proxy = self.stack.proxies["postgres"]
        create = (b"/create in postgres", act.person.encode())
        rule = proxy.add(Rule("hold reply", create))
        operation = await self._begin(act)
        async with asyncio.timeout(_PATIENCE):
            await rule.struck()
        found = await self._testify(act, "before the kill")
        _expect(len(found[0].ids) == 1, "the first commit is not there", found)
        worker = self.stack.services["db-worker"]
        self._note(
            act, f"PostgreSQL has committed, its reply is held; SIGKILL to db-worker {worker.pid}."
        )
        await worker.kill()
        proxy.heal()
        await worker.start()
        self._note(act, f"db-worker is started again, pid {worker.pid}.")
        result = await self._verified(act, operation)
        await self._prove_whole(act, result)
        again = [step for step in act.steps if step["name"] == "create in postgres"]
        _expect(again[0]["attempt"] != 1, "the kill interrupted nothing", found)
        act.ending = f"active in {len(result.record_ids)} stores, one record each"

    def _note(self, act: Act, text: str) -> None:
        """Says and keeps what is done from outside."""
        self.say(f"  {text}")
        act.notes.append(text)

    async def _begin(self, act: Act) -> OnboardUserOperation:
        self._known_homes = await self.witnesses.homes()
        request = OnboardUserRequest(
            email=act.person,
            display_name=act.person.partition("@")[0].capitalize(),
            password="correct horse battery staple",
        )
        request.profile.locale = "en"
        request.profile.plan = "pro"
        operation = await self.client.onboard_user(request)
        act.operation = operation.name
        self.screen.clear()
        return operation

    async def _play(
        self,
        act: Act,
        operation: OnboardUserOperation,
        until: Sequence[Progress.State.ValueType] = (),
    ) -> None:
        """Shows the progress until it is in one of the states, or has ended."""
        async for progress in self.screen.follow(operation.watch(_PATIENCE)):
            act.steps = [_step(step) for step in progress.steps]
            if progress.state in until:
                return

    async def _verified(self, act: Act, operation: OnboardUserOperation) -> OnboardUserResponse:
        await self._play(act, operation, until=(Progress.WAITING,))
        token = await self._token(act.person)
        self._note(act, "The mail has arrived; its token goes to VerifyEmail.")
        await operation.verify_email(token=token)
        await self._play(act, operation)
        return await operation.result(_PATIENCE)

    async def _token(self, email: str) -> str:
        """The token in the link of the verification mail."""
        async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(trust_env=False) as http:
            while True:
                url = f"{self.stack.servers.mailbox.url}/mails"
                mails = (await http.get(url, params={"to": email})).json()
                for mail in mails:
                    if found := re.search(r"[?&]token=([^&\s]+)", mail["text"]):
                        return unquote(found[1])
                await asyncio.sleep(0.05)

    async def _prove_whole(self, act: Act, result: OnboardUserResponse) -> None:
        act.ids = {_name(entry.database): entry.id for entry in result.record_ids}
        found = await self._testify(act, "at the end")
        _expect(all(len(one.ids) == 1 for one in found), "not one record per store", found)
        stores = [one for one in found if one.store in STORES]
        _expect(all(one.state == "ACTIVE" for one in stores), "not active everywhere", found)
        for one in stores:
            _expect(act.ids[one.store] == one.ids[0], f"{one.store} has another id", found)

    async def _testify(self, act: Act, when: str) -> list[Testimony]:
        found = await self.witnesses.of(act.person, self._known_homes)
        act.proofs[when] = [one.as_dict() for one in found]
        return found

    async def _refuse(self, email: str) -> None:
        connection = await asyncpg.connect(self.stack.servers.sqlserver.postgres.url)
        try:
            await connection.execute(_REFUSAL.replace("EMAIL", email))
        finally:
            await connection.close()


_REFUSAL = """
CREATE OR REPLACE FUNCTION demo_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.email = 'EMAIL' THEN
        RAISE EXCEPTION 'refused by the demo' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER demo_refusal BEFORE INSERT ON dbo.nexpo_users
    FOR EACH ROW EXECUTE FUNCTION demo_refusal();
"""


def _step(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "target": step.target,
        "state": Step.State.Name(step.state),
        "attempt": step.attempt,
        "reason": step.reason,
    }


def _name(store: str) -> str:
    return store.removeprefix("databases/")


def _expect(kept: bool, otherwise: str, found: list[Testimony]) -> None:
    if not kept:
        raise BrokenPromise(f"{otherwise}: {found}")
