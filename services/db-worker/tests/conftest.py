"""Makes the shared parts of these tests importable: the store contract, the TCP proxy."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("user_store_contract")


@pytest.fixture
def tenant() -> str:
    """A tenant of the test's own, so that tests share a server."""
    return f"tenant-{uuid.uuid4().hex[:12]}"
