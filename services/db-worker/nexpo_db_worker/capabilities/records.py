"""Live rows: read, listed, changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from nexpo_db_worker.capabilities.rows import Place, Row, Values


class Records(Protocol):
    """A table's live rows; the table has an etag, and an order for pages.

    Every method may raise a Fault with STORE_UNAVAILABLE, STORE_THROTTLED, STORE_DENIED or
    STORE_REFUSED besides what it names. Drivers' own errors never leave an engine.
    """

    async def get(self, tenant: str, name: str) -> Row | None:
        """The live row that `name` identifies."""

    async def page(self, tenant: str, after: Place | None, limit: int) -> list[Row]:
        """At most `limit` live rows behind `after`, by the table's order and id.

        One that cannot be read is among them, as Row says.
        """

    async def replace(self, tenant: str, values: Values, expected: Collection[str]) -> str | None:
        """Writes values over the live row that they identify, if its etag is an expected one.

        A row that already has the etag of `values` counts as written.

        Args:
            tenant: Whose row.
            values: By column; columns that are left out stay as they are.
            expected: Etags.

        Returns:
            The etag that the row has then: that of `values` when it is written, another
            when it was not expected, None where there is no live row.

        Raises:
            Taken: Another live row has a value that must be unique.
        """
