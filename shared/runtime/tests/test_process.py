"""A service as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nexpo_dev.pytest_plugin import TemporalAddress

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "shared.runtime.tests.sample_process"]


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "ENVIRONMENT": "test", "LOG_LEVEL": "INFO", **variables}


@contextmanager
def process(log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(
            COMMAND, cwd=ROOT, env=environment(**variables), stdout=output, stderr=output
        )
    try:
        yield running
    finally:
        running.kill()
        running.wait()


def wait_for(log: Path, event: str, within: float = 90) -> dict[str, object]:
    """The first line with the event, once it is there."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        for line in lines(log):
            if line["event"] == event:
                return line
        time.sleep(0.05)
    raise AssertionError(f"no line '{event}' in:\n{log.read_text()}")


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]


def test_it_says_at_start_what_it_is_and_ends_in_order_on_sigterm(
    temporal: TemporalAddress, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with process(log, TEMPORAL_ADDRESS=temporal.url, TEMPORAL_TASK_QUEUE="proc-") as running:
        starting = wait_for(log, "starting")
        assert starting["queue"] == "proc-sample"
        assert starting["providers"] == {"here": "on", "there": "off: ENABLE_THERE is false"}
        wait_for(log, "ready")
        running.send_signal(signal.SIGTERM)
        assert running.wait(90) == 0
    events = [line["event"] for line in lines(log)]
    assert events.index("not ready") < events.index("stopped")
    assert "Traceback" not in log.read_text()


def test_it_ends_in_order_while_temporal_is_away(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(log, TEMPORAL_ADDRESS="127.0.0.1:1") as running:
        wait_for(log, "temporal cannot be reached; trying again until it answers")
        running.send_signal(signal.SIGINT)
        assert running.wait(90) == 0
    assert "Traceback" not in log.read_text()
    away = [line for line in lines(log) if "cannot be reached" in str(line["event"])]
    assert len(away) == 1, "said once, not at every attempt"


def test_wrong_settings_are_all_listed_and_end_it_with_code_2() -> None:
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env=environment(ENABLE_TEMPORAL="perhaps", ENCRYPTION_KEYS="canary"),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2
    assert "ENABLE_TEMPORAL" in done.stderr
    assert "ENCRYPTION_KEYS" in done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named_and_ends_it_with_code_1(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            COMMAND,
            cwd=ROOT,
            env=environment(ENABLE_TEMPORAL="false", HTTP_ADDRESS=f"127.0.0.1:{port}"),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr
