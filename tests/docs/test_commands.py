"""Every command of the documentation is run, or checked as far as it can be.

The comment before a block says how: `<!-- run: stack -->` is run, in order, against
one embedded stack; `make` names targets of the Makefile, whose effect other tests
show; `blocked` is run with an operation whose undo is blocked; `shape` needs a state
that is costly to make, so only its commands and flags are checked; `no` is not run, and
says why.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import grpc.aio
import pytest
import pytest_asyncio

from nexpo.operations.v1.operations_pb2 import Progress
from nexpo.users.v1.users_client import OnboardUserOperation, UserServiceClient
from nexpo.users.v1.users_pb2 import OnboardUserRequest
from nexpo_dev.stack import PREFERRED_PORTS, Stack

from .markdown import ROOT, RUNNABLE, Block, blocks, documents

README = Path("README.md")
_BIN = Path(sys.prefix) / "bin"
_PATIENCE = 180.0
_NOTHING: Mapping[str, str] = MappingProxyType({})

ALL = [block for file in documents() for block in blocks(file)]
MARKED = [block for block in ALL if block.language in RUNNABLE]
WITH_STACK = sorted({block.file for block in MARKED if block.how == "stack"})


def test_every_block_that_a_reader_would_run_says_how_it_is_tested() -> None:
    allowed = {"stack", "make", "blocked", "shape", "no"}
    unmarked = [b.where for b in MARKED if b.how not in allowed]
    assert unmarked == []
    # Of the README nothing is left out.
    assert [b.where for b in blocks(README) if b.how not in ("stack", "make", "")] == []
    assert any(b.how == "stack" for b in blocks(README))


def _commands(how: str) -> Iterator[tuple[Block, list[str]]]:
    for block in MARKED:
        if block.how == how:
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    yield block, words


def test_every_make_command_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [(b, words) for how in ("make", "shape") for b, words in _commands(how)]
    unknown = [
        f"{block.where}: {' '.join(words)}"
        for block, words in named
        if words[0] == "make" and not {w for w in words[1:] if "=" not in w} <= targets
    ]
    assert unknown == []
    assert {"demo", "test", "up", "down"} <= {
        word for block, words in named if block.file == README for word in words[1:]
    }


def test_the_demo_is_played_whole_by_a_test() -> None:
    others = [
        file for file in (ROOT / "tests").rglob("*.py") if file.parent != Path(__file__).parent
    ]
    assert any("nexpo_dev.demo" in file.read_text() for file in others)


def test_every_change_is_checked_by_the_commands_that_the_pages_name() -> None:
    assert re.findall(r"^make (\w+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE) == [
        "lint",
        "test",
    ]


def test_commands_that_need_a_rare_state_exist_with_their_flags() -> None:
    wrong = []
    for block, words in _commands("shape"):
        if words[0] == "make":
            continue
        if words[0] != "nexpo":
            wrong.append(f"{block.where}: only nexpo and make can be checked, not {words[0]}")
            continue
        group, command, *rest = words[1:]
        shown = subprocess.run(
            [_BIN / "nexpo", group, command, "--help"], capture_output=True, text=True, timeout=60
        )
        flags = {word.partition("=")[0] for word in rest if word.startswith("-")}
        missing = [flag for flag in flags if flag not in shown.stdout]
        if shown.returncode or missing:
            wrong.append(f"{block.where}: nexpo {group} {command} {missing} {shown.stderr}")
    assert wrong == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A stack where `make up` would put it, below the folder that the commands run in."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    # So that the undo that is blocked on purpose is a task at once.
    running = Stack(folder / "build/stack", settings={"TASK_AFTER": "1"})
    try:
        async with running:
            yield running
    finally:
        running.remove()


@pytest.mark.verify
@pytest.mark.timeout(400)
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("file", WITH_STACK, ids=str)
async def test_the_commands_of_the_page_work(file: Path, stack: Stack) -> None:
    own = [block for block in MARKED if block.file == file and block.how == "stack"]
    setup = [] if file == README else [_setup()]
    await _run([*setup, *own], stack)


@pytest.mark.verify
@pytest.mark.timeout(400)
@pytest.mark.asyncio(loop_scope="module")
async def test_the_commands_for_a_blocked_undo_work(stack: Stack) -> None:
    own = [block for block in MARKED if block.how == "blocked"]
    assert len({block.file for block in own}) == 1
    key = [("authorization", f"Bearer {stack.api_key}")]
    async with grpc.aio.insecure_channel(stack.gateway.grpc_address) as channel:
        request = OnboardUserRequest(
            email="blocked@example.com", display_name="Zoe", password="correct horse battery"
        )
        operation = await UserServiceClient(channel, key).onboard_user(request)
        await _in_state(operation, Progress.WAITING)
        await stack.servers.mongodb.kill()
        try:
            await operation.cancel()
            blocked = await _in_state(operation, Progress.UNDO_BLOCKED)
            [task] = blocked.tasks
            variables = {"OPERATION": operation.name, "TASK": task.task}
            await _run([_setup(), *own], stack, variables)
            assert (await operation.progress()).state == Progress.CANCELLED
        finally:
            await stack.servers.mongodb.start()


async def _in_state(operation: OnboardUserOperation, state: Progress.State.ValueType) -> Progress:
    async for progress in operation.watch(_PATIENCE):
        if progress.state == state:
            return progress
    raise AssertionError(f"the operation never was {Progress.State.Name(state)}")


async def _run(parts: list[Block], stack: Stack, variables: Mapping[str, str] = _NOTHING) -> None:
    """Runs the blocks as one script, in the folder where a checkout would be."""
    script = "set -euo pipefail\n" + "".join(_script(block) for block in parts)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        _addressed(script, stack),
        cwd=stack.folder.parents[1],
        env={"PATH": "/usr/bin:/bin", "HOME": str(stack.folder), "TERM": "dumb", **variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_PATIENCE):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-4000:]


def _setup() -> Block:
    """The README's block that sets the variables: every other page begins where it ends."""
    [block] = [b for b in blocks(README) if b.how == "stack" and "export NEXPO_API_KEY" in b.text]
    return block


def _script(block: Block) -> str:
    said = f"echo '--- {block.where}'\n"
    if block.language == "python":
        return f"{said}python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n"
    return said + block.text


def _addressed(script: str, stack: Stack) -> str:
    """The script with this stack's ports: the pages have those that `make up` prefers."""
    at = stack.servers
    ports = {
        "gateway": stack.gateway.port,
        "gateway gRPC": stack.gateway.grpc_port,
        "mailbox": at.mailbox.port,
        "temporal": at.temporal.port,
        "temporal UI": at.temporal.ui_port,
    }
    for name, port in ports.items():
        script = script.replace(f"127.0.0.1:{PREFERRED_PORTS[name]}", f"127.0.0.1:{port}")
    used = {int(found) for found in re.findall(r"127\.0\.0\.1:(\d+)", script)}
    assert used <= set(ports.values()), "an address is not one that `make up` prefers"
    return script
