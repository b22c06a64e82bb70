"""The catalogue's words for what goes wrong with a store; no driver's text in them."""

from __future__ import annotations

import logging

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
    Reason.REASON_EMAIL_TAKEN: "The e-mail address belongs to another user.",
    Reason.REASON_USER_NOT_FOUND: "There is no such user.",
    Reason.REASON_ETAG_MISMATCH: "The user has changed since it was read.",
    Reason.REASON_FENCED: "The step was undone before, so it must not land.",
}

_log = logging.getLogger(__name__)


def store_fault(
    store: Store.ValueType, reason: Reason.ValueType, cause: BaseException | None = None
) -> Fault:
    """A fault of a store.

    Args:
        store: Which.
        reason: Why.
        cause: The driver's error. Only its type and code are logged: its text
            may quote the data.
    """
    title = TITLES[store]
    if cause is not None:
        code = getattr(cause, "sqlstate", None) or getattr(cause, "code", None)
        _log.warning(
            "%s: %s from %s, code %s", title, Reason.Name(reason), type(cause).__name__, code
        )
    return Fault(
        reason,
        _SENTENCES[reason].format(title),
        metadata={"store": Store.Name(store)},
    )
