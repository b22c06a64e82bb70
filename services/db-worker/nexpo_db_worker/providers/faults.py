"""The catalogue's words for what goes wrong with a store; no driver's text in them."""

from __future__ import annotations

import logging
import time

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.users.v1.users_pb2 import Store
from nexpo_runtime.errors import Fault

TITLES = {
    Store.STORE_POSTGRES: "PostgreSQL",
    Store.STORE_MONGODB: "MongoDB",
    Store.STORE_COSMOSDB: "Cosmos DB",
    Store.STORE_SQLSERVER: "SQL Server",
    Store.STORE_SUPABASE: "Supabase",
}

_SENTENCES = {
    Reason.REASON_STORE_UNAVAILABLE: "{} cannot be reached now.",
    Reason.REASON_STORE_THROTTLED: "{} asks for fewer requests.",
    Reason.REASON_STORE_DENIED: "{} does not accept the service's credential.",
    Reason.REASON_STORE_REFUSED: "{} refused the write.",
    Reason.REASON_RECORD_UNREADABLE: "{} holds a record of the user that cannot be read.",
    Reason.REASON_EMAIL_TAKEN: "The e-mail address belongs to another user.",
    Reason.REASON_USER_NOT_FOUND: "There is no such user.",
    Reason.REASON_ETAG_MISMATCH: "The user has changed since it was read.",
    Reason.REASON_COPY_DIFFERS: "{}'s copy of the user is not what the authority has.",
    Reason.REASON_FENCED: "The step was undone before, so it must not land.",
}

_REPEAT_S = 60.0

_log = logging.getLogger(__name__)
_logged: dict[tuple[int, int, str], float] = {}


def store_fault(
    store: Store.ValueType,
    reason: Reason.ValueType,
    cause: BaseException | None = None,
    mend: str = "",
) -> Fault:
    """A fault of a store.

    Args:
        store: Which.
        reason: Why.
        cause: The driver's error. Only its type and code are logged, once a
            minute: its text may quote the data.
        mend: What an operator must do, for the log.
    """
    title = TITLES[store]
    if cause is not None:
        _report(store, reason, cause, mend)
    return Fault(
        reason,
        _SENTENCES[reason].format(title),
        metadata={"store": Store.Name(store)},
    )


def _report(
    store: Store.ValueType, reason: Reason.ValueType, cause: BaseException, mend: str
) -> None:
    codes = (getattr(cause, name, None) for name in ("sqlstate", "code", "number"))
    code = next(filter(None, codes), None)
    origin = f"{type(cause).__name__}, code {code}" if code else type(cause).__name__
    if mend:
        origin += f": {mend}"
    now = time.monotonic()
    if now - _logged.get((store, reason, origin), -_REPEAT_S) >= _REPEAT_S:
        _logged[store, reason, origin] = now
        _log.warning("%s: %s, from %s", TITLES[store], Reason.Name(reason), origin)
