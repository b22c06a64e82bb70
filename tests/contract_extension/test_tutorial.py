"""docs/guides/add-an-operation.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nexpo_dev.pytest_plugin import TemporalAddress
from tests.contract_extension.extended import ExtendedGateway
from tests.contract_extension.tutorial import Checkout, Step, steps

_GENERATED = ("shared/contracts/", "docs/reference/")


@dataclass
class Followed:
    """The copy after the files are written and the first commands run.

    Attributes:
        checkout: The copy.
        calls: The commands of the section that calls the operation.
        last: The commands of the last step.
        printed: What the commands until then printed.
    """

    checkout: Checkout
    calls: list[Step]
    last: Step
    printed: str


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    checkout = Checkout(tmp_path_factory.mktemp("tutorial") / "nexpo")
    page = steps()
    first_call = next(i for i, step in enumerate(page) if _calls(step))
    printed = ""
    for step in page[:first_call]:
        if step.file:
            target = checkout.root / step.file
            assert not target.exists(), f"the tutorial overwrites {step.file}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text)
        else:
            printed += checkout.run(step.text)
    *calls, last = page[first_call:]
    return Followed(checkout, calls, last, printed)


def _calls(step: Step) -> bool:
    return not step.file and ".venv/bin/nexpo" in step.text


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
    assert "3 passed" in followed.printed


def test_only_its_files_and_generated_ones_change(followed: Followed) -> None:
    written = {step.file for step in steps() if step.file}

    changed = followed.checkout.changed()

    assert len(written) == 3
    assert written <= changed
    assert [name for name in changed - written if not name.startswith(_GENERATED)] == []


@pytest.mark.verify
@pytest.mark.timeout(400)
def test_its_last_step_is_run_as_it_stands(followed: Followed) -> None:
    printed = followed.checkout.run(followed.last.text)

    for check in ("format", "ruff", "buf lint", "buf breaking", "workflows", "mypy"):
        assert re.search(rf"^{check} +ok", printed, re.MULTILINE), printed
    assert re.search(r"\d+ passed", printed), printed


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
