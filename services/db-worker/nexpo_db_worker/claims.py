"""Claims: who holds which resource; written once, over the fences of a table of claims."""

from __future__ import annotations

from nexpo_db_worker.capabilities.fences import Fences, Taken
from nexpo_db_worker.capabilities.table import Column, Table

RESOURCE = "resource"


def claims_table(name: str) -> Table:
    """A table that can hold claims: its rows are identified by the resource."""
    return Table(name, (Column(RESOURCE),), id=RESOURCE)


class Claims:
    """Resources of a tenant ("email:a@b", "user:<id>"), each held by one key at most.

    Args:
        fences: Of a `claims_table`.
    """

    def __init__(self, fences: Fences) -> None:
        self._fences = fences

    async def claim(self, tenant: str, key: str, resource: str) -> bool:
        """Takes the resource for the key; once more is the same.

        Returns:
            Whether the key holds it; False when another key does, or this one holds another.

        Raises:
            Fault: FENCED when the key was released; else as Fences.
        """
        try:
            held = await self._fences.create(tenant, key, {RESOURCE: resource})
        except Taken:
            return False
        return bool(held.values.get(RESOURCE) == resource)

    async def release(self, tenant: str, key: str) -> None:
        """Undoes `claim` under the key, also one that has not landed yet."""
        await self._fences.remove(tenant, key)

    async def forget(self, tenant: str, resource: str) -> None:
        """Frees the resource, whichever key holds it."""
        await self._fences.erase(tenant, resource)
