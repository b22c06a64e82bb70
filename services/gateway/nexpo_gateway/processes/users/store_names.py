"""Names of stores as steps and messages show them."""

from __future__ import annotations

from nexpo.users.v1.users_pb2 import Store


def store_name(store: Store.ValueType) -> str:
    """ "postgres" for STORE_POSTGRES."""
    return Store.Name(store).removeprefix("STORE_").lower()
