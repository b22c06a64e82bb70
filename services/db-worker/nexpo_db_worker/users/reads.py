"""Users as they are now: one, or the tenant's list."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import (
    GetUserRequest,
    GetUserResponse,
    ListUsersRequest,
    ListUsersResponse,
    RecordCopy,
    UserView,
)
from nexpo.users.v1.users_service import UserServiceReads
from nexpo_db_worker.capabilities.rows import Place
from nexpo_db_worker.databases.opened import Databases
from nexpo_db_worker.users.page_token import PageTokens
from nexpo_db_worker.users.users import StoredUser, UserDatabases, Users
from nexpo_runtime.edge.page_size import PageSize
from nexpo_runtime.errors import Fault, reason_name, reason_value
from nexpo_runtime.tenant import Signer
from nexpo_runtime.worker import activity

_PAGES = PageSize(largest=500)
# Clients of gRPC take 4 MiB unless they ask for more.
_LARGEST_ANSWER = 3 * 1024 * 1024
# Less than the call may take, so that one slow database does not cost the others' answers.
_STORE_S = 4.0


class UserReads(UserServiceReads):
    """Reads of users.

    Args:
        databases: Those that are switched on.
        signer: Signs page tokens.
    """

    def __init__(self, databases: Databases, signer: Signer) -> None:
        self._users = UserDatabases.over(databases)
        self._tokens = PageTokens(signer)

    async def get_user(self, request: GetUserRequest) -> GetUserResponse:
        """One user as the authority has it; with every database's copy when asked.

        Raises:
            Fault: USER_NOT_FOUND when no database that answers has the user; the
                authority's fault when it does not answer and no other has it.
        """
        tenant = activity.current().tenant
        if request.view != UserView.USER_VIEW_COPIES:
            found = await self._users.authority.get(tenant, request.user_id)
            return GetUserResponse(user=found.record.user)
        authority = self._users.authority
        shown = self._users.all.values()
        copies = await asyncio.gather(*(_copy(users, tenant, request.user_id) for users in shown))
        own = next(copy for copy in copies if copy.database == authority.database)
        if not any(copy.HasField("user") for copy in copies):
            raise authority.fault(reason_value(own.reason))
        return GetUserResponse(user=own.user if own.HasField("user") else None, copies=copies)

    async def list_users(self, request: ListUsersRequest) -> ListUsersResponse:
        """A page of the tenant's users, oldest first. Raises: Fault: INVALID_PAGE_TOKEN.

        A page ends early where it would not fit into one message. A user whose record
        cannot be read is in it by the id alone.
        """
        tenant = activity.current().tenant
        size = _PAGES.of(request.page_size)
        after = self._tokens.read(tenant, request.page_token) if request.page_token else None
        while True:
            # One more than asked tells whether there is another page.
            found = await self._users.authority.page(tenant, after, size + 1)
            page = _fitting(found[:size])
            if len(page) == len(found):
                return _page(page, "")
            # The next page begins behind the last one whose place is known.
            known = [number for number, stored in enumerate(page) if stored.place is not None]
            if known:
                page = page[: known[-1] + 1]
                return _page(page, self._tokens.behind(tenant, _place(page[-1])))
            size *= 2


def _page(found: Sequence[StoredUser], token: str) -> ListUsersResponse:
    return ListUsersResponse(users=[one.record.user for one in found], next_page_token=token)


def _place(stored: StoredUser) -> Place:
    assert stored.place is not None
    return stored.place


def _fitting(found: Sequence[StoredUser]) -> Sequence[StoredUser]:
    """As many of them, from the first, as fit into one message; one at least."""
    room = _LARGEST_ANSWER
    for number, stored in enumerate(found):
        room -= stored.record.user.ByteSize()
        if room < 0 and number:
            return found[:number]
    return found


async def _copy(users: Users, tenant: str, user_id: str) -> RecordCopy:
    try:
        async with asyncio.timeout(_STORE_S):
            found = await users.get(tenant, user_id)
    except Fault as fault:
        return RecordCopy(database=users.database, reason=fault.name)
    except TimeoutError:
        return RecordCopy(
            database=users.database, reason=reason_name(Reason.REASON_STORE_UNAVAILABLE)
        )
    return RecordCopy(database=users.database, id=found.id, user=found.record.user)
