"""What is computed from measurements, on figures that are known."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bench import charts
from bench.__main__ import _write
from bench.alone import _Hide
from bench.bars import Bar, Figure, Measurement
from bench.footprint import Load, Trace, _bars
from bench.measure import Batch, drive, percentile
from bench.pairs import Phases, interleaved, side_by_side
from bench.report import _section
from nexpo_dev.stack import SERVICES


def batch(rate: float, cpu: float) -> Batch:
    """A batch of ten calls."""
    return Batch(10, 10 / rate, {"server": cpu / 2, "client": cpu / 2}, [1.0, 2.0])


async def test_a_ratio_is_the_median_of_the_pairs_and_not_that_of_the_arms() -> None:
    rates = iter([(10, 10), (30, 20), (2, 8)])
    now: list[tuple[float, float]] = []

    async def ours() -> Phases:
        if not now:
            now.append(next(rates))
            return {"": batch(now[0][0], 1)}
        return {"": batch(now.pop()[0], 1)}

    async def bare() -> Phases:
        if not now:
            now.append(next(rates))
            return {"": batch(now[0][1], 1)}
        return {"": batch(now.pop()[1], 1)}

    pairs = (await interleaved(3, ours, bare))[""]
    assert [one.rate for one in pairs.ours] == pytest.approx([10, 30, 2])
    assert [one.rate for one in pairs.bare] == pytest.approx([10, 20, 8])
    assert pairs.ratio(lambda one: one.rate) == pytest.approx(1.0)
    # (10 - 6) / 10, (30 - 6) / 20, (2 - 6) / 8
    assert pairs.ratio(lambda one: one.rate, less=6) == pytest.approx(0.4)


async def test_the_arm_that_goes_first_alternates() -> None:
    order: list[str] = []

    async def ours() -> Phases:
        order.append("ours")
        return {"": batch(1, 1)}

    async def bare() -> Phases:
        order.append("bare")
        return {"": batch(1, 1)}

    await interleaved(3, ours, bare)
    assert order == ["ours", "bare", "bare", "ours", "ours", "bare"]


async def test_side_by_side_a_phase_of_one_arm_comes_next_to_that_of_the_other() -> None:
    order: list[str] = []

    async def arm(name: str, *phases: str) -> AsyncGenerator[tuple[str, Batch], None]:
        for phase in phases:
            order.append(f"{name} {phase}")
            yield phase, batch(1, 1)
        order.append(f"{name} ends")

    found = await side_by_side(2, lambda: arm("ours", "a", "b"), lambda: arm("bare", "a", "b", "c"))
    assert order[:7] == ["ours a", "bare a", "bare b", "ours b", "ours ends", "bare c", "bare ends"]
    assert order[7:11] == ["bare a", "ours a", "ours b", "bare b"]
    assert len(found["a"].ours) == len(found["b"].bare) == len(found["c"].bare) == 2
    assert found["c"].ours == []


async def test_pieces_of_a_phase_count_as_one_batch() -> None:
    async def arm(*rates: float) -> AsyncGenerator[tuple[str, Batch], None]:
        for rate in rates:
            yield "a", batch(rate, rate)

    both = (await side_by_side(1, lambda: arm(10, 30), lambda: arm(20)))["a"]
    [ours], [bare] = both.ours, both.bare
    assert (ours.calls, bare.calls) == (20, 10)
    assert ours.rate == pytest.approx(20 / (10 / 10 + 10 / 30))
    assert ours.total_cpu_ms == pytest.approx(20)
    assert len(ours.latencies_ms) == 4


async def test_a_batch_counts_every_call_and_keeps_as_many_under_way_as_asked() -> None:
    under_way, most, numbers = 0, 0, []

    async def call(number: int) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        numbers.append(number)

    measured = await drive(call, 20, 4, {})
    assert sorted(numbers) == list(range(20))
    assert most == 4
    assert measured.calls == len(measured.latencies_ms) == 20
    assert set(measured.cpu_ms) == {"client"}


async def test_a_batch_with_a_failed_call_measures_nothing() -> None:
    async def call(number: int) -> None:
        if number == 3:
            raise RuntimeError("refused")

    with pytest.raises(ExceptionGroup):
        await drive(call, 5, 2, {})


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (95, 95), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(i) for i in range(1, 101)], percent) == value


def test_a_bar_is_met_at_its_limit_and_missed_beyond() -> None:
    assert Bar("cpu", 1.2, 1.2, "at most").verdict == "met"
    assert Bar("cpu", 1.3, 1.2, "at most").verdict == "missed"
    assert Bar("rate", 0.8, 0.9, "at least").verdict == "missed"
    assert Bar("rate", float("nan"), 0.9, "at least").verdict == "missed"


def test_what_has_no_limit_is_written_and_shown_apart_from_the_bars(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    figures: list[Figure] = [
        Bar("cpu", 1.3, 1.2, "at most"),
        Measurement("time", 7.5, " ms", "of one run"),
    ]

    _write(out, "watch", {}, figures, {})

    written = json.loads(out.read_text())["watch"]
    assert [(bar["name"], bar["verdict"]) for bar in written["bars"]] == [("cpu", "missed")]
    assert [one["name"] for one in written["measurements"]] == ["time"]
    page = "\n".join(_section("watch", written, {}))
    assert "| cpu | 1.3 | at most 1.2 | missed |" in page
    assert "| time | 7.5 ms | of one run |" in page


def test_growth_that_was_watched_for_too_short_is_missed_and_not_left_out() -> None:
    trace = Trace(done=[0, 100], mib={name: [50.0, 50.0] for name in SERVICES})
    trace.latencies_ms = [1.0]
    imports = {name: [[0.1, 0.1]] for name in SERVICES}
    idle = dict.fromkeys(SERVICES, 1.0)
    bars = _bars(imports, [0.1], idle, trace, Load(onboardings=5000))
    assert [bar.name for bar in bars if bar.verdict == "missed"] == [
        "onboardings over which memory was watched"
    ]


def test_growth_is_that_of_the_run_after_its_warm_up() -> None:
    leak = 0.004  # MiB an onboarding
    trace = Trace(done=list(range(0, 1000, 10)))
    flat = [min(100.0, 50 + done) for done in trace.done]
    trace.mib = {
        "flat": flat,
        "leaks": [mib + leak * done for mib, done in zip(flat, trace.done, strict=True)],
    }
    assert trace.growth("flat") == pytest.approx(0, abs=1e-6)
    assert trace.growth("leaks") == pytest.approx(leak * 5000)


def test_charts_are_well_formed_whatever_the_names_are() -> None:
    points = [(1.0, 0.0), (5.5, 50.0), (900.0, 100.0)]
    for chart in (
        charts.lines("<a & b>", "ms", "%", {"x<y": points}, logarithmic=True),
        charts.lines("one point", "s", "n", {"a": [(0.0, 0.0)]}),
        charts.bars("bars", "ms", {"a&b": {"one": 1.0, "two": 0.0}, "c": {"two": 1234.5}}),
        charts.bars("stacks", "ms", {"a": {"one": 1.0, "two": 3.0}}, stacked=True),
    ):
        assert ElementTree.fromstring(chart).tag.endswith("svg")


def test_what_a_lock_does_not_hold_is_hidden_with_everything_in_it() -> None:
    hide = _Hide(frozenset({"rich"}))
    with pytest.raises(ModuleNotFoundError):
        hide.find_spec("rich.console", None)
    assert hide.find_spec("richer", None) is None
