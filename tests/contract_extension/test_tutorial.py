"""docs/guides/add-an-operation.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from nexpo_dev.pytest_plugin import TemporalAddress
from tests.contract_extension.extended import ExtendedGateway
from tests.contract_extension.tutorial import Followed, changed_beside, check_last_step, follow


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    return follow("add-an-operation.md", tmp_path_factory.mktemp("tutorial") / "nexpo")


@pytest.fixture(scope="module")
def variables(
    followed: Followed, temporal: TemporalAddress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What `make up` prints; here only the gateway and Temporal run, all that is needed."""
    folder = tmp_path_factory.mktemp("gateway")
    gateway = ExtendedGateway(folder, temporal.url, followed.checkout.environment())
    try:
        gateway.start()
        yield {
            "NEXPO_ADDRESS": gateway.grpc_address,
            "NEXPO_URL": gateway.url,
            "NEXPO_API_KEY": "all-key",
        }
    finally:
        gateway.stop()


def test_its_own_test_passes(followed: Followed) -> None:
    assert "4 passed" in followed.printed


def test_only_its_files_and_generated_ones_change(followed: Followed) -> None:
    assert len(followed.written) == 3
    assert changed_beside(followed) == []


@pytest.mark.verify
@pytest.mark.timeout(400)
def test_its_last_step_is_run_as_it_stands(followed: Followed) -> None:
    check_last_step(followed)


def test_the_new_operation_is_found_on_every_surface(
    followed: Followed, variables: dict[str, str]
) -> None:
    cli, rest, grpc = (followed.checkout.run(step.text, **variables) for step in followed.calls)

    assert "SUCCEEDED 100 %" in cli
    assert "Tea is ready" in cli
    first, second = (json.loads(line)["name"] for line in rest.splitlines())
    assert first == second
    assert first.startswith("operations/acme~nexpo.reminders.v1.SetReminder~tea-1~")
    assert "can be put off 2 times still" in grpc
    assert 'text: "Tea"' in grpc
    assert "snoozes: 1" in grpc


def test_help_speaks_in_the_words_of_the_tutorial_s_proto(followed: Followed) -> None:
    about = followed.checkout.run(".venv/bin/nexpo reminders snooze --help")

    assert "Puts a reminder off, at most three times." in " ".join(about.split())
