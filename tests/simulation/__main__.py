"""`make simulate RUNS=n SEED=s`: simulates, counts the coverage, shrinks a failure."""

from __future__ import annotations

import argparse
import sys

from tests import figures

from .campaign import Campaign, shrunk, violations_of
from .case import coverage_targets, make_case


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 when a promise was broken or the coverage has a hole."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, help="replay this one case of the seed")
    options = parser.parse_args(arguments)
    if options.case is not None:
        case = make_case(options.seed, options.case, coverage_targets())
        print(case)
        broken = violations_of(case)
        print("\n".join(broken) or "every promise was kept")
        return 1 if broken else 0
    campaign = Campaign(options.seed)
    campaign.run_on_all_cores(options.runs)
    _report(campaign, options.seed)
    if campaign.failed is not None:
        print(f"seed {options.seed}: a promise was broken\n{campaign.failure()}")
        fewest = shrunk(campaign.failed)
        print(f"shrunk to {fewest}")
        print("\n".join(violations_of(fewest)))
        return 1
    for call, kind in campaign.missing():
        print(f"not covered: '{call}' {kind}")
    return 1 if campaign.missing() else 0


def _report(campaign: Campaign, seed: int) -> None:
    print(
        f"{campaign.runs} runs in {campaign.seconds:.1f} s ({campaign.runs / campaign.seconds:.0f}"
        f" a second), {campaign.operations} operations, {sum(campaign.hit.values())} faults;"
        f" {len(campaign.targets) - len(campaign.missing())} of {len(campaign.targets)}"
        " (fault, call) pairs covered"
    )
    figures.write(
        "simulation", f"make simulate RUNS={campaign.runs} SEED={seed}", {**campaign.figures()}
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
