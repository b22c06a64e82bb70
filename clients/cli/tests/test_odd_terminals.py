"""Streams that are closed, full or broken, and surroundings that lack what most have."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from .processes import Nexpo

NEXPO = f"{shlex.quote(sys.executable)} -m nexpo_cli"
NOWHERE = {"NEXPO_API_KEY": "k", "NEXPO_ADDRESS": "127.0.0.1:1"}
ONBOARD = "users onboard --email a@example.com --display-name A"


def shell(
    nexpo: Nexpo, line: str, without: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash; `nexpo` in it is the command."""
    environment = {**nexpo.environment(), **NOWHERE, **variables}
    environment.pop(without, None)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("nexpo ", NEXPO + " ")],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=90,
        check=False,
    )


def is_plain(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether nothing of Python's own shows."""
    said = done.stdout + done.stderr
    return not any(word in said for word in ("Traceback", "itself failed", "Exception ignored"))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("nexpo users list <&-", 4),
        ("nexpo users list >&-", 4),
        ("nexpo users list 2>&-", 4),
        ("nexpo users list <&- >&- 2>&-", 4),
        ("nexpo users list 2>/dev/full", 4),
        ("nexpo users list 2> >(true)", 4),
        ("nexpo --help <&- >&- 2>&-", 0),
        ("nexpo users nothing 2>/dev/full", 2),
        ("nexpo users nothing 2>&-", 2),
        (f"nexpo {ONBOARD} <&-", 2),
        (f"nexpo {ONBOARD} --password-stdin <&-", 2),
        (f"nexpo {ONBOARD} --password-stdin </dev/null", 2),
        ("nexpo users onboard --json - <&-", 2),
        ("nexpo users onboard --json - </", 1),
        ("nexpo --help >/dev/full", 1),
        ("nexpo --help | head -1", 141),
        ("nexpo users onboard --help | true", 141),
        ("nexpo users list --email $'\\xff'", 2),
        ("nexpo users get $'\\xff'", 2),
    ],
)
def test_a_stream_that_is_no_use_ends_as_documented(alone: Nexpo, line: str, code: int) -> None:
    done = shell(alone, line)

    assert is_plain(done)
    assert done.returncode == code, done.stderr


def test_what_is_missing_without_an_input_is_said(alone: Nexpo) -> None:
    assert "--password is needed" in shell(alone, f"nexpo {ONBOARD} <&-").stderr
    empty = shell(alone, f"nexpo {ONBOARD} --password-stdin <&-")
    assert "--password-stdin: standard input is empty" in empty.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"NO_COLOR": "1", "TERM": "dumb"},
        {"TERM": ""},
        {"HOME": ""},
        {"COLUMNS": "1", "LINES": "1"},
        {"COLUMNS": "0"},
        {"COLUMNS": "wide"},
        {"TZ": "Nowhere/Land"},
    ],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()),
)
def test_odd_surroundings_change_nothing_but_the_looks(
    alone: Nexpo, variables: dict[str, str]
) -> None:
    helped = shell(alone, "nexpo users onboard --help", **variables)
    assert (helped.returncode, is_plain(helped)) == (0, True)
    assert "--display-name" in helped.stdout
    refused = shell(alone, "nexpo users get u1", **variables)
    assert (refused.returncode, is_plain(refused)) == (4, True)


def test_a_user_without_a_home_has_no_file_there(alone: Nexpo) -> None:
    assert shell(alone, "nexpo users list", without="HOME").returncode == 4
