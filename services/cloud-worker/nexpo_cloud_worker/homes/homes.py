"""Users' homes in object storage, each effect fenced by its key.

A home is the prefix `homes/{tenant}/{user_id}/`. The object `.home` under it is
its marker: it holds the digest of the key that made it, or nothing, and then it
is a tombstone. A marker is only ever written where there is none, and only ever
turned into a tombstone; so whoever writes it first decides, and a creation that
lands after its undo meets the tombstone and ends as FENCED.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from ..object_stores.object_store import ObjectStore

_ROOT = "homes/"
_MARKER = ".home"
_PAGE = 1000
_TOMBSTONE = b""


def _no_report(deleted: int) -> None:
    pass


class Homes:
    """The homes in one storage.

    Every method may raise a Fault with OBJECT_STORE_UNAVAILABLE or
    OBJECT_STORE_REFUSED besides those it names.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def create(self, tenant: str, key: str, user_id: str) -> str:
        """Provisions a home, or finds the one that the key provisioned before.

        Returns:
            Its URI, such as s3://bucket/homes/acme/1f0e.../.

        Raises:
            Fault: FENCED when it was undone or erased; OBJECT_STORE_REFUSED
                when another key provisioned it.
        """
        prefix = home_prefix(tenant, user_id)
        digest = _digest(key)
        if not await self._store.put_new(prefix + _MARKER, digest, {"nexpo-state": "live"}):
            found = await self._store.get(prefix + _MARKER)
            if found is None:
                raise Fault(
                    Reason.REASON_OBJECT_STORE_UNAVAILABLE, "The home changed at the same time."
                )
            if found == _TOMBSTONE:
                raise Fault(Reason.REASON_FENCED, "The home was undone before it was provisioned.")
            if found != digest:
                raise Fault(
                    Reason.REASON_OBJECT_STORE_REFUSED,
                    "The home belongs to another operation.",
                )
        return self._store.uri(prefix)

    async def remove(self, tenant: str, key: str, user_id: str) -> None:
        """Undoes `create` under the key, also one that has not landed yet.

        A home that another key provisioned stays: there was nothing to undo.
        """
        prefix = home_prefix(tenant, user_id)
        if await self._bury(prefix, only=_digest(key)):
            await self._clear(prefix, 0, _no_report)

    async def erase(
        self,
        tenant: str,
        user_id: str,
        deleted: int = 0,
        report: Callable[[int], None] = _no_report,
    ) -> int:
        """Deletes a home with everything in it, whoever provisioned it.

        What a call that was broken off has deleted is gone, so the next one
        goes on where that ended.

        Args:
            tenant: Whose it is.
            user_id: The user's.
            deleted: How many objects earlier attempts reported.
            report: Called with the number so far before every request.

        Returns:
            How many objects were deleted, those of earlier attempts too.
        """
        prefix = home_prefix(tenant, user_id)
        # First, as in every undo: nothing can be provisioned behind the deletion's back.
        await self._bury(prefix, only=None)
        return await self._clear(prefix, deleted, report)

    async def purge(self, before: datetime, pages: int, after: str = "") -> tuple[int, str]:
        """Deletes tombstones that were made before.

        Args:
            before: With time zone.
            pages: How many pages of at most 1000 objects to look at.
            after: Where the previous call ended.

        Returns:
            How many were deleted, and where to go on: "" when all was seen.
        """
        purged = 0
        for _ in range(pages):
            entries = await self._store.page(_ROOT, after, _PAGE)
            old = [
                entry.key
                for entry in entries
                if entry.key.endswith(f"/{_MARKER}") and not entry.size and entry.modified < before
            ]
            if old:
                await self._store.delete(old)
            purged += len(old)
            if len(entries) < _PAGE:
                return purged, ""
            after = entries[-1].key
        return purged, after

    async def _bury(self, prefix: str, only: bytes | None) -> bool:
        """Makes the marker a tombstone; not when it is live and holds another digest than `only`.

        Returns:
            Whether it is one.
        """
        marker = prefix + _MARKER
        made = {"nexpo-state": "tombstone", "nexpo-time": datetime.now(UTC).isoformat()}
        # Where there is none, the condition decides against a creation in flight.
        if await self._store.put_new(marker, _TOMBSTONE, made):
            return True
        found = await self._store.get(marker)
        if found == _TOMBSTONE:
            return True
        if found is None:
            raise Fault(
                Reason.REASON_OBJECT_STORE_UNAVAILABLE, "The home changed at the same time."
            )
        if only is not None and found != only:
            return False
        # A live marker can only become a tombstone, so overwriting needs no condition.
        await self._store.put(marker, _TOMBSTONE, made)
        return True

    async def _clear(self, prefix: str, deleted: int, report: Callable[[int], None]) -> int:
        """Deletes everything under the prefix but the marker."""
        after = ""
        while True:
            report(deleted)
            entries = await self._store.page(prefix, after, _PAGE)
            keys = [entry.key for entry in entries if entry.key != prefix + _MARKER]
            if keys:
                report(deleted)
                await self._store.delete(keys)
                deleted += len(keys)
            if len(entries) < _PAGE:
                return deleted
            after = entries[-1].key


def home_prefix(tenant: str, user_id: str) -> str:
    """`homes/{tenant}/{user_id}/`, both percent-escaped.

    Raises:
        Fault: INVALID_ARGUMENT when one is empty.
    """
    if not tenant or not user_id:
        empty = FieldViolation("tenant" if not tenant else "user_id", "must not be empty")
        raise Fault(Reason.REASON_INVALID_ARGUMENT, "A home needs its user.", fields=[empty])
    return f"{_ROOT}{_escaped(tenant)}/{_escaped(user_id)}/"


def _escaped(part: str) -> str:
    # "." and ".." are folders to storages that keep objects as files.
    return "%2E" * len(part) if part in (".", "..") else quote(part, safe="")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).hexdigest().encode()
