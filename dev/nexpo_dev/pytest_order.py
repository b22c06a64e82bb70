"""The order in which pytest-xdist hands out files: so that all workers end together.

What shares the embedded stack goes to one worker, so that there is one; then come the files that
take longest, by the times of the last look at build/junit.xml; the others fill the gaps.
"""

from collections.abc import Iterator

import pytest

WITH_STACK = (
    "tests/e2e/",
    "tests/cases/",
    "tests/duplicates/",
    "clients/cli/tests/test_with_the_stack.py",
)
"""Where `embedded_stack` may be used."""

LONGEST = (
    "tests/demo/test_demo.py",
    "tests/simulation/test_simulation.py",
    "tests/chaos/test_kill_matrix.py",
    "tests/proofs/test_commands.py",
    "tests/contract_extension/test_tutorial.py",
    "tests/docs/test_commands.py",
    "tests/upgrade/test_upgrade.py",
    "dev/tests/test_stack.py",
    "dev/tests/test_servers.py",
    "tests/services_alone/test_services_alone.py",
    "standins/tests/sqlserver/test_transactions.py",
    "tests/canaries/test_canaries.py",
    "services/db-worker/tests/engines/sqlserver/test_broken.py",
    "services/gateway/tests/test_worst_input.py",
    "services/gateway/tests/test_rest.py",
    "tests/without_temporal/test_in_process.py",
    "services/ai-worker/tests/claude/test_claude.py",
    "services/gateway/tests/test_outages.py",
)
"""Files of which each takes half a minute or more, in `make test` or in `make verify`."""


def scope(nodeid: str) -> str:
    """What a worker takes as a whole: a file, or all that shares the embedded stack."""
    return "the stack" if nodeid.startswith(WITH_STACK) else nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest first."""
    ranks = {name: rank for rank, name in enumerate(("the stack", *LONGEST))}
    items.sort(key=lambda item: ranks.get(scope(item.nodeid), len(ranks)))
    strays = list(_strays(items))
    if strays:
        raise pytest.UsageError(f"add to WITH_STACK of {__name__}: {', '.join(strays)}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A scheduler by file that keeps this order."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def _strays(items: list[pytest.Item]) -> Iterator[str]:
    for item in items:
        if "embedded_stack" in getattr(item, "fixturenames", ()) and scope(item.nodeid) != (
            "the stack"
        ):
            yield item.nodeid
