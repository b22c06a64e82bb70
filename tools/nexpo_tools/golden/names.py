"""Retry schedules, ids, names and keys."""

from __future__ import annotations

from nexpo.contract import Retry
from nexpo_runtime.names import OperationName, escaped, step_key, workflow_id
from nexpo_runtime.retry import POLICIES
from nexpo_runtime.workflow.progress import task_id
from nexpo_tools.golden.shown import Vector


def retries() -> list[Vector]:
    """The pauses of each behaviour."""
    return [_retry(retry) for retry in POLICIES]


def _retry(retry: Retry.ValueType) -> Vector:
    policy = POLICIES[retry]
    attempts = (*range(1, 10), 12, 20, 9_999)
    last = policy.maximum_attempts or 10_000
    return {
        "retry": Retry.Name(retry),
        "maximum_attempts": policy.maximum_attempts,
        "pause_after_attempt": {
            str(n): policy.pause(n).total_seconds() for n in attempts if n < last
        },
    }


def workflow_ids() -> list[Vector]:
    """Workflow ids of starts."""
    cases = [
        ("{request_id}", "nexpo.users.v1.OnboardUser", ["r-1"]),
        ("{invoice_id}", "nexpo.invoices.v1.SendInvoice", ["2026/7"]),
        ("{year}/{name}", "nexpo.reports.v1.WriteReport", ["2026", "a~b é%_.-"]),
    ]
    found: list[Vector] = []
    for template, type_, values in cases:
        filled = "/".join(map(escaped, values))
        keyed = template == "{request_id}"
        found.append(
            {
                "workflow_id": workflow_id("acme", type_, filled, keyed=keyed),
                "tenant": "acme",
                "type": type_,
                "template": template,
                "values": values,
            }
        )
    return found


def operation_names() -> list[Vector]:
    """Operations' names, and what is none."""
    run = "0197a1b2-0000-7000-8000-000000000001"
    cases = [
        OperationName("acme/r-1", "nexpo.users.v1.OnboardUser", run),
        OperationName(
            "acme/nexpo.reports.v1.WriteReport/2026/a%7Eb%20%C3%A9%25_.-",
            "nexpo.reports.v1.WriteReport",
            run,
        ),
    ]
    found: list[Vector] = [
        {"name": str(n), "workflow_id": n.workflow_id, "type": n.type, "first_run_id": n.run_id}
        for n in cases
    ]
    wrong = (
        "acme~a.v1.B~r~run",
        "operations/acme~a.v1.B~run",
        "operations/acme~a.v1.B~~run",
        "operations/acme~a.v1.B~r%2f1~run",
        "operations/acme~a.v1.B~r/1~run",
    )
    return [*found, *({"refused": "no operation's name", "name": name} for name in wrong)]


def steps() -> list[Vector]:
    """Keys and tasks of steps."""
    return [
        {
            "workflow_id": "acme/r-1",
            "step": step,
            "key": step_key("acme/r-1", step),
            "task": task_id(step),
        }
        for step in ("create in postgres", "pay 50%/half", "Größe %2F", "-a--b-")
    ]
