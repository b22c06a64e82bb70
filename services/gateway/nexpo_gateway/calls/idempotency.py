"""Idempotency: which call a request stands for, and whether two requests are one call."""

from __future__ import annotations

import re
import uuid

from google.protobuf.message import Message

from nexpo_runtime import names
from nexpo_runtime.errors import FieldViolation
from nexpo_runtime.fingerprint import SCOPE, differences, fingerprint
from nexpo_runtime.names import escaped
from nexpo_runtime.workflow.call_table import require_content, require_method

from ..content.validation import invalid
from ..context import CallContext
from ..contract import Rpc

_PLACEHOLDER = re.compile(r"\{([\w.]+)\}")
_IDEMPOTENCY_KEY = "idempotency-key"
_REQUEST_ID = "request_id"
_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY_RULE = "must be 1 to 64 of letters, digits, '.', '_' and '-'"
_KEYED = f"{{{_REQUEST_ID}}}"


def settle_request_id(rpc: Rpc, request: Message, context: CallContext) -> str:
    """The call's request_id: the field's, the idempotency-key header's, or a new one.

    Sets the field, and tells the caller by a trailer.

    Raises:
        Fault: INVALID_ARGUMENT: header and field differ, or it cannot be a key.
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
    """The workflow id of a start: see names.workflow_id.

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
    keyed = rpc.rule.start.id == _KEYED
    return names.workflow_id(tenant, rpc.name, filled, keyed=keyed)


def require_same(rpc: Rpc, request: Message, earlier: Message | None, method: str) -> None:
    """Refuses another call under an id that is taken.

    Args:
        rpc: What is called now.
        request: Its request, as it would be recorded.
        earlier: The request that took the id; None when it can no longer be read.
        method: Full name of the RPC that took it.

    Raises:
        Fault: REQUEST_ID_REUSED, naming what differs: the method, or the fields.
    """
    require_method(method, rpc.name)
    if earlier is not None:
        # Where the id is not made of the request_id, two of them are still one call.
        mine, theirs = (
            fingerprint(message, without=(_REQUEST_ID,)) for message in (request, earlier)
        )
        require_content(differences(mine, theirs))


def call_content(rpc: Rpc, request: Message) -> bytes:
    """All that tells one call to an operation from another with the same request_id."""
    digests = sorted(fingerprint(request, SCOPE).items())
    lines = [rpc.name, *(f"{path} {digest.hex()}" for path, digest in digests)]
    return "\n".join(lines).encode()
