"""A tutorial's blocks, and a copy of the checkout to follow it in."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from nexpo_tools.generate import ROOT

GUIDES = ROOT / "docs/guides"

_BLOCK = re.compile(
    r"<!-- run: no, test_\w*tutorial\.py (?:runs it|writes (?P<file>\S+)) -->\n"
    r"```\w+\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_GENERATED = ("shared/contracts/", "docs/reference/")
_PACKAGES = (
    *("shared/contracts", "shared/runtime", "clients/cli", "standins", "dev", "tools"),
    *(f"services/{name}" for name in ("gateway", "db-worker", "cloud-worker", "ai-worker")),
)


@dataclass(frozen=True)
class Step:
    """A file to write, or commands to run.

    Attributes:
        file: Its path in the checkout; empty for commands.
        text: The file's content, or the commands.
    """

    file: str
    text: str


def steps(page: str) -> list[Step]:
    """What a guide tells its reader to do, in order."""
    found = _BLOCK.finditer((GUIDES / page).read_text(encoding="utf-8"))
    return [Step(match["file"] or "", match["text"]) for match in found]


@dataclass
class Followed:
    """A copy after the files are written and the first commands run.

    Attributes:
        checkout: The copy.
        written: The files that the guide has its reader write.
        calls: The commands of the section that calls the operation.
        last: Those of the last section.
        printed: What the first commands printed.
    """

    checkout: Checkout
    written: set[str]
    calls: list[Step]
    last: Step
    printed: str


def follow(page: str, root: Path) -> Followed:
    """Follows a guide up to its first call, in a copy of the checkout at `root`."""
    checkout = Checkout(root)
    found = steps(page)
    first_call = next(i for i, step in enumerate(found) if ".venv/bin/nexpo" in step.text)
    printed = ""
    for step in found[:first_call]:
        if step.file:
            target = checkout.root / step.file
            assert not target.exists(), f"the tutorial overwrites {step.file}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(step.text)
        else:
            printed += checkout.run(step.text)
    *calls, last = found[first_call:]
    written = {step.file for step in found if step.file}
    return Followed(checkout, written, calls, last, printed)


def changed_beside(followed: Followed) -> list[str]:
    """The files that differ, but are neither the guide's nor generated."""
    changed = followed.checkout.changed()
    assert followed.written <= changed
    return [name for name in changed - followed.written if not name.startswith(_GENERATED)]


def check_last_step(followed: Followed) -> None:
    """Runs the last section as it stands: lint, and tests."""
    printed = followed.checkout.run(followed.last.text)
    for check in ("format", "ruff", "buf lint", "buf breaking", "workflows", "migrations", "mypy"):
        assert re.search(rf"^{check} +ok", printed, re.MULTILINE), printed
    assert re.search(r"\d+ passed", printed), printed


class Checkout:
    """A copy of the working tree, as a repository of its own, with the same environment.

    Args:
        root: Where it is made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout
        for name in filter(None, names.decode().split("\0")):
            source, target = ROOT / name, root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        (root / ".venv").symlink_to(sys.prefix)
        # What mypy knows of files that are the same, when somebody has linted here before.
        with contextlib.suppress(FileNotFoundError):
            shutil.copytree(ROOT / ".cache/mypy", root / ".cache/mypy")
        self._git("init", "-q")
        self._git("config", "core.excludesFile", "/dev/null")
        (root / ".git/info/exclude").write_text(".venv\n")
        self._git("add", "-A")
        self._git("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "begin")

    def run(self, commands: str, **variables: str) -> str:
        """Runs commands in bash as the reader would, and returns what they print.

        Raises:
            AssertionError: One failed; holds what it printed.
        """
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", f"{_MAKE}\n{commands}"],
            cwd=self.root,
            env={**self.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\nprinted:\n{done.stdout}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The environment in which the copy's packages come before the checkout's."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        path = os.pathsep.join(str(self.root / package) for package in _PACKAGES)
        return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}

    def changed(self) -> set[str]:
        """The files that differ from the beginning, as git sees it."""
        lines = self._git("status", "--porcelain", "--untracked-files=all").splitlines()
        return {line[3:] for line in lines}

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout


_LONGEST_S = 380
# The environment is there already: make must not build it again in the copy.
_MAKE = 'make() { command make -s -o .venv/.ready "$@"; }'
