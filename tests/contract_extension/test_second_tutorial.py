"""docs/guides/add-an-activity-and-a-table.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nexpo_dev.pytest_plugin import PostgresAddress, TemporalAddress
from tests.contract_extension.extended import ExtendedGateway, ExtendedWorker
from tests.contract_extension.tutorial import Followed, changed_beside, check_last_step, follow


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    root = tmp_path_factory.mktemp("second_tutorial") / "nexpo"
    return follow("add-an-activity-and-a-table.md", root)


@pytest.fixture(scope="module")
def variables(
    followed: Followed,
    temporal: TemporalAddress,
    postgres: PostgresAddress,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """What `make up` prints; here run what is needed: the gateway, the db-worker, their servers."""
    packages = followed.checkout.environment()
    gateway = ExtendedGateway(tmp_path_factory.mktemp("gateway"), temporal.url, packages)
    worker = ExtendedWorker(
        tmp_path_factory.mktemp("worker"),
        temporal.url,
        packages,
        queue_prefix=gateway.queue_prefix,
        settings={"DATABASE_URL": postgres.url},
    )
    try:
        gateway.start()
        worker.start()
        yield {
            "NEXPO_ADDRESS": gateway.grpc_address,
            "NEXPO_URL": gateway.url,
            "NEXPO_API_KEY": "all-key",
        }
    finally:
        worker.stop()
        gateway.stop()


def test_its_own_tests_pass(followed: Followed) -> None:
    assert "4 passed" in followed.printed


def test_only_its_files_and_generated_ones_change(followed: Followed) -> None:
    assert len(followed.written) == 6
    assert changed_beside(followed) == []


@pytest.mark.verify
@pytest.mark.timeout(400)
def test_its_last_step_is_run_as_it_stands(followed: Followed) -> None:
    check_last_step(followed)


def test_seats_are_booked_all_or_none(followed: Followed, variables: dict[str, str]) -> None:
    ada, bob_and_eve = (followed.checkout.run(call.text, **variables) for call in followed.calls)

    assert "SUCCEEDED 100 %" in ada
    assert "A2 is taken" in bob_and_eve
    assert "SUCCEEDED 100 %" in bob_and_eve
