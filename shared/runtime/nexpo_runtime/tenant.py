"""Whose call it is: the tenant, signed, on its way through Temporal and gRPC.

The tenant comes from the credential, at the gateway, and from nowhere else. It
travels as a Temporal header (bound to the workflow id) and as gRPC metadata
(bound to the method). A workflow or an activity without a valid signature does
not run.

Source: HMAC-SHA256, RFC 2104.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar

from temporalio.api.common.v1 import Payload

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL

from .errors import Fault
from .names import tenant_of

HEADER = PROTOCOL.tenant_header
SIGNATURE = PROTOCOL.signature_metadata
_TENANT = re.compile(PROTOCOL.tenant_pattern)

_acting: ContextVar[str | None] = ContextVar("nexpo_tenant", default=None)


@contextlib.contextmanager
def acting_for(tenant: str) -> Iterator[None]:
    """Makes Temporal calls inside the block calls of this tenant."""
    token = _acting.set(tenant)
    try:
        yield
    finally:
        _acting.reset(token)


def acting_tenant() -> str:
    """The tenant of `acting_for`. Raises: RuntimeError: Outside of it."""
    tenant = _acting.get()
    if not tenant:
        raise RuntimeError("a call to a workflow needs a tenant: use tenant.acting_for")
    return tenant


class Signer:
    """Signs and verifies tenants.

    Args:
        keys: The first signs, all verify.

    Raises:
        ValueError: There is no key.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("signing needs a key")
        self._keys = tuple(keys)

    def signature(self, scope: str, tenant: str) -> str:
        """Hex HMAC over scope (workflow id or gRPC method) and tenant.

        Raises:
            ValueError: No tenant is written so.
        """
        if not _TENANT.fullmatch(tenant):
            raise ValueError(f"no tenant is written so: '{tenant}'")
        return _mac(self._keys[0], scope, tenant)

    def valid(self, scope: str, tenant: str, signature: str) -> bool:
        """Whether one of the keys made the signature; in constant time."""
        given = signature.encode(errors="replace")  # whatever JSON can say
        return _TENANT.fullmatch(tenant) is not None and any(
            hmac.compare_digest(_mac(key, scope, tenant).encode(), given) for key in self._keys
        )

    def header(self, workflow_id: str, tenant: str) -> Payload:
        """The Temporal header for calls to the workflow."""
        content = {"tenant": tenant, "signature": self.signature(workflow_id, tenant)}
        return Payload(
            metadata={"encoding": b"json/plain"},
            data=json.dumps(content, sort_keys=True).encode(),
        )

    def verified(self, headers: Mapping[str, Payload], workflow_id: str) -> str:
        """The tenant of the header, which must be the workflow id's own, too.

        Raises:
            Fault: UNAUTHENTICATED: no header, forged, or of another workflow.
        """
        tenant, signature = _parsed(headers)
        if not self.valid(workflow_id, tenant, signature) or tenant != tenant_of(workflow_id):
            raise refused()
        return tenant

    def metadata(self, method: str, tenant: str) -> list[tuple[str, str]]:
        """gRPC metadata for a call of the method (`/package.Service/Method`)."""
        return [(HEADER, tenant), (SIGNATURE, self.signature(method, tenant))]

    def verified_metadata(self, metadata: Mapping[str, str], method: str) -> str:
        """The tenant of a gRPC call. Raises: Fault: UNAUTHENTICATED."""
        tenant = metadata.get(HEADER, "")
        if not self.valid(method, tenant, metadata.get(SIGNATURE, "")):
            raise refused()
        return tenant


def refused() -> Fault:
    """The fault of a call without a valid tenant."""
    return Fault(Reason.REASON_UNAUTHENTICATED, "The call carries no valid tenant.")


def _mac(key: bytes, scope: str, tenant: str) -> str:
    # The label keeps it apart from what else the key signs. No tenant has a line break, so
    # scope and tenant can be told apart, too.
    return hmac.digest(key, f"tenant\n{scope}\n{tenant}".encode(), "sha256").hex()


def _parsed(headers: Mapping[str, Payload]) -> tuple[str, str]:
    payload = headers.get(HEADER)
    if payload is None:
        return "", ""
    try:
        content = json.loads(payload.data)
        tenant, signature = content["tenant"], content["signature"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    texts = isinstance(tenant, str) and isinstance(signature, str)
    return (tenant, signature) if texts else ("", "")
