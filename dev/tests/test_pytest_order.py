"""What is handed out first, and what goes to one worker as a whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from nexpo_dev.pytest_order import LONGEST, pytest_collection_modifyitems, scope


def collected(*nodeids: str, uses: str = "tmp_path") -> list[pytest.Item]:
    """What pytest tells of tests that use a fixture."""
    found = [SimpleNamespace(nodeid=nodeid, fixturenames=["request", uses]) for nodeid in nodeids]
    return cast(list[pytest.Item], found)


def test_what_shares_the_stack_comes_first_then_the_longest_then_the_rest_as_it_was() -> None:
    ordered = [
        *("tests/e2e/test_b.py::test[x]", "tests/cases/test_c.py::test"),
        *(f"{LONGEST[0]}::test", f"{LONGEST[1]}::test"),
        *("z/test_z.py::test", "a/test_a.py::test"),
    ]
    items = collected(*(ordered[place] for place in (4, 3, 0, 5, 2, 1)))

    pytest_collection_modifyitems(items)

    assert [item.nodeid for item in items] == ordered


def test_a_worker_takes_a_file_or_all_that_shares_the_stack() -> None:
    assert scope("a/test_a.py::Test::test[1::2]") == "a/test_a.py"
    assert scope("tests/e2e/test_b.py::test") == scope("tests/cases/test_c.py::test")


def test_who_uses_the_stack_elsewhere_is_named() -> None:
    pytest_collection_modifyitems(collected("tests/e2e/test_b.py::test", uses="embedded_stack"))
    with pytest.raises(pytest.UsageError, match=r"add to WITH_STACK .*: a/test_a\.py::test$"):
        pytest_collection_modifyitems(collected("a/test_a.py::test", uses="embedded_stack"))
