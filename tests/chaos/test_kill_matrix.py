"""Every fault at every place of an onboarding, on real processes: nothing lost, nothing left over.

One stack serves all cases, and all cases of one fault happen at once: many
operations, each stopped at its own place, under one kill. The whole matrix is for
`make verify`; every change passes a sample of it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests import figures

from .field import Field, open_field
from .matrix import WAVES, WORKERS
from .sample import sample
from .trial import Outcome
from .wave import Wave

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

_SAMPLE = sample(WAVES)


def _cases(waves: Sequence[Wave]) -> pytest.MarkDecorator:
    found = [(wave, case) for wave in waves for case in wave.cases]
    return pytest.mark.parametrize(("wave", "case"), found, ids=[case for _, case in found])


class Matrix:
    """Plays a wave when the first of its cases is asked for."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.seconds: dict[Wave, float] = {}
        self.outcomes: dict[Wave, dict[str, Outcome]] = {}

    async def outcome(self, wave: Wave, case: str) -> Outcome:
        """How a case went."""
        if wave not in self.outcomes:
            begun = time.monotonic()
            self.outcomes[wave] = {}
            played = await wave.run(self._field)
            self.outcomes[wave] = {outcome.case: outcome for outcome in played}
            self.seconds[wave] = round(time.monotonic() - begun, 1)
        if case not in self.outcomes[wave]:
            pytest.fail(f"{wave.name!r} broke off before {case!r} was over")
        return self.outcomes[wave][case]

    def write(self) -> None:
        """The figures of the waves that were played whole."""
        whole = [wave for wave in WAVES if wave in self.seconds]
        outcomes = [outcome for wave in whole for outcome in self.outcomes[wave].values()]
        if whole:
            figures.write(
                "kill-matrix",
                "make verify TESTS=tests/chaos",
                {
                    "cases": [outcome.as_dict() for outcome in outcomes],
                    "killed": len(outcomes),
                    "failed": sum(bool(outcome.problems) for outcome in outcomes),
                    "seconds": {wave.name: self.seconds[wave] for wave in whole},
                },
            )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix() -> AsyncIterator[Matrix]:
    folder = Path(tempfile.mkdtemp(prefix="nexpo-chaos-", dir="/tmp"))
    try:
        async with open_field(folder) as field:
            played = Matrix(field)
            yield played
            played.write()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@_cases(_SAMPLE)
async def test_nothing_is_lost_and_nothing_left_over_in_a_sample(
    matrix: Matrix, wave: Wave, case: str
) -> None:
    assert not (await matrix.outcome(wave, case)).problems


@pytest.mark.verify
@_cases(WAVES)
async def test_nothing_is_lost_and_nothing_left_over(matrix: Matrix, wave: Wave, case: str) -> None:
    assert not (await matrix.outcome(wave, case)).problems


async def test_the_sample_has_every_fault_every_step_and_every_service() -> None:
    cases = [(wave, place) for wave in _SAMPLE for place in wave.places]
    killed = [(wave, place) for wave, place in cases if wave.name.startswith("worker killed")]
    assert {wave.name for wave, _ in cases} == {wave.name for wave in WAVES}
    assert {place for _, place in cases} == {place for wave in WAVES for place in wave.places}
    assert {place.worker for _, place in killed} == set(WORKERS)
    assert any(wave.name.startswith("gateway killed") for wave, _ in cases)
    assert len(cases) < sum(len(wave.places) for wave in WAVES) / 3
