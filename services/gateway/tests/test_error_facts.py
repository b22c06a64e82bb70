"""What gRPC tells of an error for programs, REST tells as well."""

from __future__ import annotations

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_gateway.http.problems import problem
from nexpo_runtime.errors import Fault


def test_facts_of_an_error_are_in_a_problem_and_what_has_a_place_of_its_own_is_there_once() -> None:
    facts = {"attempts_left": "4", "trace_id": "abc", "violations_omitted": "3"}
    shown = problem(Fault(Reason.REASON_TOKEN_WRONG, metadata=facts))
    assert shown["metadata"] == {"attempts_left": "4"}
    assert (shown["trace_id"], shown["violations_omitted"]) == ("abc", 3)


def test_an_error_without_facts_has_no_room_for_them() -> None:
    assert "metadata" not in problem(Fault(Reason.REASON_TOKEN_WRONG))
