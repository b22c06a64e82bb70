"""`make demo`: starts everything, plays the acts, proves them, ends everything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import grpc.aio
from rich.console import Console
from rich.table import Table

from nexpo.client import NexpoError
from nexpo.users.v1.users_client import UserServiceClient
from nexpo_dev.ports import PortTakenError
from nexpo_dev.servers import StartError
from nexpo_dev.stack import Stack

from .acts import Act, BrokenPromise, Stage
from .picture import draw
from .screen import Screen, proof
from .witnesses import Testimony

# A dead worker shows by its time-outs; shorter ones keep the audience awake.
_SETTINGS = {"TIME_SCALE": "0.3"}

console = Console(highlight=False, soft_wrap=True)


async def main() -> int:
    """Plays. Returns the exit code: 1 when an act was not as promised."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=_home()))
    stack = Stack(
        folder,
        fault_proxies=["postgres"],
        settings=_SETTINGS,
        report=lambda line: console.print(f"  {line}", style="dim"),
    )
    try:
        console.print("[bold]Starting the embedded stack[/] (real servers, no Docker)")
        async with stack:
            acts = await _play(stack)
            seconds = time.monotonic() - begun
            _summary(acts, stack, seconds)
            _report(acts, stack, seconds)
            if picture := os.environ.get("DEMO_PICTURE"):
                draw(acts, seconds, Path(picture))
    except TimeoutError:
        return _failed(folder, "Something took too long.")
    except (BrokenPromise, StartError, PortTakenError, NexpoError) as error:
        return _failed(folder, str(error))
    except Exception as error:  # A stack trace is no answer to a user; the logs have the rest.
        return _failed(folder, f"{type(error).__name__}: {error}")
    finally:
        stack.remove()
    console.print("Everything that was started is gone.")
    return 0


async def _play(stack: Stack) -> list[Act]:
    acts: list[Act] = []
    metadata = [("authorization", f"Bearer {stack.api_key}")]
    async with grpc.aio.insecure_channel(stack.gateway.grpc_address) as channel:
        client = UserServiceClient(channel, metadata)
        stage = Stage(stack, client, Screen(console), console.print)
        plays = (
            ("Finishes", "ada@example.com", stage.finishes),
            ("Undoes", "ben@example.com", stage.undoes),
            ("Survives", "grace@example.com", stage.survives),
        )
        for number, (title, person, play) in enumerate(plays, 1):
            act = Act(title, person)
            acts.append(act)
            console.print(f"\n[bold]Act {number}: {title}[/] ({person})")
            begun = time.monotonic()
            await play(act)
            act.seconds = time.monotonic() - begun
            last = list(act.proofs.values())[-1]
            console.print(proof([_testimony(one) for one in last]))
    return acts


def _testimony(kept: dict[str, object]) -> Testimony:
    ids = kept["ids"]
    assert isinstance(ids, tuple)
    return Testimony(str(kept["store"]), ids, str(kept["state"]), 0)


def _summary(acts: list[Act], stack: Stack, seconds: float) -> None:
    table = Table(title="What happened", title_justify="left", title_style="bold")
    for name in ("act", "person", "ending", "seconds"):
        table.add_column(name)
    for act in acts:
        table.add_row(act.title, act.person, act.ending, f"{act.seconds:.1f}")
    console.print()
    console.print(table)
    console.print(f"Temporal's Web UI was at {stack.servers.temporal.ui_url}; `make up` keeps one.")
    console.print(f"All of it took {seconds:.1f} s.")


def _report(acts: list[Act], stack: Stack, seconds: float) -> None:
    if target := os.environ.get("DEMO_REPORT"):
        report = {
            "acts": [asdict(act) for act in acts],
            "temporal_ui": stack.servers.temporal.ui_url,
            "seconds": seconds,
        }
        Path(target).write_text(json.dumps(report, indent=2))


def _home() -> Path:
    home = Path("build")
    home.mkdir(exist_ok=True)
    return home


def _failed(folder: Path, why: str) -> int:
    console.print(f"\n[bold red]The demo failed.[/] {why}")
    _keep_logs(folder)
    return 1


def _keep_logs(folder: Path) -> None:
    """Puts the logs where the next look finds them."""
    kept = _home() / "demo-logs"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for log in folder.rglob("*.log"):
        shutil.copy(log, kept / f"{log.parent.name}-{log.name}")
    console.print(f"The logs are in {kept}.")


async def _until_stopped() -> int:
    """Runs `main`; SIGINT and SIGTERM end it in order."""
    playing = asyncio.create_task(main())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await playing
    console.print("\nInterrupted: everything that was started is gone.")
    return 130


if __name__ == "__main__":
    code = asyncio.run(_until_stopped())
    # The runtime of a client library may abort while the interpreter ends.
    sys.stdout.flush()
    os._exit(code)
