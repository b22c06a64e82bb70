"""Ports: free ones are found, taken ones are named."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexpo_dev import ports, servers


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another process listens on."""
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def test_a_taken_port_is_named_with_its_holder(taken: int) -> None:
    message = str(ports.PortTakenError(taken, "postgres"))
    assert str(taken) in message
    assert "postgres" in message
    assert "create_server" in message
    assert "pid " in message


def test_a_preferred_port_is_chosen_only_when_it_is_free(taken: int) -> None:
    free = ports.choose()
    assert ports.choose(taken) != taken
    assert ports.is_free(free)


def test_a_port_is_never_given_twice_even_to_another_process() -> None:
    port = ports.choose()
    assert ports.choose(port) != port
    program = f"from nexpo_dev import ports; print(ports.choose({port}))"
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert int(other.stdout) != port


async def test_a_server_whose_port_was_taken_meanwhile_says_by_whom(tmp_path: Path) -> None:
    async with servers.mailbox(tmp_path) as server:
        pass
    with socket.create_server(("127.0.0.1", server.smtp_port)):
        with pytest.raises(ports.PortTakenError, match=r"mailbox.*pid \d+ \(.*python"):
            await server.start()
        assert not server.running
