"""What an object storage must be able to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """An object in a listing.

    Attributes:
        key: Its whole key.
        size: Bytes.
        modified: When it was last written, with time zone.
    """

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Small objects under keys, in one bucket.

    Listings are in the byte order of keys and see every write that was
    acknowledged. Every method raises a Fault with OBJECT_STORE_UNAVAILABLE or
    OBJECT_STORE_REFUSED; an SDK's own errors never leave a provider.
    """

    def uri(self, key: str) -> str:
        """Where the object is, such as s3://bucket/key."""

    async def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Writes an object where there is none: of many at once, exactly one.

        Returns:
            False when there is one, which stays as it is.
        """

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str]) -> None:
        """Writes an object, whatever was there."""

    async def get(self, key: str) -> bytes | None:
        """Reads a whole object; None when there is none."""

    async def page(self, prefix: str, after: str = "", limit: int = 1000) -> list[ObjectEntry]:
        """At most `limit` (1 to 1000) objects whose key begins with `prefix`, behind `after`."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes at most 1000 objects; what does not exist counts as deleted."""

    async def ping(self) -> None:
        """Answers when the storage does."""
