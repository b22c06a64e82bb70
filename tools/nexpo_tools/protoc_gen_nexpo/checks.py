"""What a contract must not say. Every problem names its place and what to do."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.check_errors import check_errors
from nexpo_tools.protoc_gen_nexpo.check_fields import check_fields
from nexpo_tools.protoc_gen_nexpo.check_names import check_names
from nexpo_tools.protoc_gen_nexpo.check_paths import check_paths
from nexpo_tools.protoc_gen_nexpo.check_queues import check_queues
from nexpo_tools.protoc_gen_nexpo.check_rules import check_rules
from nexpo_tools.protoc_gen_nexpo.model import Contract, Problem


def check(contract: Contract) -> list[Problem]:
    """Every problem of the contract, in the order of the files."""
    problems = [
        *check_names(contract),
        *check_rules(contract),
        *check_queues(contract),
        *check_paths(contract),
        *check_fields(contract),
        *check_errors(contract),
    ]
    return sorted(problems, key=lambda p: (p.place.file, p.place.line, p.subject, p.advice))
