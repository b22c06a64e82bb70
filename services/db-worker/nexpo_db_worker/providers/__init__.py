"""The databases that are switched on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_db_worker.observed import ObservedStore
from nexpo_db_worker.providers.faults import TITLES
from nexpo_db_worker.settings import DbSettings, StoreName
from nexpo_db_worker.stores import UserStore
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.service.health import Check


@dataclass(frozen=True, slots=True)
class Providers:
    """The stores that are switched on.

    Attributes:
        stores: They, in the enum's order.
        authority: The one that decides.
        states: "on", or "off: why", by the name of every store there is.
    """

    stores: Mapping[Store.ValueType, UserStore]
    authority: UserStore
    states: Mapping[str, str]

    def pings(self) -> dict[str, Check]:
        """Health checks of the stores, by name."""
        return {
            name: self.stores[name.store].ping for name in StoreName if name.store in self.stores
        }

    def get(self, store: Store.ValueType) -> UserStore:
        """The store. Raises: Fault: STORE_DISABLED, or INVALID_ARGUMENT for none that exists."""
        if store in self.stores:
            return self.stores[store]
        if store not in TITLES:
            raise Fault(
                Reason.REASON_INVALID_ARGUMENT,
                "There is no such store.",
                fields=[FieldViolation("store", "must be one of the contract's stores")],
            )
        raise Fault(
            Reason.REASON_STORE_DISABLED,
            f"{TITLES[store]} is switched off.",
            metadata={"store": Store.Name(store)},
        )


async def open_providers(settings: DbSettings, stack: AsyncExitStack) -> Providers:
    """Opens what is switched on; imports no driver of what is not.

    A database that is away does not matter here: it is met, and migrated, at
    the first call that reaches it.

    Args:
        settings: The worker's.
        stack: Closes the stores.
    """
    stores: dict[Store.ValueType, UserStore] = {}
    states: dict[str, str] = {}
    for name in StoreName:
        if settings.enabled(name):
            opened = await stack.enter_async_context(_open(settings, name))
            stores[name.store] = ObservedStore(opened, name)
            states[name] = "on"
        else:
            states[name] = f"off: ENABLE_{name.name} is false"
    return Providers(stores, stores[settings.authority_store.store], states)


def _open(settings: DbSettings, name: StoreName) -> AbstractAsyncContextManager[UserStore]:
    match name:
        case StoreName.POSTGRES:
            from nexpo_db_worker.providers.postgres import open_postgres

            return open_postgres(settings.secret("database_url"))
        case StoreName.MONGODB:
            from nexpo_db_worker.providers.mongodb import open_mongodb

            return open_mongodb(settings.secret("mongodb_url"))
        case StoreName.COSMOSDB:
            from nexpo_db_worker.providers.cosmosdb import open_cosmosdb

            return open_cosmosdb(settings.secret("cosmosdb_url"), settings.secret("cosmosdb_key"))
        case StoreName.SQLSERVER:
            from nexpo_db_worker.providers.sqlserver import open_sqlserver

            return open_sqlserver(settings.secret("sqlserver_url"))
        case StoreName.SUPABASE:
            from nexpo_db_worker.providers.supabase import open_supabase

            return open_supabase(
                settings.secret("supabase_url"),
                settings.secret("supabase_key"),
                settings.secret("supabase_database_url") or None,
            )
