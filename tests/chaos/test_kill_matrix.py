"""Every fault at every place of an onboarding, on real processes: nothing lost, nothing left over.

One stack serves all cases, and all cases of one fault happen at once: many
operations, each stopped at its own place, under one kill.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import figures

from .field import Field, open_field
from .matrix import WAVES
from .trial import Outcome
from .wave import Wave

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

_CASES = [(wave, case) for wave in WAVES for case in wave.cases]


class Matrix:
    """Plays a wave when the first of its cases is asked for."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.seconds: dict[str, float] = {}
        self.outcomes: dict[str, Outcome] = {}

    async def outcome(self, wave: Wave, case: str) -> Outcome:
        """How a case went."""
        if wave.name not in self.seconds:
            begun = time.monotonic()
            self.seconds[wave.name] = 0.0
            for outcome in await wave.run(self._field):
                self.outcomes[outcome.case] = outcome
            self.seconds[wave.name] = round(time.monotonic() - begun, 1)
        if case not in self.outcomes:
            pytest.fail(f"{wave.name!r} broke off before {case!r} was over")
        return self.outcomes[case]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix() -> AsyncIterator[Matrix]:
    folder = Path(tempfile.mkdtemp(prefix="nexpo-chaos-", dir="/tmp"))
    try:
        async with open_field(folder) as field:
            played = Matrix(field)
            yield played
            figures.write(
                "kill-matrix",
                "make test TESTS=tests/chaos",
                {
                    "cases": [outcome.as_dict() for outcome in played.outcomes.values()],
                    "killed": len(played.outcomes),
                    "failed": sum(bool(o.problems) for o in played.outcomes.values()),
                    "seconds": played.seconds,
                },
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(("wave", "case"), _CASES, ids=[case for _, case in _CASES])
async def test_nothing_is_lost_and_nothing_left_over(matrix: Matrix, wave: Wave, case: str) -> None:
    outcome = await matrix.outcome(wave, case)
    assert not outcome.problems
