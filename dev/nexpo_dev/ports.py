"""Free ports on 127.0.0.1, and who holds one that is not free."""

import contextlib
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

HOST = "127.0.0.1"

# Below the kernel's ephemeral range, so that no outgoing connection takes one meanwhile.
_RANGE = range(12_000, 32_000)

# A port is chosen before its server binds it. Until this process ends, an abstract Unix socket of
# the port's name tells every other process of this machine that it is spoken for.
_reservations: dict[int, socket.socket] = {}


class PortTakenError(Exception):
    """A port that a server needs is held by another process, which the message names."""

    def __init__(self, port: int, wanted_by: str) -> None:
        super().__init__(f"Port {port}, which {wanted_by} needs, is taken by {holder(port)}.")
        self.port = port


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(
    preferred: int | None = None, acceptable: Callable[[int], bool] = lambda port: True
) -> int:
    """A free port: the preferred one when nobody holds or has reserved it, else a random one.

    Args:
        preferred: tried first.
        acceptable: what else must be true of it.

    Raises:
        RuntimeError: no free port was found.
    """
    candidates = random.sample(_RANGE, 200)
    for port in ([preferred] if preferred else []) + candidates:
        if acceptable(port) and is_free(port) and reserve(port):
            return port
    raise RuntimeError("No free port was found between 12000 and 32000.")


def holder(port: int) -> str:
    """The process that listens on this port, as "pid 12 (command)", as far as it can be seen."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if os.readlink(descriptor).removeprefix("socket:[").removesuffix("]") in inodes:
                    command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    return f"pid {process.name} ({command.strip()[:120]})"
    return "a process that this user may not see"


def reserve(port: int) -> bool:
    """Says that this process will use the port; False when somebody has said so before."""
    if port in _reservations:
        return False
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0nexpo-port-{port}")
    except OSError:
        reservation.close()
        return False
    _reservations[port] = reservation
    return True


def _listening_inodes(port: int) -> set[str]:
    listening = "0A"  # proc_pid_net(5): the state column of /proc/net/tcp
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == listening and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(columns[9])
    return inodes
