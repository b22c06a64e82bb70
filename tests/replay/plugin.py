"""The fixture `recorder`, for the own test of every workflow, and the option --record."""

from __future__ import annotations

import uuid

import pytest

from nexpo_dev.pytest_plugin import TemporalAddress
from nexpo_runtime.settings import Settings
from nexpo_runtime.testing import Recorder

from .recorded import HISTORIES, settings

_FIXTURES = {"recorder", "encrypted_recorder"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        action="store_true",
        help="run the tests that record operations, and write the histories that are not there",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--record"):
        items[:] = [i for i in items if _FIXTURES & set(getattr(i, "fixturenames", ()))]


@pytest.fixture
def recorder(temporal: TemporalAddress, pytestconfig: pytest.Config) -> Recorder:
    """Runs operations on Temporal and keeps their histories in clear, so that people read them."""
    known = _settings(temporal, ENCRYPTION_KEYS="")
    return Recorder(known, HISTORIES, pytestconfig.getoption("--record"))


@pytest.fixture
def encrypted_recorder(temporal: TemporalAddress, pytestconfig: pytest.Config) -> Recorder:
    """As `recorder`; the histories are encrypted, as they are in production."""
    return Recorder(_settings(temporal), HISTORIES, pytestconfig.getoption("--record"))


def _settings(temporal: TemporalAddress, **more: str) -> Settings:
    return settings(
        TEMPORAL_ADDRESS=temporal.url,
        TEMPORAL_NAMESPACE=temporal.namespace,
        # The server is shared by all tests.
        TEMPORAL_TASK_QUEUE=f"recorder-{uuid.uuid4().hex[:8]}-",
        **more,
    )
