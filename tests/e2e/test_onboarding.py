"""OnboardUser through the gateway: which stores, who wins, what a user sees on gRPC and REST."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_client import OnboardUserOperation
from nexpo.users.v1.users_pb2 import OnboardUserResponse, TextSource, User

from .house import PATIENCE, STORES, House, new_email, person, store_named

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def test_rest_onboards_from_start_to_end(house: House) -> None:
    email = new_email()
    body = {
        "email": email,
        "displayName": "Ada",
        "password": "correct horse",
        "requestId": email[:9],
    }
    answer = await house.rest("POST", "/v1/users:onboard", body)
    name = answer.raise_for_status().json()["name"]
    token = await house.token(email)
    await _until_waiting(house, name)
    wrong = await house.rest("POST", f"/v1/{name}:verifyEmail", {"token": "wrong"})
    assert (wrong.status_code, wrong.json()["reason"]) == (403, "TOKEN_WRONG")
    (await house.rest("POST", f"/v1/{name}:verifyEmail", {"token": token})).raise_for_status()
    done = (await house.rest("POST", f"/v1/{name}:wait", {"timeout": "30s"})).json()
    user = done["response"]["user"]
    assert (done["done"], user["email"], user["state"]) == (True, email, "ACTIVE")
    read = (await house.rest("GET", f"/v1/users/{user['userId']}")).json()["user"]
    assert read == user
    # The same request again is the same operation; another content is refused by its fields.
    assert (await house.rest("POST", "/v1/users:onboard", body)).json()["name"] == name
    other = await house.rest("POST", "/v1/users:onboard", {**body, "displayName": "Eve"})
    assert (other.status_code, other.json()["reason"]) == (409, "REQUEST_ID_REUSED")
    assert [error["field"] for error in other.json()["errors"]] == ["display_name"]


async def test_a_user_lives_in_the_stores_asked_for_and_in_the_authority(house: House) -> None:
    email = new_email()
    result = await house.active(email, databases=["databases/cosmosdb"])
    stores = {entry.database for entry in result.record_ids}
    assert stores == {"databases/postgres", "databases/cosmosdb"}
    found = await house.found(email)
    assert {store for store in STORES if found[store].ids} == {"postgres", "cosmosdb"}


async def test_a_disabled_store_is_the_operations_error_with_its_field(house: House) -> None:
    email = new_email()
    async with house.restarted("db-worker", ENABLE_MONGODB="false"):
        stores = ["databases/postgres", "databases/mongodb"]
        operation = await house.users.onboard_user(person(email, databases=stores))
        with pytest.raises(NexpoError) as refused:
            await operation.result(PATIENCE)
        assert refused.value.reason == "STORE_DISABLED"
        assert refused.value.fields == {"databases": "mongodb is not switched on"}
        assert await house.nowhere(email)
        # Who does not ask for stores gets those that are on.
        result = await house.active(email)
        assert len(result.record_ids) == 4


async def test_what_names_no_database_is_the_calls_error_with_its_field(house: House) -> None:
    body = {"email": new_email(), "displayName": "A", "password": "correct horse"}
    answer = await house.rest("POST", "/v1/users:onboard", {**body, "databases": ["oracle"]})
    assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_ARGUMENT")
    request = person()
    request.databases.append("oracle")
    with pytest.raises(NexpoError) as refused:
        await house.users.onboard_user(request)
    assert refused.value.reason == "INVALID_ARGUMENT"
    assert list(refused.value.fields) == ["databases[0]"]


async def test_of_two_onboardings_of_one_address_exactly_one_wins(house: House) -> None:
    email = new_email()
    homes = await house.witnesses.homes()
    spelled = (email, email.upper().replace("EXAMPLE", "Example"))
    operations = await asyncio.gather(*(house.users.onboard_user(person(e)) for e in spelled))
    endings = await asyncio.gather(*(_decided(house, each) for each in operations))
    assert sorted(endings) == ["EMAIL_TAKEN", "waiting"]
    winner = operations[endings.index("waiting")]
    await winner.verify_email(token=await house.token(email))
    result = await winner.result(PATIENCE)
    found = await house.found(email)
    for entry in result.record_ids:
        name = entry.database.removeprefix("databases/")
        assert found[name].ids == (entry.id,)
    assert len(await house.witnesses.homes() - homes) == 1


async def test_watchers_see_the_same_end_also_after_a_reconnect(house: House) -> None:
    email = new_email()
    operation = await house.users.onboard_user(person(email))
    again = house.users.onboard_user_operation(operation.name)
    watching = [asyncio.create_task(_frames(one)) for one in (operation, again)]
    await house.waiting(operation)
    # A third watches, goes away and comes back: first it sees what is, then what changes.
    late = operation.watch(PATIENCE)
    assert (await anext(late)).state == Progress.WAITING
    await operation.verify_email(token=await house.token(email))
    frames = await _frames(operation)
    for seen in (*(await asyncio.gather(*watching)), frames):
        assert seen[-1].state == Progress.SUCCEEDED
        assert seen[-1].percent == 100
        percents = [frame.percent for frame in seen]
        assert percents == sorted(percents)
    assert any(frame.state == Progress.WAITING for frame in watching[0].result())
    assert all(step.state == Step.DONE for step in frames[-1].steps)


async def test_rest_streams_the_same_frames(house: House) -> None:
    operation = await house.users.onboard_user(person())
    await operation.cancel()
    headers = {"authorization": f"Bearer {house.stack.api_key}"}
    url = f"{house.stack.gateway.url}/v1/{operation.name}:watch"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=90) as http,
        http.stream("GET", url, headers=headers) as stream,
    ):
        lines = [line async for line in stream.aiter_lines() if "CANCELLED" in line]
    assert lines


async def test_a_cancelled_onboarding_leaves_nothing_and_frees_the_address(house: House) -> None:
    email = new_email()
    operation = await house.users.onboard_user(person(email))
    await house.waiting(operation)
    await operation.cancel()
    with pytest.raises(NexpoError) as cancelled:
        await operation.result(PATIENCE)
    assert cancelled.value.reason == "OPERATION_CANCELLED"
    assert await house.nowhere(email)
    assert (await house.active(email)).user.state == User.ACTIVE


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 529, "retry_after": 30}, {"kind": "slow", "seconds": 60}],
    ids=["overloaded", "slow"],
)
async def test_claude_never_stops_an_onboarding(house: House, fault: dict[str, object]) -> None:
    url = f"{house.stack.servers.claude.url}/_fault"
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.post(url, json=fault)).raise_for_status()
        try:
            result = await house.active()
        finally:
            await http.delete(url)
    assert_plain(result)


async def test_claude_switched_off_gives_the_template(house: House) -> None:
    async with house.restarted("ai-worker", ENABLE_CLAUDE="false"):
        assert_plain(await house.active())


async def test_a_mail_server_that_is_away_for_a_moment_delays_and_no_more(house: House) -> None:
    email = new_email()
    url = f"{house.stack.servers.mailbox.url}/fault"
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.put(url, json={"mode": "away"})).raise_for_status()
        try:
            operation = await house.users.onboard_user(person(email))
            await house.retried(operation.name, "send verification e-mail")
        finally:
            await http.put(url, json={"mode": "none"})
    result = await house.verify(operation, email)
    assert result.user.state == User.ACTIVE
    sent = {step.name: step for step in (await operation.progress()).steps}
    assert sent["send verification e-mail"].attempt > 1


def assert_plain(result: OnboardUserResponse) -> None:
    """Active, and the result says that the welcome text is the template."""
    assert result.user.state == User.ACTIVE
    assert result.welcome_source == TextSource.TEXT_SOURCE_TEMPLATE
    assert "Ada" in result.welcome_text
    assert {entry.database for entry in result.record_ids} == {store_named(name) for name in STORES}


async def _frames(operation: OnboardUserOperation) -> list[Progress]:
    return [frame async for frame in operation.watch(PATIENCE)]


async def _decided(house: House, operation: OnboardUserOperation) -> str:
    """ "waiting", or why it ended."""
    async for progress in operation.watch(PATIENCE):
        if progress.state == Progress.WAITING:
            return "waiting"
    ended = await operation.operation()
    assert progress_of(ended).state == Progress.FAILED
    return NexpoError(ended.error).reason


async def _until_waiting(house: House, name: str) -> None:
    await house.waiting(house.users.onboard_user_operation(name))
