"""What PostgreSQL's error codes, and what asyncpg raises, mean for the catalogue.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. PostgREST
hands the same codes on.
"""

from __future__ import annotations

import asyncpg

from nexpo.errors.v1.errors_pb2 import Reason

UNIQUE_VIOLATION = "23505"

LOST = (
    *(OSError, TimeoutError, asyncpg.InterfaceError),
    *(EOFError, asyncpg.InternalClientError),  # in the middle of a handshake or a reply
)
"""What asyncpg raises when the server cannot be reached, or dies in the middle of a reply."""

_BY_CODE = {
    "53300": Reason.REASON_STORE_THROTTLED,  # too many connections
    "53400": Reason.REASON_STORE_THROTTLED,  # configuration limit exceeded
    "42501": Reason.REASON_STORE_DENIED,  # insufficient privilege
    "25006": Reason.REASON_STORE_UNAVAILABLE,  # read-only: a standby, or a failover
    "3D000": Reason.REASON_STORE_UNAVAILABLE,  # the database is not there yet
    "55P03": Reason.REASON_STORE_UNAVAILABLE,  # lock not available in time
}
_BY_CLASS = {
    "08": Reason.REASON_STORE_UNAVAILABLE,  # connection
    "28": Reason.REASON_STORE_DENIED,  # authorisation
    "40": Reason.REASON_STORE_UNAVAILABLE,  # serialisation failure, deadlock: try again
    "53": Reason.REASON_STORE_UNAVAILABLE,  # disk full, out of memory
    "57": Reason.REASON_STORE_UNAVAILABLE,  # cancelled by time-out, shutting down, starting
    "58": Reason.REASON_STORE_UNAVAILABLE,  # system error, such as I/O
}


def reason_of_sqlstate(code: str) -> Reason.ValueType:
    """The catalogue's reason for a SQLSTATE; what is not known is a refusal."""
    return _BY_CODE.get(code) or _BY_CLASS.get(code[:2]) or Reason.REASON_STORE_REFUSED
