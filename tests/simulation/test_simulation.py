"""Thousands of onboardings with another fault each: in all stores or in none."""

from __future__ import annotations

import os

import pytest

from .campaign import Campaign, clock, simulated
from .case import coverage_targets, make_case
from .run import Run

RUNS = int(os.environ.get("SIMULATION_RUNS", "20000"))
PARTS = 4
SHORT = 2000
COMPLETE = 4000
"""With fewer runs a (fault, call) pair in a hundred may be missing by chance."""


def test_nothing_is_lost_and_nothing_is_left_over_in_a_short_run() -> None:
    _keeps_every_promise(seed=1000, runs=SHORT)


@pytest.mark.verify
@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_lost_and_nothing_is_left_over(part: int) -> None:
    _keeps_every_promise(seed=1000 + part, runs=RUNS // PARTS)


def _keeps_every_promise(seed: int, runs: int) -> None:
    campaign = Campaign(seed)
    campaign.run(runs)
    assert campaign.failed is None, campaign.failure()
    if campaign.runs >= SHORT:
        by_chance = 0 if campaign.runs >= COMPLETE else len(campaign.targets) // 100
        assert len(campaign.missing()) <= by_chance, campaign.missing()
    assert campaign.endings["SUCCEEDED"] > campaign.runs // 2
    assert campaign.fenced > 0


def _course(number: int) -> list[tuple[str, str, bytes]]:
    case = make_case(3, number, coverage_targets())
    with clock() as own:
        outcome = simulated(Run(case), own)
    return [
        (e.workflow_id, str(e.fault), e.progress.SerializeToString(deterministic=True))
        for e in outcome.ended
    ]


@pytest.mark.parametrize("number", [1, 50, 200, 381])
def test_a_case_takes_the_same_course_every_time(number: int) -> None:
    assert _course(number) == _course(number)
