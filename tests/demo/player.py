"""The demo as a process of its own, and what is left of it on the machine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nexpo_dev.servers.postgresql import PREFIX, VAR_TMP

_PATIENCE = 180.0


@dataclass(frozen=True)
class Played:
    """A demo that has ended.

    Attributes:
        code: Its exit code.
        output: What it printed.
        report: DEMO_REPORT, read; empty when it wrote none.
    """

    code: int
    output: str
    report: dict[str, Any]


class Demo:
    """`python -m nexpo_dev.demo`, started in a folder.

    Args:
        folder: Its working directory.
        user: Numeric user to be; None stays who we are.
    """

    def __init__(self, folder: Path, user: int | None = None) -> None:
        self.folder = folder
        self._log = folder / "output.txt"
        self._report = folder / "report.json"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nexpo_dev.demo"],
                cwd=folder,
                env={
                    **{n: v for n, v in os.environ.items() if not n.startswith("PYTEST")},
                    "HOME": str(folder),
                    "TMPDIR": str(folder),
                    "DEMO_REPORT": str(self._report),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its session finds all that it starts, however deep
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()

    def until(self, text: str) -> None:
        """Waits until it has printed the text. Raises: AssertionError: It ended, or is too slow."""
        deadline = time.monotonic() + _PATIENCE
        while text not in self.output:
            assert self._process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Ctrl-C: the terminal signals the whole foreground process group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def ended(self) -> Played:
        """Waits for its end."""
        code = self._process.wait(_PATIENCE)
        report = json.loads(self._report.read_text()) if self._report.exists() else {}
        return Played(code, self.output, report)

    def stack(self) -> Path:
        """The folder of the stack that it runs."""
        (found,) = (self.folder / "build").glob("demo-*/stack.json")
        return found.parent

    def leftovers(self) -> list[str]:
        """Processes of its session, or in its folder, and what lies under /var/tmp for it."""
        origins = VAR_TMP.glob(f"{PREFIX}*/belongs-to")
        kept = [str(o.parent) for o in origins if str(self.folder) in _text(o)]
        return [*kept, *(line for line in _processes() if self._ours(line))]

    def kill(self) -> None:
        """Ends it; the kernel ends what it started."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(90)

    def _ours(self, line: str) -> bool:
        session, _, rest = line.partition(" ")
        return session == str(self._process.pid) or str(self.folder) in rest


@contextlib.contextmanager
def demo(name: str, user: int | None = None) -> Iterator[Demo]:
    """A demo in a folder of mode 0700 whose path has a space, gone at the end."""
    # Not pytest's own folder: another user could not come so far.
    outer = Path(tempfile.mkdtemp(prefix="nexpo-demo-test-", dir="/tmp"))
    folder = outer / name
    folder.mkdir()
    for path in (outer, folder):
        path.chmod(0o700)
        if user is not None:
            os.chown(path, user, user)
    played = Demo(folder, user)
    try:
        yield played
    finally:
        played.kill()
        shutil.rmtree(outer, ignore_errors=True)


def _processes() -> Iterator[str]:
    """Every process that is no zombie: its session, command line and working directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()
            command = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
            where = os.readlink(process / "cwd")
            if fields[0] != "Z":
                yield f"{fields[3]} {process.name} {command} {where}"


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""
