"""A call of a native method, and the operation that it names."""

from __future__ import annotations

from dataclasses import dataclass

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import OperationName

from ..content.validation import invalid
from ..context import CallContext, Caller

CALL_SECONDS = 10.0

# As the contract's own requests have it; google.longrunning's have no rules.
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class NativeCall:
    """Who calls a native method, and what came with the call."""

    caller: Caller
    context: CallContext

    def timeout(self, seconds: float = CALL_SECONDS) -> float:
        """Seconds that the call may take."""
        return self.context.limit(seconds)


def named(name: str, tenant: str | None, field: str) -> OperationName:
    """The operation that a request names.

    Args:
        name: As the request has it.
        tenant: Whose operations the caller may know of; of everyone when None.
        field: The request's field.

    Raises:
        Fault: INVALID_ARGUMENT: none is named. OPERATION_NOT_FOUND: it cannot be
            the caller's.
    """
    if not name:
        raise invalid([FieldViolation(field, "value is required")])
    if len(name) > _LONGEST_NAME:
        raise _not_found()
    try:
        parsed = OperationName.parse(name)
    except ValueError:
        raise _not_found() from None
    # Another tenant's operation and one that never was look the same.
    if tenant is not None and parsed.tenant != tenant:
        raise _not_found()
    return parsed


def _not_found() -> Fault:
    return Fault(Reason.REASON_OPERATION_NOT_FOUND, "There is no such operation.")
