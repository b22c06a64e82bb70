"""The README's commands for whoever wants proof: each ends, judges, and writes figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.verify]


@dataclass(frozen=True)
class Ran:
    """A command that has ended: its exit code, what it printed, its figures."""

    code: int
    output: str
    figures: dict[str, Any]


def make(folder: Path, figures: str, *arguments: str) -> Ran:
    """Runs make, with the figures in a folder of the test's own."""
    done = subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={**os.environ, "FIGURES": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    file = folder / f"{figures}.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    return Ran(done.returncode, done.stdout + done.stderr, found)


def test_a_simulation_that_is_too_short_says_what_it_did_not_cover(tmp_path: Path) -> None:
    ran = make(tmp_path, "simulation", "simulate", "RUNS=60", "SEED=7")
    assert ran.code != 0
    assert "not covered: '" in ran.output
    assert ran.figures["runs"] == 60
    assert ran.figures["covered"] < ran.figures["targets"]
    assert len(ran.figures["commit"]) == 40


def test_a_case_of_the_simulation_is_replayed(tmp_path: Path) -> None:
    ran = make(tmp_path, "simulation", "simulate", "SEED=7", "CASE=11")
    assert (ran.code, ran.figures) == (0, {})
    assert "case 7/11: " in ran.output
    assert "every promise was kept" in ran.output


def test_chaos_plays_the_faults_that_are_asked_for(tmp_path: Path) -> None:
    ran = make(tmp_path, "chaos", "chaos", "ONLY=Claude answers nonsense")
    assert ran.code == 0, ran.output
    [fault] = ran.figures["world_faults"]
    assert fault["onboarded"] > 0
    assert ran.figures["missed"] == []
    assert ran.figures["commit"]


def test_chaos_without_a_fault_is_no_success(tmp_path: Path) -> None:
    ran = make(tmp_path, "chaos", "chaos", "ONLY=no such fault")
    assert ran.code != 0
    assert "0 kill cases, 0 faults" in ran.output


def test_a_load_that_is_too_short_to_weigh_the_services_says_so(tmp_path: Path) -> None:
    ran = make(tmp_path, "soak", "soak", "MINUTES=0.1")
    assert ran.code != 0
    assert "MISSED no life of ai-worker, cloud-worker, db-worker, gateway was long" in ran.output
    assert ran.figures["begun"] == ran.figures["onboarded"] > 0
    assert ran.figures["orphans_and_duplicates"] == []


def test_a_benchmark_fails_when_a_bar_is_missed_and_only_then(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--only", "gateway", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    bars = json.loads(out.read_text())["gateway"]["bars"]
    missed = [bar["name"] for bar in bars if bar["verdict"] == "missed"]
    assert len(bars) == 5
    assert done.returncode == (1 if missed else 0), done.stderr
    assert done.stdout.count("missed: ") == len(missed)
