"""The stack as a whole: from the command line, and as the tests and the demo use it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nexpo_dev import ports, servers
from nexpo_dev.folder_lock import AlreadyRunningError, FolderLock
from nexpo_dev.servers.postgresql import PREFIX, VAR_TMP
from nexpo_dev.service import Service
from nexpo_dev.stack import Stack
from nexpo_dev.supervisor import Status
from nexpo_dev.waiting import eventually

WORKSPACE = Path(__file__).parents[2]
DB_WORKER = ("temporal", "postgres", "db-worker")


class CommandLine:
    """python -m nexpo_dev on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "nexpo_dev", "--folder", str(self.folder), *command],
            capture_output=True,
            text=True,
            timeout=200,
        )

    def get(self, path: str) -> object:
        """GET from the REST API with the development key."""
        url = {address.name: address.url for address in Status.read(self.folder).addresses}
        headers = {"authorization": f"Bearer {url['API key']}"}
        return httpx.get(url["REST API"] + path, headers=headers).raise_for_status().json()

    def pids(self) -> set[int]:
        """Every process whose command line names the folder."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if str(self.folder).encode() in (process / "cmdline").read_bytes():
                    found.add(int(process.name))
            except OSError:
                continue
        return found


@pytest.fixture
def command_line(tmp_path: Path) -> Iterator[CommandLine]:
    """On a folder with a space in its path, below one of mode 0700."""
    tmp_path.chmod(0o700)
    line = CommandLine(tmp_path / "the stack")
    yield line
    line.run("down")


@pytest.mark.verify
@pytest.mark.timeout(400)
def test_up_keeps_everything_until_down_leaves_nothing(command_line: CommandLine) -> None:
    up = command_line.run("up")
    assert up.returncode == 0, up.stdout
    for shown in ("REST API", "API key", "postgresql://nexpo:", "curl", "Temporal Web UI"):
        assert shown in up.stdout
    assert command_line.run("status").returncode == 0
    assert command_line.get("/v1/users") == {}
    proposed = [line for line in up.stdout.splitlines() if "NEXPO_" in line or "bin/nexpo" in line]
    tried = subprocess.run("\n".join(proposed), shell=True, cwd=WORKSPACE, timeout=60)
    assert tried.returncode == 0

    # What has died is shown, and `up` starts it again.
    worker = Status.read(command_line.folder).running["db-worker"]
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    again = command_line.run("up")
    assert "db-worker ready" in again.stdout
    assert "postgres ready" not in again.stdout
    assert command_line.get("/v1/users") == {}

    # What cannot come back is said, and what runs goes on; other ports would not be these.
    mails = command_line.folder / "mailbox" / "mails"
    aside = mails.rename(mails.with_name("aside"))
    mails.touch()
    mailbox = Status.read(command_line.folder).running["mailbox"]
    assert mailbox is not None
    os.kill(mailbox, signal.SIGKILL)
    failed = command_line.run("up")
    assert failed.returncode == 1
    assert "the rest of the stack goes on" in failed.stdout
    assert "mailbox ended at start" in failed.stdout
    assert command_line.get("/v1/users") == {}
    moved = command_line.run("--ports", "9450", "up")
    assert moved.returncode == 1
    assert "goes on" in moved.stdout
    assert command_line.get("/v1/users") == {}
    mails.unlink()
    aside.rename(mails)
    assert "mailbox ready" in command_line.run("up").stdout
    assert command_line.run("status").returncode == 0

    # The kernel ends everything with the supervisor; the next `up` has the same data and key.
    key = Status.read(command_line.folder).addresses[2]
    supervisor = FolderLock(command_line.folder).holder()
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    assert command_line.run("up").returncode == 0
    assert key in Status.read(command_line.folder).addresses
    assert command_line.get("/v1/users") == {}

    assert command_line.run("down").returncode == 0
    assert not command_line.folder.exists()
    assert not command_line.pids()
    origins = [file.read_text() for file in VAR_TMP.glob(f"{PREFIX}*/belongs-to")]
    assert not [origin for origin in origins if str(command_line.folder) in origin]


@pytest.mark.verify
def test_up_says_what_failed_with_the_end_of_its_log(command_line: CommandLine) -> None:
    (command_line.folder / "mailbox").mkdir(parents=True)
    (command_line.folder / "mailbox" / "mails").touch()  # where its folder should be
    up = command_line.run("up")
    assert up.returncode == 1
    assert "mailbox ended at start" in up.stdout
    assert "FileExistsError" in up.stdout
    assert not command_line.pids()


def test_down_and_status_of_nothing_say_so(command_line: CommandLine) -> None:
    assert "nothing to end" in command_line.run("down").stdout
    assert command_line.run("status").returncode == 1


async def test_a_service_goes_through_its_fault_proxy(tmp_path: Path) -> None:
    async with Stack(tmp_path, only=DB_WORKER, fault_proxies=["postgres"]) as stack:
        worker = stack.services["db-worker"]
        assert await worker.status() == "ok"
        stack.proxies["postgres"].cut()
        await _until(worker, "failing")
        stack.proxies["postgres"].heal()
        await _until(worker, "ok")
    stack.remove()


async def test_a_killed_service_comes_back_at_the_same_place(tmp_path: Path) -> None:
    async with Stack(tmp_path, only=DB_WORKER) as stack:
        worker = stack.services["db-worker"]
        before = (worker.url, worker.grpc_address)
        await worker.kill()
        with pytest.raises(httpx.TransportError):
            await worker.status()
        await worker.start()
        assert (worker.url, worker.grpc_address) == before
    stack.remove()


async def test_two_stacks_that_prefer_the_same_ports_do_not_meet(tmp_path: Path) -> None:
    only = ["mailbox", "claude"]
    one = Stack(tmp_path / "one", only=only, preferred_ports=True)
    two = Stack(tmp_path / "two", only=only, preferred_ports=True)
    async with one, two:
        for a, b in ((one.servers.mailbox, two.servers.mailbox), (one.gateway, two.gateway)):
            assert set(a.memory.all_ports).isdisjoint(b.memory.all_ports)
    assert one.api_key != two.api_key


async def test_ports_can_be_chosen_also_for_a_stack_that_had_others(tmp_path: Path) -> None:
    Stack(tmp_path, preferred_ports=True)
    first = ports.choose(acceptable=lambda port: all(ports.is_free(port + i) for i in range(12)))
    only = ["mailbox", "claude"]
    async with Stack(tmp_path, only=only, preferred_ports=True, first_port=first) as stack:
        assert stack.gateway.grpc_port == first
        assert stack.gateway.port == first + 1
        mailbox = stack.servers.mailbox
        chosen = [stack.servers.temporal.port, stack.servers.temporal.ui_port]
        chosen += [mailbox.port, mailbox.smtp_port, stack.servers.object_storage.port]
        assert chosen == [first + 2, first + 3, first + 4, first + 5, first + 11]
        assert await mailbox.answers()
    assert Stack(tmp_path, preferred_ports=True).gateway.grpc_port == first


async def test_a_chosen_port_that_is_taken_is_an_error_and_not_another_port(
    tmp_path: Path,
) -> None:
    first = ports.choose(acceptable=lambda port: all(ports.is_free(port + i) for i in range(12)))
    with socket.socket() as other:
        other.bind((ports.HOST, first + 4))
        other.listen()
        with pytest.raises(ports.PortTakenError, match=f"Port {first + 4}, which mailbox needs"):
            async with Stack(tmp_path, only=["mailbox"], first_port=first):
                pass


def test_ports_that_do_not_exist_are_refused(command_line: CommandLine) -> None:
    for wrong in ("80", "65530", "x"):
        up = command_line.run("--ports", wrong, "up")
        assert up.returncode == 2
        assert "must be a port from 1024 to 65524" in up.stderr


async def test_one_folder_is_run_once_at_a_time(tmp_path: Path) -> None:
    async with Stack(tmp_path, only=["claude"]):
        with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
            await Stack(tmp_path, only=["claude"]).start()


async def test_a_failed_start_leaves_nothing_running(tmp_path: Path) -> None:
    stack = Stack(tmp_path, only=["claude", "mailbox"])
    (tmp_path / "mailbox" / "mails").touch()
    with pytest.raises(servers.StartError, match="mailbox"):
        async with stack:
            pass
    assert not [name for name, server in stack.all().items() if server.running]


def test_the_callers_own_variables_do_not_reach_a_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://another-project")
    monkeypatch.setenv("OTHER_SECRET", "x")
    stack = Stack(tmp_path, settings={"TIME_SCALE": "0.1"})
    environment = stack.environment("db-worker")
    assert environment["DATABASE_URL"] == stack.servers.postgres.url
    assert environment["TIME_SCALE"] == "0.1"
    assert "OTHER_SECRET" not in environment


async def _until(service: Service, status: str) -> None:
    async def reached() -> bool:
        return await service.status() == status

    await eventually(reached)
