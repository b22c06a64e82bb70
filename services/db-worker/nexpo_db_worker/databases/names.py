"""Names of databases: databases/{id} in the contract, the id within the service."""

from __future__ import annotations

import re

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def id_of(name: str, field: str = "database") -> str:
    """The id in a database's name.

    Args:
        name: databases/{id}.
        field: The field of the request that has it.

    Raises:
        Fault: INVALID_ARGUMENT: It is no such name.
    """
    prefix, _, database = name.partition("/")
    if prefix != "databases" or ID.fullmatch(database) is None:
        raise Fault(
            Reason.REASON_INVALID_ARGUMENT,
            "The request is not valid.",
            fields=[FieldViolation(field, "must be a name of the form databases/{id}")],
        )
    return database
