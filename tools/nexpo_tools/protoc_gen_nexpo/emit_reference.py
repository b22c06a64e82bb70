"""Emits the reference pages: errors.md and operations.md."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.model import Contract


def emit_reference(contract: Contract) -> dict[str, str]:
    """The pages by their names."""
    return {}
