"""Log lines are JSON, carry ids, and hold neither secrets nor payloads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PREAMBLE = """
import logging
from opentelemetry import trace
from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.telemetry import logs, tracing
from nexpo_runtime.settings import Settings
settings = Settings.load()
logs.configure(settings)
tracing.configure(settings)
log = logs.get("test")
"""


def lines_of(code: str, **environment: str) -> list[dict[str, object]]:
    """Runs the code in a process of its own: logging is the whole process's affair."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "ENVIRONMENT": "test", **environment},
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_has_time_level_service_and_the_bound_ids() -> None:
    [line] = lines_of(
        """
        with logs.bound(tenant="acme", workflow_id="w"), tracing.span("s"):
            log.info("hello", count=3)
        """
    )
    assert (line["event"], line["level"], line["count"]) == ("hello", "info", 3)
    assert (line["tenant"], line["workflow_id"], line["service"]) == ("acme", "w", "nexpo")
    assert len(str(line["trace_id"])) == 32
    assert len(str(line["span_id"])) == 16


def test_other_libraries_log_the_same_way() -> None:
    [line] = lines_of("logging.getLogger('asyncpg').warning('slow %s', 'query')")
    assert (line["event"], line["logger"], line["level"]) == ("slow query", "asyncpg", "warning")


def test_an_activity_that_the_worker_does_not_have_is_logged_and_one_that_failed_is_not() -> None:
    [line] = lines_of(
        """
        from temporalio.exceptions import ApplicationError
        for kind in ("NotFoundError", "EMAIL_TAKEN"):
            try:
                raise ApplicationError("canary", type=kind)
            except ApplicationError:
                logging.getLogger("temporalio.activity").warning(
                    "Completing activity as failed",
                    exc_info=True,
                    extra={"__temporal_error_identifier": "ActivityFailure"},
                )
        """
    )
    assert line["event"] == "this worker has no such activity: it is older than the contract"
    assert "canary" not in str(line)


def test_secrets_are_redacted_by_name_and_by_value() -> None:
    lines = lines_of(
        """
        log.info("a", password="canary", nested={"api_key": "canary", "fine": 1})
        log.info("b with canary-service-token in it", detail="x canary-service-token y")
        logging.getLogger("lib").warning("sent canary-service-token")
        """,
        SERVICE_TOKEN="canary-service-token",
    )
    assert len(lines) == 3
    assert "canary" not in json.dumps(lines)
    assert lines[0]["nested"] == {"api_key": "[redacted]", "fine": 1}


def test_messages_and_bytes_are_not_written() -> None:
    [line] = lines_of("log.info('m', user=User(email='canary@x.de'), raw=b'canary')")
    assert line["user"] == "<nexpo.users.v1.User>"
    assert "canary" not in json.dumps(line)


def test_an_exception_is_shown_by_type_and_place_and_its_text_only_at_debug() -> None:
    code = """
        try:
            try:
                raise KeyError("canary")
            except KeyError as error:
                raise RuntimeError("canary") from error
        except RuntimeError:
            log.exception("broke")
        """
    [line] = lines_of(code)
    assert "canary" not in json.dumps(line)
    exception = line["exception"]
    assert isinstance(exception, list)
    assert [part.split(" at ")[0] for part in exception] == [
        "builtins.RuntimeError",
        "builtins.KeyError",
    ]
    assert "canary" in json.dumps(lines_of(code, LOG_LEVEL="DEBUG"))


def test_the_log_level_is_respected() -> None:
    assert lines_of("log.info('no'); log.warning('yes')", LOG_LEVEL="WARNING")[0]["event"] == "yes"
