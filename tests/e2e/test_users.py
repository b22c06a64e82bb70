"""Reading, changing and deleting users through the gateway, in all their stores."""

from __future__ import annotations

import asyncio

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from nexpo.client import NexpoError
from nexpo.users.v1.users_pb2 import (
    DeleteUserRequest,
    GetUserRequest,
    ListUsersRequest,
    Profile,
    RecordCopy,
    UpdateUserRequest,
    User,
    UserView,
)

from .house import PATIENCE, STORES, House, new_email, person, refusal

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def test_a_user_is_shown_alone_or_with_every_stores_copy(house: House) -> None:
    result = await house.active()
    alone = await house.users.get_user(GetUserRequest(user_id=result.user.user_id))
    assert alone.user == result.user
    assert not alone.copies
    copies = await copies_of(house, result.user)
    assert set(copies) == {f"databases/{name}" for name in STORES}
    assert {entry.database: entry.id for entry in result.record_ids} == {
        store: copy.id for store, copy in copies.items()
    }
    assert all(copy.user == result.user and not copy.reason for copy in copies.values())


async def test_users_are_listed_page_by_page_oldest_first(house: House) -> None:
    three = [await house.active() for _ in range(3)]
    listed: list[User] = []
    token, pages = "", 0
    while pages == 0 or token:
        page = await house.users.list_users(ListUsersRequest(page_size=2, page_token=token))
        assert 0 < len(page.users) <= 2
        listed += page.users
        token, pages = page.next_page_token, pages + 1
    assert pages > 1
    ids = [user.user_id for user in listed]
    assert len(set(ids)) == len(ids)
    assert [i for i in ids if i in {r.user.user_id for r in three}] == [
        r.user.user_id for r in three
    ]
    tampered = (await house.rest("GET", "/v1/users?pageSize=1&pageToken=AAAA")).json()
    assert tampered["reason"] == "INVALID_PAGE_TOKEN"


async def test_an_update_changes_what_its_mask_names_in_every_store(house: House) -> None:
    user = (await house.active()).user
    request = change(user, "display_name", "profile.time_zone", "profile.attributes", name="Ada L.")
    request.profile.time_zone = "Europe/Zurich"
    request.profile.plan = "not in the mask"[:3]
    request.profile.attributes.update({"colour": "red"})
    changed = await house.update(request)
    assert (changed.display_name, changed.profile.time_zone) == ("Ada L.", "Europe/Zurich")
    assert (changed.profile.plan, changed.profile.locale) == ("pro", "en")
    assert changed.profile.attributes["colour"] == "red"
    assert changed.etag != user.etag
    assert changed.update_time.ToDatetime() > user.update_time.ToDatetime()
    assert all(copy.user == changed for copy in (await copies_of(house, user)).values())
    whole = change(changed, "profile")
    whole.profile.CopyFrom(Profile(locale="de-CH"))
    replaced = await house.update(whole)
    assert replaced.profile == Profile(locale="de-CH")


async def test_a_wrong_mask_is_refused_with_its_field_and_changes_nothing(house: House) -> None:
    user = (await house.active()).user
    for path in ("email", "profile.shoe_size", "profile.attributes.colour"):
        refused = await refusal(house.update(change(user, path, name="X")))
        assert refused.reason == "INVALID_ARGUMENT", path
        assert all(field.startswith("update_mask") for field in refused.fields), path
        assert refused.fields, path
    no_mask = UpdateUserRequest(user_id=user.user_id, display_name="X")
    assert (await refusal(house.update(no_mask))).reason == "INVALID_ARGUMENT"
    assert (await house.users.get_user(GetUserRequest(user_id=user.user_id))).user == user


async def test_a_stale_etag_is_refused_and_the_present_one_taken(house: House) -> None:
    user = (await house.active()).user
    first = change(user, "display_name", name="First")
    first.etag = user.etag
    changed = await house.update(first)
    stale = change(user, "display_name", name="Second")
    stale.etag = user.etag
    assert (await refusal(house.update(stale))).reason == "ETAG_MISMATCH"
    # The refused one holds no lock.
    stale.etag, stale.request_id = changed.etag, ""
    again = await house.update(stale)
    assert again.display_name == "Second"


async def test_concurrent_updates_come_one_after_the_other_or_are_told_to_wait(
    house: House,
) -> None:
    user = (await house.active()).user

    async def update(number: int) -> str:
        request = change(user, "display_name", name=f"Name {number}")
        try:
            return (await house.update(request)).display_name
        except NexpoError as error:
            return error.reason

    endings = await asyncio.gather(*(update(number) for number in range(5)))
    done = [ending for ending in endings if ending.startswith("Name")]
    assert done
    assert {ending for ending in endings if ending not in done} <= {"USER_BUSY"}
    copies = (await copies_of(house, user)).values()
    assert {copy.user.display_name for copy in copies} <= set(done)
    assert len({copy.user.etag for copy in copies}) == 1


async def test_an_update_that_one_store_refuses_is_undone_in_all(house: House) -> None:
    user = (await house.active()).user
    async with house.refused(f"NEW.email = '{user.email}' AND NEW.display_name = 'No'"):
        refused = await refusal(house.update(change(user, "display_name", name="No")))
    assert refused.reason == "STORE_REFUSED"
    copies = (await copies_of(house, user)).values()
    assert {copy.user.display_name for copy in copies} == {user.display_name}
    # What was read before the update is no basis for another one, in any store.
    [etag] = {copy.user.etag for copy in copies}
    assert etag != user.etag
    request = change(user, "display_name", name="Yes")
    changed = await house.update(request)
    assert changed.display_name == "Yes"


async def test_a_deleted_user_is_gone_everywhere_and_the_address_is_free(house: House) -> None:
    email = new_email()
    before = await house.witnesses.homes()
    user = (await house.active(email)).user
    assert len(await house.witnesses.homes() - before) == 1
    stale = await refusal(house.delete(user.user_id, etag="of long ago"))
    assert stale.reason == "ETAG_MISMATCH"
    request = DeleteUserRequest(user_id=user.user_id, etag=user.etag, request_id=f"d{email[:9]}")
    operation = await house.users.delete_user(request)
    deleted = await operation.result(PATIENCE)
    assert deleted.user_id == user.user_id
    assert len(deleted.databases) == len(STORES)
    assert await house.nowhere(email)
    assert await house.witnesses.homes() == before
    for view in (UserView.USER_VIEW_BASIC, UserView.USER_VIEW_COPIES):
        read = GetUserRequest(user_id=user.user_id, view=view)
        assert (await refusal(house.users.get_user(read))).reason == "USER_NOT_FOUND"
    # The same request is the same deletion; another one finds nobody.
    assert (await house.users.delete_user(request)).name == operation.name
    assert (await refusal(house.delete(user.user_id))).reason == "USER_NOT_FOUND"
    again = await house.active(email)
    assert again.user.user_id != user.user_id


async def test_a_user_who_is_not_verified_yet_cannot_be_changed(house: House) -> None:
    operation = await house.users.onboard_user(person())
    await house.waiting(operation)
    page = await house.users.list_users(ListUsersRequest(page_size=500))
    pending = [user for user in page.users if user.state == User.PENDING][-1]
    refused = await refusal(house.update(change(pending, "display_name", name="X")))
    assert refused.reason == "USER_NOT_ACTIVE"
    await operation.cancel()
    assert (await refusal(operation.result(PATIENCE))).reason == "OPERATION_CANCELLED"


def change(user: User, *paths: str, name: str = "") -> UpdateUserRequest:
    """An update of these parts."""
    return UpdateUserRequest(
        user_id=user.user_id, display_name=name, update_mask=FieldMask(paths=paths)
    )


async def copies_of(house: House, user: User) -> dict[str, RecordCopy]:
    """What every store has of a user."""
    request = GetUserRequest(user_id=user.user_id, view=UserView.USER_VIEW_COPIES)
    return {copy.database: copy for copy in (await house.users.get_user(request)).copies}
