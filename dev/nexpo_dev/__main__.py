"""The embedded stack from the command line: python -m nexpo_dev up | status | down."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from nexpo_dev.folder_lock import AlreadyRunningError, FolderLock
from nexpo_dev.servers.postgresql import sweep
from nexpo_dev.stack import PREFERRED_PORTS, Stack, kept_port
from nexpo_dev.supervisor import Status, Supervisor
from nexpo_dev.tries import three_things_to_try

_DOWN_PATIENCE = 90  # seconds; longer than any part takes to end in order

console = Console(soft_wrap=True, highlight=False)


def main() -> int:
    """Run a command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nexpo_dev", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/stack"), help="of its data")
    parser.add_argument(
        "--ports",
        type=_first_port,
        metavar="FIRST",
        help="the ports from this one on: gRPC, REST, then the servers'",
    )
    parser.add_argument("command", choices=["up", "status", "down", "supervise"])
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    match arguments.command:
        case "up":
            return up(folder, arguments.ports)
        case "status":
            return status(folder)
        case "down":
            return down(folder)
        case _:
            return asyncio.run(Supervisor(folder, arguments.ports).run())


def _first_port(text: str) -> int:
    last = 65535 - len(PREFERRED_PORTS) + 1
    if not text.isdecimal() or not 1024 <= int(text) <= last:
        raise argparse.ArgumentTypeError(f"must be a port from 1024 to {last}")
    return int(text)


def up(folder: Path, first_port: int | None = None) -> int:
    """Start the stack, or what of it has died, in the background; print where everything is.

    A stack that runs is never ended by this, whatever goes wrong.
    """
    begin = time.monotonic()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    running = FolderLock(folder).holder()
    if running is not None and first_port not in (None, kept_port(folder)):
        console.print(
            f"The stack runs, from port {kept_port(folder)} on, and goes on. `make down` ends it"
            " and deletes its data; then it can have other ports."
        )
        return 1
    if running is not None:
        before = Status.read(folder).round
        os.kill(running, signal.SIGUSR1)
        supervisor = None
    else:
        before = 0
        Status().write(folder)
        supervisor = _spawn(folder, first_port)
    try:
        done = _follow(folder, before, supervisor)
    except KeyboardInterrupt:
        if supervisor is None:
            console.print("Interrupted. The stack goes on as it was.")
            return 130
        console.print("Interrupted: ending what was started. Data is kept.")
        _end(folder)
        return 130
    if done.state != "ready":
        said = "What had died did not start; the rest of the stack goes on."
        if supervisor is not None:
            supervisor.wait(_DOWN_PATIENCE)  # what did start is gone when this command is
            said = "The stack did not start."
        console.print(f"[red]{said}[/] {_why(folder, done)}")
        return 1
    console.print()
    _print_addresses(done)
    console.print(f"\n[bold]Three things to try[/]\n{three_things_to_try(done.addresses)}")
    seconds = time.monotonic() - begin
    console.print(f"\nReady after {seconds:.1f} s. Data stays in {folder} until `make down`.")
    return 0


def status(folder: Path) -> int:
    """Print what runs and where. Exit code 0 when all of it runs."""
    found = Status.read(folder)
    if FolderLock(folder).holder() is None:
        console.print("The stack is not running. `make up` starts it.")
        return 1
    _print_addresses(found)
    console.print()
    for name, pid in found.running.items():
        console.print(f"{name:16}" + (f"pid {pid}" if pid else "[red]died[/]; `make up` starts it"))
    dead = [name for name, pid in found.running.items() if pid is None]
    return 1 if dead or found.state != "ready" else 0


def down(folder: Path) -> int:
    """End the stack and delete its data."""
    if not folder.exists():
        console.print("There is nothing to end and nothing to delete.")
        return 0
    ended = _end(folder)
    Stack(folder).remove()
    sweep()
    console.print(f"{'Ended the stack; deleted' if ended else 'Deleted'} {folder}.")
    return 0


def _spawn(folder: Path, first_port: int | None) -> "subprocess.Popen[bytes]":
    ports = [] if first_port is None else ["--ports", str(first_port)]
    with (folder / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nexpo_dev", "--folder", str(folder), *ports, "supervise"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _follow(folder: Path, before: int, supervisor: "subprocess.Popen[bytes] | None") -> Status:
    """Print what starts after the round `before`, until all has or something failed."""
    printed = 0
    while True:
        ended = supervisor is not None and supervisor.poll() is not None
        found = Status.read(folder)
        if found.round > before:
            for line in found.started[printed:]:
                console.print(f"  {line}")
            printed = len(found.started)
        if ended or (found.round > before and found.state != "starting"):
            return found
        time.sleep(0.1)


def _end(folder: Path) -> bool:
    """SIGTERM the supervisor and wait; SIGKILL it when it does not end. False: none ran."""
    lock = FolderLock(folder)
    pid = lock.holder()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_PATIENCE
    while lock.holder() is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)  # the kernel ends its children
        time.sleep(0.1)
    return True


def _why(folder: Path, failed: Status) -> str:
    if failed.error:
        return failed.error
    log = folder / "supervisor.log"
    return f"The end of {log}:\n" + "\n".join(log.read_text().splitlines()[-15:])


def _print_addresses(found: Status) -> None:
    for address in found.addresses:
        console.print(f"{address.name:20} [cyan]{address.url}[/]")
        for note in address.notes:
            console.print(f"{'':20} [dim]{note}[/]")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AlreadyRunningError as error:
        sys.exit(str(error))
