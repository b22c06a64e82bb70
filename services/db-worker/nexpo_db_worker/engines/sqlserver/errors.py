"""What SQL Server's error numbers mean for the catalogue.

Numbers: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
and, for Azure SQL, https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues.
"""

from __future__ import annotations

from datetime import timedelta

import pytds

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_db_worker.capabilities.origin import Origin
from nexpo_db_worker.engines.sqlserver.tls_errors import TlsError
from nexpo_runtime.errors import Fault

_DUPLICATE = frozenset({2601, 2627})
_NOT_LET_IN = frozenset({4060, 18452, 18456, 18486, 18487, 18488, 40615})
_DENIED = _NOT_LET_IN | {229, 230, 262, 297, 300, 916}
_THROTTLED = frozenset({10928, 10929, 40501, 40544, 49918, 49919, 49920})
_UNAVAILABLE = frozenset(
    {
        *(701, 802, 1105, 9002),  # out of memory, disk or log full
        *(1204, 1205, 1222, 3960),  # no locks left, deadlock, lock time-out, snapshot conflict
        *(64, 121, 233, 10053, 10054, 10060),  # the network, as the server words it
        *(904, 911, 921, 922, 924, 942, 945, 3906, 6005, 18401),  # recovering, shutting down
        *(4221, 40197, 40540, 40613, 42108, 42109),  # moving to another node
    }
)
# What Microsoft asks for after 40501.
_THROTTLE_DELAY = timedelta(seconds=10)


def is_duplicate(error: pytds.DatabaseError) -> bool:
    """Whether a unique constraint or index refused the row."""
    return error.number in _DUPLICATE


def names(error: pytds.DatabaseError, constraint: str) -> bool:
    """Whether the error is about this constraint or index; every language quotes its name."""
    return f"'{constraint}'" in error.text


def fault_of(origin: Origin, error: pytds.Error | OSError) -> Fault:
    """The fault for an error of the driver, without its text."""
    if isinstance(error, TimeoutError) and isinstance(error.__cause__, pytds.DatabaseError):
        # The driver repeats a refused log-in until it can only say that time was up.
        error = error.__cause__
    if isinstance(error, pytds.DatabaseError):
        reason = _reason_of_number(error.number)
    elif isinstance(error, OSError | pytds.InterfaceError):
        reason = Reason.REASON_STORE_UNAVAILABLE
    else:
        reason = Reason.REASON_STORE_REFUSED
    fault = origin.fault(reason, error, mend=_mend(error))
    if reason == Reason.REASON_STORE_THROTTLED:
        fault.retry_after = _THROTTLE_DELAY
    return fault


def _mend(error: Exception) -> str:
    if isinstance(error, TlsError):
        return error.mend
    if isinstance(error, pytds.DatabaseError) and error.number in _NOT_LET_IN:
        return "check user, password and database in SQLSERVER_URL, and the server's firewall"
    return ""


def _reason_of_number(number: int) -> Reason.ValueType:
    if number in _UNAVAILABLE:
        return Reason.REASON_STORE_UNAVAILABLE
    if number in _THROTTLED:
        return Reason.REASON_STORE_THROTTLED
    if number in _DENIED:
        return Reason.REASON_STORE_DENIED
    return Reason.REASON_STORE_REFUSED
