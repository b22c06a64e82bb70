"""Logs: one JSON object a line, with trace, tenant and workflow ids; no payloads, no secrets.

Everything that uses the standard library's logging (temporalio, grpc, asyncpg,
uvicorn, ...) goes the same way. Text of exceptions may hold data, so it is
written at level DEBUG only; their types and places always.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TypeGuard
from urllib.parse import urlsplit

import structlog
from google.protobuf.message import Message
from opentelemetry import trace
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

from ..settings import Settings

REDACTED = "[redacted]"
_SECRET_NAME = re.compile(
    r"passw|secret|token|authorization|api_?key|private_?key|service_key|credential|cookie|email",
    re.IGNORECASE,
)
_LONGEST = 4000
_FIRST = ("timestamp", "level", "event", "service")
_QUIET = (
    "asyncio",
    "azure",
    "botocore",
    "hpack",
    "httpcore",
    "httpx",
    "httpx2",
    "pymongo",
    "uvicorn",
)
"""Libraries whose INFO is nobody's information."""

_TEMPORAL_FIELDS = ("workflow_id", "run_id", "workflow_type", "activity_type", "attempt")
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(settings: Settings) -> None:
    """Sets up structlog and the standard library's logging for this process."""
    debug = settings.log_level == "DEBUG"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Origin(settings.service),
        _add_trace,
        _lift_temporal_fields,
        _SafeExceptions(with_text=debug),
        Redactor(_secrets(settings)),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _in_order,
                _renderer(sys.stderr.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    _quieten(settings)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; its fields are keyword arguments: `log.info("ready", queue=queue)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextlib.contextmanager
def bound(**fields: str | int) -> Iterator[None]:
    """Puts the fields on every line logged inside the block, by this task and its own."""
    # structlog's own bound_contextvars walks all of the context first.
    tokens = structlog.contextvars.bind_contextvars(**fields)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


class Redactor:
    """Drops secrets from a log line, by the name of the field and by their value.

    Args:
        secrets: Values that never appear, wherever they stand.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        longest_first = sorted({s for s in secrets if len(s) >= 8}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """The processor: redacts every field of the line."""
        return {
            name: value if name.startswith("_") else self._clean(name, value)
            for name, value in event.items()
        }

    def _clean(self, name: str, value: object) -> object:
        if _SECRET_NAME.search(name) and not isinstance(value, bool | int | float | None):
            return REDACTED
        match value:
            case str():
                return self._pattern.sub(REDACTED, value)[:_LONGEST]
            case bool() | int() | float() | None:
                return value
            case Message():
                return f"<{value.DESCRIPTOR.full_name}>"
            case bytes():
                return f"<{len(value)} bytes>"
            case Mapping():
                return {str(key): self._clean(str(key), part) for key, part in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._clean(name, part) for part in value]
            case BaseException():
                return type(value).__qualname__
            case _:
                return self._pattern.sub(REDACTED, str(value))[:_LONGEST]


class _Origin:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


class _SafeExceptions:
    """Replaces exc_info by the exceptions' types and places, innermost last."""

    def __init__(self, with_text: bool) -> None:
        self._with_text = with_text

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        info = event.pop("exc_info", None)
        if info is True:
            info = sys.exc_info()
        elif isinstance(info, BaseException):
            info = (type(info), info, info.__traceback__)
        if _is_exc_info(info):
            event["exception"] = self._chain(info[1])
        return event

    def _chain(self, error: BaseException) -> list[str]:
        lines: list[str] = []
        seen: set[int] = set()
        current: BaseException | None = error
        while current is not None and id(current) not in seen:
            seen.add(id(current))
            frames = traceback.extract_tb(current.__traceback__)[-8:]
            places = " > ".join(
                f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames
            )
            text = f": {current}" if self._with_text else ""
            lines.append(
                f"{type(current).__module__}.{type(current).__qualname__}{text} at {places}"
            )
            hidden = current.__suppress_context__
            current = current.__cause__ or (None if hidden else current.__context__)
        return lines


def _is_exc_info(info: object) -> TypeGuard[_ExcInfo]:
    return isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException)


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """What a person looks for first stands first."""
    return {**{name: event[name] for name in _FIRST if name in event}, **event}


def _add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def _lift_temporal_fields(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The SDK's loggers carry workflow and activity ids in one dictionary each."""
    for extra in ("temporal_workflow", "temporal_activity"):
        details = event.pop(extra, None)
        if isinstance(details, Mapping):
            for name in _TEMPORAL_FIELDS:
                if details.get(name):
                    event.setdefault(name, details[name])
            event.setdefault("run_id", details.get("workflow_run_id", ""))
    for name in [name for name in event if name.startswith(("temporal_", "__temporal"))]:
        del event[name]
    return event


def _secrets(settings: Settings) -> list[str]:
    """Every secret value, and the parts of it that may stand alone."""
    found: list[str] = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            password = urlsplit(secret).password if "://" in secret else None
            found += [secret, password or ""]
            if "://" not in secret:
                found += [part.rpartition(":")[2].strip() for part in secret.split(",")]
    return found


def _renderer(terminal: bool) -> Processor:
    if terminal:
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer(sort_keys=False)


def _is_no_retried_call(record: logging.LogRecord) -> bool:
    """While Temporal is away every poller says so, again and again; the link says it once."""
    return not record.getMessage().startswith("gRPC call ")


def _is_no_failed_activity(record: logging.LogRecord) -> bool:
    """A failed call is told by invocation.py, with its reason; one that never got there, here."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, ApplicationError) and error.type == "NotFoundError":
        record.msg = "this worker has no such activity: it is older than the contract"
        return True
    return not hasattr(record, "__temporal_error_identifier")


def _quieten(settings: Settings) -> None:
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    logging.getLogger("temporalio").setLevel(settings.temporal_log_level)
    logging.getLogger("temporalio.core").addFilter(_is_no_retried_call)
    logging.getLogger("temporalio.activity").addFilter(_is_no_failed_activity)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A workflow that leaves the cache closes its spans in another context: harmless, and often.
    logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
