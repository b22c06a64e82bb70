"""What is said when a call or an operation failed."""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from rich.console import Console, Group, RenderableType
from rich.text import Text

from nexpo.client import NexpoError

from .connection import Connection
from .plain import clean


def describe(error: NexpoError, connection: Connection, seconds: float | None) -> dict[str, Any]:
    """The error as plain values: those of the gateway's answer, else those of the way there.

    Args:
        error: The error.
        connection: Where the call went.
        seconds: How long the call had.
    """
    if not error.reason:
        return _on_the_way(error, connection, seconds)
    return of_status(error.status)


def of_status(status: status_pb2.Status) -> dict[str, Any]:
    """The error of a google.rpc.Status as plain values."""
    error = NexpoError(status)
    found: dict[str, Any] = {
        "code": _code(status.code),
        "reason": error.reason,
        "message": status.message,
        "fields": [{"field": f, "description": d} for f, d in _violations(status)],
        "hint": error.hint,
    }
    retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            found["retry_after"] = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(info):
            facts = dict(sorted(info.metadata.items()))
            found["trace_id"] = facts.pop("trace_id", "")
            found["metadata"] = {name: value for name, value in facts.items() if name != "hint"}
    return {name: value for name, value in found.items() if value}


def say(problem: dict[str, Any], console: Console, as_json: bool) -> None:
    """Prints an error on the console: one line of JSON, or words."""
    if as_json:
        console.file.write(json.dumps({"error": problem}, ensure_ascii=False) + "\n")
        return
    console.print(in_words(problem), soft_wrap=True)


def in_words(problem: dict[str, Any]) -> RenderableType:
    """An error for a person."""
    reason = problem.get("reason") or problem.get("code") or ""
    head = Text.assemble(("error: ", "bold red"), clean(problem.get("message", "")))
    if reason:
        head.append(f" [{clean(reason)}]", style="dim")
    lines = [head]
    for violation in problem.get("fields", ()):
        field = clean(violation["field"]) or "the request"
        lines.append(Text(f"  {field}: {clean(violation['description'])}"))
    if "retry_after" in problem:
        lines.append(Text(f"  try again after {problem['retry_after']:g} s"))
    if problem.get("hint"):
        lines.append(Text.assemble(("hint: ", "bold"), clean(problem["hint"])))
    if problem.get("trace_id"):
        lines.append(Text(f"trace id: {clean(problem['trace_id'])}", style="dim"))
    return Group(*lines)


def _on_the_way(error: NexpoError, connection: Connection, seconds: float | None) -> dict[str, Any]:
    """An error that gRPC made itself: no gateway has said it."""
    code = _code(error.code)
    said = re.sub(r"\s+", " ", error.status.message)
    if error.code == code_pb2.UNAVAILABLE:
        cause = re.sub(r"^.*last error: (UNKNOWN: )?", "", said)
        scheme = "with TLS" if connection.tls else "without TLS"
        return {
            "code": code,
            "message": f"No gateway answers at {connection.address} {scheme}.",
            "hint": "Start it, or say where it is with --address or NEXPO_ADDRESS; "
            f"gRPC says: {cause}",
        }
    if error.code == code_pb2.DEADLINE_EXCEEDED:
        within = "in time" if seconds is None else f"within {seconds:g} s"
        return {
            "code": code,
            "message": f"{connection.address} did not answer {within}.",
            "hint": "Give it more time with --timeout; what was asked for may still happen.",
        }
    return {"code": code, "message": f"{connection.address} answered: {said}"}


def _code(number: int) -> str:
    value = code_pb2.Code.DESCRIPTOR.values_by_number.get(number)
    return value.name if value else str(number)


def _violations(status: status_pb2.Status) -> list[tuple[str, str]]:
    bad = error_details_pb2.BadRequest()
    unpacked: list[Message] = [bad for detail in status.details if detail.Unpack(bad)]
    return [(v.field, v.description) for v in bad.field_violations] if unpacked else []
