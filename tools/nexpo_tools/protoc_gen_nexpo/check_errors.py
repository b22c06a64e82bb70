"""Checks the error catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from google.rpc import code_pb2

from nexpo_tools.protoc_gen_nexpo.model import Contract, EnumValue, Problem

CATALOGUE = "nexpo.errors.v1.Reason"


def check_errors(contract: Contract) -> Iterator[Problem]:
    """Every reason but the zero value has a code that exists, and a hint."""
    catalogue = contract.enums.get(CATALOGUE)
    for value in catalogue.values if catalogue else ():
        for advice in _advice(value):
            yield Problem(value.place, value.name, advice)


def _advice(value: EnumValue) -> Iterator[str]:
    if value.number == 0:
        if value.entry is not None:
            yield "the zero value is never sent; remove its entry"
        return
    if value.entry is None:
        yield "has no entry; add [(entry) = {code: ... hint: ...}]"
        return
    code, _, hint = value.entry
    known = [name for name in code_pb2.Code.keys() if name != "OK"]  # noqa: SIM118  # no mapping
    if code not in known:
        yield f'code "{code}" is unknown; use one of {", ".join(known)}'
    if not hint:
        yield "has no hint; say what the user can do about it"
