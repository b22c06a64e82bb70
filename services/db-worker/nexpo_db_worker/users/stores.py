"""The contract's stores and the databases' ids: the only place that knows both.

A store of the contract is the database whose id is the store's name in small letters.
"""

from __future__ import annotations

from collections.abc import Iterable

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_runtime.errors import Fault, FieldViolation

_PREFIX = "STORE_"
_BY_ID = {
    name.removeprefix(_PREFIX).lower(): store
    for name, store in Store.items()
    if store != Store.STORE_UNSPECIFIED
}
_BY_STORE = {store: database for database, store in _BY_ID.items()}


def id_of(store: Store.ValueType) -> str:
    """The id of a store's database. Raises: Fault: INVALID_ARGUMENT: There is no such store."""
    if store not in _BY_STORE:
        raise Fault(
            Reason.REASON_INVALID_ARGUMENT,
            "There is no such store.",
            fields=[FieldViolation("store", "must be one of the contract's stores")],
        )
    return _BY_STORE[store]


def store_of(database: str) -> Store.ValueType:
    """The store that a database is; unspecified where the contract has no name for it."""
    return _BY_ID.get(database, Store.STORE_UNSPECIFIED)


def stores_of(databases: Iterable[str]) -> list[Store.ValueType]:
    """Those of the databases that the contract has names for, in its order."""
    return sorted(filter(None, map(store_of, databases)))


def joined(stores: Iterable[Store.ValueType]) -> str:
    """Stores as a user's row keeps them."""
    return ",".join(Store.Name(store) for store in stores)


def split(text: str) -> list[Store.ValueType]:
    """The reverse of joined. Raises: ValueError."""
    return [Store.Value(name) for name in text.split(",") if name]
