"""The command as a process, a whole stack to call, and a contract with fields of every kind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from .kinds import kinds_method
from .processes import Nexpo, RunningStack


@pytest.fixture
def alone() -> Nexpo:
    """The command with no gateway to call."""
    return Nexpo()


@pytest.fixture(scope="session")
def kinds() -> MethodDescriptor:
    """A method whose request has a field of every kind; no gateway serves it."""
    return kinds_method()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Temporal, two databases, storage, mail and the four services."""
    # Short, for the Unix sockets in it; passable, for PostgreSQL's own user.
    folder = Path(tempfile.mkdtemp(prefix="nexpo-cli-", dir="/tmp"))
    folder.chmod(0o711)
    stack = RunningStack(folder / "stack")
    try:
        stack.do(stack.stack.__aenter__())
        yield stack
    finally:
        stack.do(stack.stack.__aexit__(None, None, None))
        stack.stack.remove()
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nexpo(running: RunningStack) -> Nexpo:
    """The command, with the stack's gateway and key."""
    gateway = running.stack.gateway
    return Nexpo({"NEXPO_ADDRESS": gateway.grpc_address, "NEXPO_API_KEY": running.stack.api_key})
