"""Signed tenants: what is accepted, and what is refused."""

from __future__ import annotations

import hmac

from nexpo_runtime.tenant import Signer
from nexpo_tools.golden.shown import Vector

_WORKFLOW = "acme/nexpo.users.v1.OnboardUser/r-1"
_METHOD = "/nexpo.health.v1.ProbeActivities/Probe"


def tenants() -> list[Vector]:
    """Signatures, made and refused."""
    return [*_signed(), *_refused()]


def _signed() -> list[Vector]:
    """Signatures that are made and accepted."""
    cases = [
        (["key-1"], _WORKFLOW, "acme", ["key-1"]),
        (["key-1"], "a/1", "a", ["key-1"]),
        (["schlüssel"], "0-9/caf%C3%A9/x%2Fy", "0-9", ["schlüssel"]),
        (["new", "old"], "t" * 63 + "/r", "t" * 63, ["old", "new"]),
        (["old"], _WORKFLOW, "acme", ["new", "old"]),
        (["key-1"], _METHOD, "acme", ["key-1"]),
        (["key-1"], "acme/né", "acme", ["key-1"]),
    ]
    return [
        {
            "scope": scope,
            "tenant": tenant,
            "signed_with": signing,
            "signature": Signer([key.encode() for key in signing]).signature(scope, tenant),
            "verified_with": verifying,
        }
        for signing, scope, tenant, verifying in cases
    ]


def _refused() -> list[Vector]:
    """What no worker may accept."""
    good = Signer([b"key-1"]).signature(_WORKFLOW, "acme")
    other = Signer([b"key-1"]).signature(_WORKFLOW, "other")
    cases = {
        "made with a key that is not known any more": (["key-2"], _WORKFLOW, "acme", good),
        "of another workflow": (["key-1"], f"{_WORKFLOW}2", "acme", good),
        "of another tenant": (["key-1"], _WORKFLOW, "other", good),
        "well signed, but the workflow id is another tenant's": (
            ["key-1"],
            _WORKFLOW,
            "other",
            other,
        ),
        "in capitals": (["key-1"], _WORKFLOW, "acme", good.upper()),
        "cut off": (["key-1"], _WORKFLOW, "acme", good[:-1]),
        "none": (["key-1"], _WORKFLOW, "acme", ""),
        "not a tenant: empty": (["key-1"], "/r-1", "", _raw("/r-1", "")),
        "not a tenant: not ASCII": (["key-1"], "ü/r-1", "ü", _raw("ü/r-1", "ü")),
        "not a tenant: a capital": (["key-1"], "A/r-1", "A", _raw("A/r-1", "A")),
    }
    return [
        {
            "refused": why,
            "scope": scope,
            "tenant": tenant,
            "signature": signature,
            "verified_with": keys,
        }
        for why, (keys, scope, tenant, signature) in cases.items()
    ]


def _raw(scope: str, tenant: str) -> str:
    """What the formula gives also for what is no tenant."""
    return hmac.digest(b"key-1", f"tenant\n{scope}\n{tenant}".encode(), "sha256").hex()
