"""Users in Cosmos DB, each effect one write of one item."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.providers.cosmosdb.account import Account
from nexpo_db_worker.providers.cosmosdb.documents import (
    Document,
    claim_document,
    claim_tombstone,
    is_tombstone,
    item_id,
    stored_user,
    time_text,
    user_document,
    user_tombstone,
)
from nexpo_db_worker.providers.cosmosdb.purge import purge_tombstones
from nexpo_db_worker.providers.faults import store_fault
from nexpo_db_worker.stored import whole
from nexpo_db_worker.stores import Position, StoredUser

_TRIES = 5  # when others change what was just read
_LIVE = "NOT IS_DEFINED(c.removed_time)"
_BY_USER_ID = f"SELECT * FROM c WHERE c.user_id = @user_id AND {_LIVE}"
_BY_EMAIL_OR_USER_ID = (
    "SELECT c.email, c.user_id FROM c WHERE c.email = @email OR c.user_id = @user_id"
)
_PAGE = f"""
    SELECT TOP @limit * FROM c
    WHERE {_LIVE}
        AND (c.create_time > @time OR (c.create_time = @time AND c.user_id > @user_id))
    ORDER BY c.create_time, c.user_id
"""
_FIRST_PAGE = f"SELECT TOP @limit * FROM c WHERE {_LIVE} ORDER BY c.create_time, c.user_id"
_BY_RESOURCE = f"SELECT * FROM c WHERE c.resource = @resource AND {_LIVE}"


class CosmosUserStore:
    """The UserStore of Cosmos DB."""

    store = Store.STORE_COSMOSDB

    def __init__(self, account: Account) -> None:
        self._account = account

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        document = user_document(tenant, item_id(key), record)
        async with self._account.containers() as containers:
            for _ in range(_TRIES):
                try:
                    return stored_user(await containers.users.create_item(document))
                except CosmosResourceExistsError:
                    found = await self._holder(containers.users, document)
                if found is not None:
                    return found
                # Who stood in the way is gone already: once more.
        raise self._fault(Reason.REASON_STORE_UNAVAILABLE)

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            await containers.users.upsert_item(user_tombstone(tenant, item_id(key)))

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        async with self._account.containers() as containers:
            found = await self._live(containers.users, tenant, user_id)
        return whole(self.store, stored_user(found))

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore."""
        if limit < 1:
            return []
        values: dict[str, object] = {"limit": limit}
        if after is not None:
            values |= {"time": time_text(after.create_time), "user_id": after.user_id}
        query = _FIRST_PAGE if after is None else _PAGE
        async with self._account.containers() as containers:
            found = await _query(containers.users, query, tenant, **values)
        return [stored_user(document) for document in found]

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            for _ in range(_TRIES):
                before = await self._live(containers.users, tenant, user.user_id)
                if before["etag"] == user.etag:
                    return
                if before["etag"] not in expected_etags:
                    raise self._fault(Reason.REASON_ETAG_MISMATCH)
                record = UserRecord(user=user, password_hash=before["password_hash"])
                try:
                    await containers.users.replace_item(
                        before["id"],
                        user_document(tenant, before["id"], record),
                        etag=before["_etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
                except CosmosResourceExistsError:
                    raise self._fault(Reason.REASON_EMAIL_TAKEN) from None
                except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
                    continue  # it has changed since it was read: read it again
                return
        raise self._fault(Reason.REASON_STORE_UNAVAILABLE)

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            # Without If-Match: an item of this id is this user or a tombstone, for good.
            for found in await _query(containers.users, _BY_USER_ID, tenant, user_id=user_id):
                await containers.users.upsert_item(user_tombstone(tenant, found["id"]))

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""
        document = claim_document(tenant, item_id(key), resource)
        async with self._account.containers() as containers:
            try:
                await containers.claims.create_item(document)
            except CosmosResourceExistsError:
                found = await _read(containers.claims, document)
            else:
                return True
        if found is None:
            return False
        if is_tombstone(found):
            raise self._fault(Reason.REASON_FENCED)
        return bool(found["resource"] == resource)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            await containers.claims.upsert_item(claim_tombstone(tenant, item_id(key)))

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            for found in await _query(containers.claims, _BY_RESOURCE, tenant, resource=resource):
                await containers.claims.upsert_item(claim_tombstone(tenant, found["id"]))

    async def purge(self, before: datetime) -> int:
        """See UserStore; at most 200 of each kind a call."""
        async with self._account.containers() as containers:
            users = await purge_tombstones(containers.users, before)
            return users + await purge_tombstones(containers.claims, before)

    async def ping(self) -> None:
        """See UserStore."""
        async with self._account.containers() as containers:
            # A read of nothing: reading the container itself is rationed by the service.
            await _read(containers.users, {"id": "ping", "tenant": "ping"})

    async def _holder(self, users: ContainerProxy, document: Document) -> StoredUser | None:
        """Why an item could not be created: the key's own item, or None when nothing is left.

        The service answers one status for an id and for every unique key.
        """
        own = await _read(users, document)
        if own is not None:
            if is_tombstone(own):
                raise self._fault(Reason.REASON_FENCED)
            return stored_user(own)
        values = {"email": document["email"], "user_id": document["user_id"]}
        others = await _query(users, _BY_EMAIL_OR_USER_ID, document["tenant"], **values)
        if any(other["email"] == document["email"] for other in others):
            raise self._fault(Reason.REASON_EMAIL_TAKEN)
        if others:
            raise self._fault(Reason.REASON_STORE_REFUSED)
        return None

    async def _live(self, users: ContainerProxy, tenant: str, user_id: str) -> Document:
        found = await _query(users, _BY_USER_ID, tenant, user_id=user_id)
        if not found:
            raise self._fault(Reason.REASON_USER_NOT_FOUND)
        return found[0]

    def _fault(self, reason: Reason.ValueType) -> Exception:
        return store_fault(self.store, reason)


async def _query(
    container: ContainerProxy, query: str, tenant: str, **values: object
) -> list[Document]:
    """All that a query finds in the tenant's partition; `values` are its parameters."""
    parameters = [{"name": f"@{name}", "value": value} for name, value in values.items()]
    found = container.query_items(
        query, parameters=parameters, partition_key=tenant, max_item_count=1000
    )
    return [document async for document in found]


async def _read(container: ContainerProxy, document: Document) -> Document | None:
    """What the container has under the document's id."""
    try:
        return await container.read_item(document["id"], partition_key=document["tenant"])
    except CosmosResourceNotFoundError:
        return None
