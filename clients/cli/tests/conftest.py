"""The command as a process, a whole stack to call, and a contract with fields of every kind."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor

from nexpo_dev.stack import Stack

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


@pytest.fixture
def running(embedded_stack: Stack) -> RunningStack:
    """The stack, for tests that block."""
    return RunningStack(embedded_stack)


@pytest.fixture
def nexpo(running: RunningStack) -> Nexpo:
    """The command, with the stack's gateway and key."""
    gateway = running.stack.gateway
    return Nexpo({"NEXPO_ADDRESS": gateway.grpc_address, "NEXPO_API_KEY": running.stack.api_key})
