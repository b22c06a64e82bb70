"""Whatever ends a process that started servers, none of them outlives it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexpo_dev.servers.postgresql import NOBODY, reachable

pytestmark = pytest.mark.verify

PROGRAM = """
import asyncio, sys
from contextlib import AsyncExitStack
from pathlib import Path
from nexpo_dev import servers

async def main(folder):
    async with AsyncExitStack() as stack:
        for name in sys.argv[2:]:
            server = await stack.enter_async_context(getattr(servers, name)(folder / name))
            for one in (server, *server.parts):
                print(one.pid, flush=True)
        print("started", flush=True)
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""
KINDS = ["postgres", "mongodb", "temporal", "object_storage", "supabase", "mailbox"]


def start(folder: Path, user: int | None = None) -> "subprocess.Popen[str]":
    """A process that starts servers, perhaps as another user."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), *KINDS],
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        env={**os.environ, "HOME": str(folder)} if user else None,
    )


async def all_below(parent: "subprocess.Popen[str]") -> set[int]:
    """Wait until it has started them; give back all processes below it."""
    assert parent.stdout is not None
    while line := await asyncio.to_thread(parent.stdout.readline):
        if line.strip() == "started":
            return descendants(parent.pid)
    raise AssertionError("the servers did not start")


def descendants(pid: int) -> set[int]:
    """All processes below this one."""
    children = {
        int(stat.parent.name) for stat in Path("/proc").glob("[0-9]*/stat") if _parent(stat) == pid
    }
    return children.union(*(descendants(child) for child in children))


def _parent(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


async def gone(pids: set[int]) -> None:
    """Wait until none of them lives."""
    async with asyncio.timeout(90):
        while any(os.path.exists(f"/proc/{pid}") for pid in pids):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_no_server_outlives_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    parent = start(tmp_path)
    below = await all_below(parent)
    assert len(below) > len(KINDS)
    parent.send_signal(how)
    await asyncio.to_thread(parent.wait, 90)
    await gone(below)


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder of mode 0700 that belongs to an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="nexpo-test-", dir="/var/tmp"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(
    os.getuid() != 0 or not reachable(Path(sys.executable).resolve().parent),
    reason="needs root, to become another user, and a Python that this one may run",
)
async def test_servers_start_as_an_ordinary_user_too(folder_of_nobody: Path) -> None:
    parent = start(folder_of_nobody / "a folder", user=NOBODY)
    below = await all_below(parent)
    assert len(below) > len(KINDS)
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in below}
    assert owners == {NOBODY}
    parent.kill()
    await asyncio.to_thread(parent.wait, 90)
    await gone(below)
