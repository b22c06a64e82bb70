"""What the contract promises about time, mails and masks, on a clock that jumps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.notifications.v1.notifications_pb2 import SendVerificationRequest
from nexpo.users.v1.user_records_pb2 import CreateUserRequest
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    OnboardUserRequest,
    Profile,
    UpdateUserRequest,
    User,
)
from nexpo_gateway.processes.users.delete_user import DeleteUser
from nexpo_gateway.processes.users.onboard_user import OnboardUser
from nexpo_gateway.processes.users.update_user import UpdateUser
from nexpo_runtime.errors import Fault
from tests.simulation.world import AUTHORITY, STORES

from .in_virtual_time import Stage, hours, played, resend, sleep, state, verify

AWAY = Fault(Reason.REASON_MAIL_UNAVAILABLE, "The mail server is away.")
REFUSED = Fault(Reason.REASON_MAIL_REFUSED, "The mail server refuses.")


def onboarding(within: timedelta | None = None) -> OnboardUserRequest:
    request = OnboardUserRequest(email="ada@example.test", display_name="Ada", request_id="r")
    if within is not None:
        request.verify_within.FromTimedelta(within)
    return request


@pytest.mark.parametrize(
    ("within", "expected"),
    [(None, 24.0), (timedelta(hours=2), 2.0), (timedelta(hours=72), 72.0)],
)
def test_an_address_can_be_verified_for_as_long_as_was_asked(
    within: timedelta | None, expected: float
) -> None:
    stage = Stage()

    async def play() -> float:
        operation, ending = stage.start(OnboardUser, onboarding(within))
        await sleep(expected - 0.01)
        assert state(operation) == "WAITING"
        with pytest.raises(Fault) as fault:
            await ending
        assert fault.value.reason == Reason.REASON_VERIFICATION_EXPIRED
        return hours()

    assert played(play) == pytest.approx(expected, abs=0.01)
    assert stage.hours_of("FIRST") == [0.0]
    assert stage.hours_of("REMINDER") == [pytest.approx(expected / 2, abs=0.01)]
    sent = [r for r in stage.requests if isinstance(r, SendVerificationRequest)]
    begun = sent[0].expire_time.ToDatetime() - timedelta(hours=expected)
    assert begun.isoformat(timespec="minutes") == "2026-01-01T00:00", "the mail says until when"
    assert {r.expire_time.seconds for r in sent} == {sent[0].expire_time.seconds}


@pytest.mark.parametrize("refused", ["send reminder", "send verification e-mail again, 1"])
def test_a_mail_that_is_refused_after_the_first_undoes_nothing(refused: str) -> None:
    stage = Stage(faults={refused: REFUSED})

    async def play() -> None:
        operation, ending = stage.start(OnboardUser, onboarding())
        await sleep(1)
        await resend(operation)
        await sleep(12)
        assert state(operation) == "WAITING"
        names = [s.name for s in operation.instance.tracker.progress.steps]  # type: ignore[union-attr]  # it runs
        assert refused in names, "it was tried"
        await verify(operation, stage.mails[0][1].token)
        result = await ending
        assert result.user.state == User.ACTIVE  # type: ignore[attr-defined]  # OnboardUserResponse

    played(play)
    other = "RESEND" if "reminder" in refused else "REMINDER"
    assert len(stage.hours_of(other)) == 1, "the other mail came"


def test_the_authority_holds_whoever_asks_for_another_database_and_alone_the_hash() -> None:
    stage, request = Stage(), onboarding()
    [other, *_] = [store for store in STORES if store != AUTHORITY]
    request.databases.append(other)
    request.password_hash = "hash"

    async def play() -> None:
        operation, ending = stage.start(OnboardUser, request)
        await sleep(1)
        await verify(operation, stage.mails[0][1].token)
        await ending

    played(play)
    created = [request for request in stage.requests if isinstance(request, CreateUserRequest)]
    hashes = {one.database: one.record.password_hash for one in created}
    assert hashes == {AUTHORITY: "hash", other: ""}


def test_a_reminder_that_is_put_off_gives_way_to_a_mail_that_is_asked_for() -> None:
    stage = Stage(faults={"send reminder": AWAY})

    async def play() -> None:
        operation, ending = stage.start(OnboardUser, onboarding())
        await sleep(13)
        await resend(operation)
        await sleep(1)
        assert stage.hours_of("RESEND") == [13.0]
        await verify(operation, stage.mails[-1][1].token)
        await ending

    played(play)


def test_an_account_is_whole_without_its_welcome() -> None:
    stage = Stage(faults={"send welcome e-mail": REFUSED})

    async def play() -> None:
        operation, ending = stage.start(OnboardUser, onboarding())
        await sleep(1)
        await verify(operation, stage.mails[0][1].token)
        result = await ending
        assert result.user.state == User.ACTIVE  # type: ignore[attr-defined]  # OnboardUserResponse
        assert hours() < 1.01, "nothing waits for it"

    played(play)


def test_the_first_mail_that_is_refused_undoes_everything() -> None:
    stage = Stage(faults={"send verification e-mail": REFUSED})

    async def play() -> None:
        with pytest.raises(Fault, match="MAIL_REFUSED"):
            await stage.start(OnboardUser, onboarding())[1]

    played(play)
    for rows in (*stage.world.users.values(), stage.world.claims, stage.world.homes):
        assert rows.live() == {}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["profile.attributes"], {"locale": "de", "attributes": {"b": {"y": 2.0}}}),
        (["profile"], {"timeZone": "Europe/Berlin", "attributes": {"b": {"y": 2.0}}}),
        (["profile.locale"], {"attributes": {"a": 1.0, "b": {"x": 1.0}}}),
        (["profile.time_zone"], {
            "locale": "de", "timeZone": "Europe/Berlin", "attributes": {"a": 1.0, "b": {"x": 1.0}},
        }),
        (["display_name"], {"locale": "de", "attributes": {"a": 1.0, "b": {"x": 1.0}}}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_a_mask_replaces_what_it_names_and_nothing_else(
    paths: list[str], expected: dict[str, object]
) -> None:
    stage = Stage()

    async def play() -> User:
        first = onboarding()
        ParseDict({"locale": "de", "attributes": {"a": 1, "b": {"x": 1}}}, first.profile)
        operation, ending = stage.start(OnboardUser, first)
        await sleep(1)
        await verify(operation, stage.mails[0][1].token)
        user: User = (await ending).user  # type: ignore[attr-defined]  # OnboardUserResponse
        change = UpdateUserRequest(user_id=user.user_id, display_name="New", request_id="u")
        ParseDict({"timeZone": "Europe/Berlin", "attributes": {"b": {"y": 2}}}, change.profile)
        change.update_mask.paths.extend(paths)
        after = await stage.start(UpdateUser, change)[1]
        assert isinstance(after, User)
        assert all(stage.world.find(store, user.user_id) == after for store in stage.world.users)
        return after

    after = played(play)
    assert MessageToDict(after.profile) == expected
    assert after.display_name == ("New" if paths == ["display_name"] else "Ada")
    assert isinstance(after.profile, Profile)


@pytest.mark.parametrize(
    "path", ["email", "profile.shoe_size", "profile.attributes.b", "display_name.first", ""]
)
def test_a_mask_that_names_what_cannot_be_changed_is_refused_before_anything_is_done(
    path: str,
) -> None:
    stage = Stage()
    change = UpdateUserRequest(user_id="u", display_name="New", request_id="u")
    change.update_mask.paths.extend(["display_name", path])

    async def play() -> None:
        with pytest.raises(Fault) as refused:
            await stage.start(UpdateUser, change)[1]
        assert refused.value.reason == Reason.REASON_INVALID_ARGUMENT
        assert [violation.field for violation in refused.value.fields] == ["update_mask"]

    played(play)
    assert stage.requests == []


@pytest.mark.parametrize("held", ["delete home", "delete from postgres"])
def test_a_user_is_found_and_keeps_the_address_until_nothing_else_is_left(held: str) -> None:
    stage = Stage()

    async def play() -> None:
        operation, ending = stage.start(OnboardUser, onboarding())
        await sleep(1)
        await verify(operation, stage.mails[0][1].token)
        user: User = (await ending).user  # type: ignore[attr-defined]  # OnboardUserResponse
        stage.faults[held] = AWAY
        deletion = stage.start(DeleteUser, DeleteUserRequest(user_id=user.user_id))[1]
        await sleep(1 / 60)
        found = [store for store in stage.world.users if stage.world.find(store, user.user_id)]
        assert found == [AUTHORITY]
        reserved = {resource for resource, _ in stage.world.claims.live().values()}
        assert reserved == {f"email:{user.email}", f"user:{user.user_id}"}
        stage.faults.clear()
        await deletion
        assert not stage.world.find(AUTHORITY, user.user_id)
        assert not stage.world.claims.live()

    played(play)
