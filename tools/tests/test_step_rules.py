"""What lint says of a saga's steps: names that are one key, and steps that nobody awaits."""

from __future__ import annotations

import ast
import textwrap

import pytest

from nexpo_tools.step_rules import check_steps


def said(code: str) -> list[str]:
    """Line and advice of every finding."""
    found = check_steps(ast.parse(textwrap.dedent(code)))
    return [f"{line}: {advice}" for line, advice in sorted(found)]


def test_one_name_for_two_steps_is_found_with_the_other_s_line() -> None:
    assert said(
        """
        await saga.step("book", debit)
        await saga.step("book", credit)
        """
    ) == [
        "3: makes a step 'book', as line 2 does: both would have one key; name each after what"
        " it does"
    ]


@pytest.mark.parametrize(
    "code",
    [
        'steps = [saga.step("book", a), saga.step(name="book", do=b)]',
        'def one():\n    saga.step("book", a).run()\nasync def two():\n    await s.step("book", b)',
        'if x:\n    await saga.step("book", a)\nawait saga.step("book", b)',
        'try:\n    await saga.step("book", a)\nexcept Fault:\n    await saga.step("book", a)',
    ],
)
def test_also_where_only_one_way_reaches_both(code: str) -> None:
    assert ["as line" in found for found in said(code)] == [True]


@pytest.mark.parametrize(
    "code",
    [
        'if x:\n    await saga.step("book", a)\nelse:\n    await saga.step("book", b)',
        'step = saga.step("book", a) if x else saga.step("book", b)',
        'await saga.step("debit", a)\nawait saga.step("credit", b)',
        'for store in stores:\n    await saga.step(f"create in {store}", a)',
        'for answer in await saga.all([saga.step("book", a)]):\n    use(answer)',
        'match x:\n    case 1:\n        s.step("a", b)()\n    case _:\n        s.step("a", c)()',
        'for x in y:\n    def made():\n        return saga.step("book", a)',
        'await saga.all(saga.step(f"create in {store}", a) for store in stores)',
        "await saga.all(steps)\nawait flow.sleep(pause)\nother.call(1)",
    ],
)
def test_what_names_each_step_and_awaits_it_passes(code: str) -> None:
    assert said(code) == []


@pytest.mark.parametrize(
    "code",
    [
        'for store in stores:\n    await saga.step("create", a)',
        'while waiting:\n    await saga.step("create", a)',
        'await saga.all(saga.step("create", a) for store in stores)',
        'await saga.all([saga.step("create", a) for store in stores])',
    ],
)
def test_one_name_in_a_loop_is_found(code: str) -> None:
    (found,) = said(code)

    assert "makes the step 'create' in a loop" in found


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ('saga.step("book", a)', "saga.step(...) only describes a step: await it"),
        ('self.saga.step("book", a)', "self.saga.step(...) only describes a step"),
        ("saga.all(steps)", "saga.all(...) does nothing until it is awaited"),
        ("saga.optional(step)", "saga.optional(...) does nothing until it is awaited"),
        ("flow.sleep(pause)", "flow.sleep(...) does nothing until it is awaited"),
        ("flow.call(call)", "flow.call(...) does nothing until it is awaited"),
    ],
)
def test_what_is_never_awaited_is_found(code: str, advice: str) -> None:
    (found,) = said(code)

    assert advice in found
