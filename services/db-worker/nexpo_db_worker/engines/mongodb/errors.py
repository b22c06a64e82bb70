"""What MongoDB's error codes mean for the catalogue."""

from __future__ import annotations

from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from nexpo.errors.v1.errors_pb2 import Reason

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_DENIED = {13, 18, 8000}  # Unauthorized, AuthenticationFailed, AtlasError
_THROTTLED = {202, 16500, 462}  # NetworkInterfaceExceededTimeLimit's pool, too many requests
_UNAVAILABLE = {
    *(50, 262),  # time limits
    *(24, 112),  # LockTimeout, WriteConflict
    *(64, 100),  # write concern: not written everywhere (yet)
    *(91, 189, 10107, 11600, 11602, 13435, 13436),  # stepping down, shutting down
    *(6, 7, 89, 9001),  # hosts that cannot be reached
    14031,  # OutOfDiskSpace
}


def reason_of(error: Exception) -> Reason.ValueType:
    """The catalogue's reason for an error of the driver; what is not known is a refusal."""
    match error:
        case WaitQueueTimeoutError():
            return Reason.REASON_STORE_THROTTLED
        case ConnectionFailure() | TimeoutError() | PyMongoError(timeout=True):
            return Reason.REASON_STORE_UNAVAILABLE
        case ConfigurationError():  # by then the URL is read: no DNS for mongodb+srv
            return Reason.REASON_STORE_UNAVAILABLE
        case OperationFailure(code=code):
            if code in _DENIED:
                return Reason.REASON_STORE_DENIED
            if code in _THROTTLED:
                return Reason.REASON_STORE_THROTTLED
            if code in _UNAVAILABLE or error.has_error_label("RetryableWriteError"):
                return Reason.REASON_STORE_UNAVAILABLE
    return Reason.REASON_STORE_REFUSED
