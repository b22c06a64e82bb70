"""Identity: which intent a request stands for, and whether two requests are one."""

from __future__ import annotations

import functools
import re
import uuid

from google.protobuf.message import Message

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation
from nexpo_runtime.names import escaped

from .calls import CallContext
from .contract import Rpc
from .validation import invalid

_PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
_IDEMPOTENCY_KEY = "idempotency-key"
_REQUEST_ID = "request_id"
_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_RULE = "must be 1 to 64 of letters, digits, '.', '_' and '-'"


def settle_request_id(rpc: Rpc, request: Message, context: CallContext) -> str:
    """The call's request_id: the field's, the idempotency-key header's, or a new one.

    Sets the field, and tells the caller by a trailer.

    Raises:
        Fault: INVALID_ARGUMENT: header and field differ.
    """
    if _REQUEST_ID not in rpc.fields:
        return ""
    given: str = getattr(request, _REQUEST_ID)
    # The header of draft-ietf-httpapi-idempotency-key is a quoted string.
    key = context.headers.get(_IDEMPOTENCY_KEY, "").strip().strip('"')
    if given and key and given != key:
        raise invalid([FieldViolation(_REQUEST_ID, f"differs from the header {_IDEMPOTENCY_KEY}")])
    settled = given or key or str(uuid.uuid4())
    # Whatever the contract says of the field: it becomes a header and an id on Temporal.
    if not _KEY.fullmatch(settled):
        raise invalid([FieldViolation(_REQUEST_ID, _KEY_RULE)])
    setattr(request, _REQUEST_ID, settled)
    context.tell("nexpo-request-id", settled)
    return settled


def workflow_id(rpc: Rpc, request: Message, tenant: str) -> str:
    """`{tenant}/{rpc}/{template filled}`, every part escaped.

    Raises:
        Fault: INVALID_ARGUMENT: a field of the template is empty.
    """
    empty: list[FieldViolation] = []

    def fill(match: re.Match[str]) -> str:
        value: object = request
        for part in match[1].split("."):
            value = getattr(value, part)
        if value in ("", 0):
            empty.append(FieldViolation(match[1], "value is required"))
        return escaped(str(value))

    filled = _PLACEHOLDER.sub(fill, rpc.rule.start.id)
    if empty:
        raise invalid(empty)
    return f"{_collection(tenant, rpc.name)}{filled}"


@functools.lru_cache(maxsize=1024)
def _collection(tenant: str, name: str) -> str:
    return f"{escaped(tenant)}/{escaped(name)}/"


def require_same(rpc: Rpc, request: Message, earlier: Message) -> None:
    """Refuses another request under an id that is taken.

    Raises:
        Fault: REQUEST_ID_REUSED, naming the fields that differ.
    """
    fields = list(_differences(request, earlier))
    if f"{{{_REQUEST_ID}}}" not in rpc.rule.start.id:
        # The id stands for the intent without it, so two of them are still one intent.
        fields = [field for field in fields if field != _REQUEST_ID]
    if fields:
        raise Fault(
            Reason.REASON_REQUEST_ID_REUSED,
            f"The request_id was used before with other content: {', '.join(fields)}.",
            fields=[
                FieldViolation(field, "differs from the request that used the id first")
                for field in fields
            ],
        )


def _differences(one: Message, other: Message, path: str = "") -> list[str]:
    """Paths of the fields that differ; a repeated field or a map counts as one."""
    if one.DESCRIPTOR.full_name != other.DESCRIPTOR.full_name:
        return [path or "the whole request"]
    found: list[str] = []
    for field in one.DESCRIPTOR.fields:
        here = f"{path}.{field.name}" if path else field.name
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if mine == theirs and (
            not field.has_presence or one.HasField(field.name) == other.HasField(field.name)
        ):
            continue
        kind = field.message_type
        both = kind is not None and not field.is_repeated and _both_have(one, other, field.name)
        # A Struct or a Timestamp is one value; naming its insides would only confuse.
        if kind is None or not both or kind.full_name.startswith("google.protobuf."):
            found.append(here)
        else:
            found += _differences(mine, theirs, here)
    return found


def _both_have(one: Message, other: Message, field: str) -> bool:
    return one.HasField(field) and other.HasField(field)
