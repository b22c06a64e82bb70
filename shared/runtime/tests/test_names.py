"""Workflow ids and operation names lead to each other, and to nothing else."""

from __future__ import annotations

import itertools

import pytest

from nexpo_runtime.names import OperationName, escaped, tenant_of, workflow_id

KIND = "nexpo.users.v1.OnboardUser"


def test_a_request_id_stands_for_one_call_whatever_the_method() -> None:
    one, other = (workflow_id("acme", kind, "r1", keyed=True) for kind in (KIND, "a.v1.Other"))
    assert one == other == "acme/r1"


def test_no_request_id_and_no_resource_share_a_workflow_id() -> None:
    texts = ["r1", KIND, "a.v1.Other", f"{KIND}/r1", "r1/r1", "~", "%2F", "é"]
    made = [workflow_id("acme", KIND, escaped(text), keyed=True) for text in texts]
    made += [
        workflow_id("acme", kind, escaped(text), keyed=False)
        for kind, text in itertools.product((KIND, "a.v1.Other"), texts)
    ]
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "name",
    [
        OperationName("acme/r1", KIND, "run-1"),
        OperationName(f"acme/{KIND}/invoice%2F1/2", KIND, "run-1"),
        OperationName("a%7Eb%2F%C3%BC/r%251", KIND, "run-1"),
    ],
)
def test_a_name_leads_back_to_workflow_type_and_run(name: OperationName) -> None:
    assert OperationName.parse(str(name)) == name
    assert name.tenant == tenant_of(name.workflow_id)


def test_a_name_shows_tenant_type_key_and_run() -> None:
    assert str(OperationName("acme/r1", KIND, "run")) == f"operations/acme~{KIND}~r1~run"


@pytest.mark.parametrize(
    "text",
    [
        "operations/acme~r1~run",
        f"operations/acme~{KIND}~~run",
        f"operations/~{KIND}~r1~run",
        f"operations/acme~{KIND}~r1~",
        f"operations/acme~{KIND}~r/1~run",
        f"operations/acme~{KIND}~r%2f1~run",
        f"acme~{KIND}~r1~run",
    ],
)
def test_what_was_made_by_nobody_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        OperationName.parse(text)
