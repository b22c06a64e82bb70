"""A store whose every call is measured: how long, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import Histogram

from nexpo.data.v1.data_pb2 import UserRecord
from nexpo.users.v1.users_pb2 import Store, User
from nexpo_db_worker.stores import Position, StoredUser, UserStore
from nexpo_runtime.errors import Fault

STORE_SECONDS = Histogram(
    "nexpo_store_seconds",
    "Calls of stores, by operation and outcome (ok, or the reason of the fault).",
    ["store", "operation", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class ObservedStore:
    """Passes every call on to a store and measures it.

    Args:
        store: The store.
        name: Its name in the metrics.
    """

    def __init__(self, store: UserStore, name: str) -> None:
        self.store: Store.ValueType = store.store
        self._store = store
        self._name = name

    async def create(self, tenant: str, key: str, record: UserRecord) -> StoredUser:
        """See UserStore."""
        with self._measured("create"):
            return await self._store.create(tenant, key, record)

    async def remove(self, tenant: str, key: str) -> None:
        """See UserStore."""
        with self._measured("remove"):
            await self._store.remove(tenant, key)

    async def get(self, tenant: str, user_id: str) -> StoredUser:
        """See UserStore."""
        with self._measured("get"):
            return await self._store.get(tenant, user_id)

    async def page(self, tenant: str, after: Position | None, limit: int) -> list[StoredUser]:
        """See UserStore."""
        with self._measured("page"):
            return await self._store.page(tenant, after, limit)

    async def replace(self, tenant: str, user: User, expected_etags: Collection[str]) -> None:
        """See UserStore."""
        with self._measured("replace"):
            await self._store.replace(tenant, user, expected_etags)

    async def erase(self, tenant: str, user_id: str) -> None:
        """See UserStore."""
        with self._measured("erase"):
            await self._store.erase(tenant, user_id)

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """See UserStore."""
        with self._measured("claim"):
            return await self._store.claim(tenant, key, resource)

    async def release(self, tenant: str, key: str) -> None:
        """See UserStore."""
        with self._measured("release"):
            await self._store.release(tenant, key)

    async def forget(self, tenant: str, resource: str) -> None:
        """See UserStore."""
        with self._measured("forget"):
            await self._store.forget(tenant, resource)

    async def purge(self, before: datetime) -> int:
        """See UserStore."""
        with self._measured("purge"):
            return await self._store.purge(before)

    async def ping(self) -> None:
        """See UserStore."""
        with self._measured("ping"):
            await self._store.ping()

    @contextmanager
    def _measured(self, operation: str) -> Iterator[None]:
        began = time.perf_counter()
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except Fault as fault:
            outcome = fault.name
            raise
        except Exception:
            outcome = "INTERNAL"
            raise
        finally:
            STORE_SECONDS.labels(self._name, operation, outcome).observe(
                time.perf_counter() - began
            )
