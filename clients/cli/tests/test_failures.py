"""Errors as programs read them."""

from __future__ import annotations

from google.rpc import error_details_pb2, status_pb2

from nexpo_cli.failures import of_status


def test_facts_of_an_error_are_in_its_json() -> None:
    status = status_pb2.Status(code=7, message="The token is wrong.")
    facts = {"hint": "Look again.", "trace_id": "abc", "attempts_left": "4"}
    info = error_details_pb2.ErrorInfo(reason="TOKEN_WRONG", domain="nexpo", metadata=facts)
    status.details.add().Pack(info)
    shown = of_status(status)
    assert (shown["reason"], shown["hint"], shown["trace_id"]) == (
        "TOKEN_WRONG",
        "Look again.",
        "abc",
    )
    assert shown["metadata"] == {"attempts_left": "4"}
    assert "metadata" not in of_status(status_pb2.Status(code=7, message="No."))
