"""One trace from client to activity, and the SDK's metrics.

Traces go by OTLP/gRPC to OTEL_EXPORTER_OTLP_ENDPOINT; without it nothing is
recorded, but trace ids still travel and stand in the logs.

Sources: W3C Trace Context; OpenTelemetry trace specification.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
from collections.abc import Iterator, Mapping

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.contrib.opentelemetry import (
    OpenTelemetryPlugin,
    ReplaySafeTracerProvider,
    create_tracer_provider,
)
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from ..settings import Settings

_PROPAGATOR = TraceContextTextMapPropagator()
_FLUSH_SECONDS = 3.0
# Made once: it becomes the real one when `configure` has set the provider.
_TRACER = trace.get_tracer("nexpo")
_IDS = RandomIdGenerator()
_ids_only = False
_flushing: threading.Thread | None = None

_log = logging.getLogger(__name__)


def configure(settings: Settings) -> None:
    """Sets up tracing for this process; once more has no effect."""
    if isinstance(trace.get_tracer_provider(), ReplaySafeTracerProvider):
        return
    endpoint = settings.otel_exporter_otlp_endpoint
    global _ids_only
    _ids_only = not endpoint
    provider = create_tracer_provider(
        sampler=sampling.DEFAULT_ON if endpoint else sampling.ALWAYS_OFF,
        resource=Resource.create(
            {
                "service.name": settings.service,
                "service.instance.id": socket.gethostname(),
                "deployment.environment.name": settings.environment.value,
            }
        ),
        shutdown_on_exit=False,
    )
    if endpoint:
        # Its import costs 100 ms, so only those who use it pay.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(
            endpoint=endpoint, insecure=not endpoint.startswith("https://"), timeout=3
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
    # The SDK asks for its tracer at every call, and making one takes as long as a span.
    provider.get_tracer = functools.cache(provider.get_tracer)  # type: ignore[method-assign]
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Sends what is recorded; waits 3 s at most, and never again for a silent collector."""
    global _flushing
    provider = trace.get_tracer_provider()
    if not isinstance(provider, ReplaySafeTracerProvider):
        return
    if _flushing is not None and _flushing.is_alive():
        return
    # The SDK takes a time-out and does not keep to it: it waits for one batch after the other.
    _flushing = threading.Thread(target=provider.force_flush, name="flush-traces", daemon=True)
    _flushing.start()
    _flushing.join(_FLUSH_SECONDS)
    if _flushing.is_alive():
        _log.warning("the last traces are lost: the collector does not take them")


def temporal_plugin() -> OpenTelemetryPlugin:
    """Spans for every call of Temporal, handed on through its headers; for a client."""
    return OpenTelemetryPlugin(add_temporal_spans=True)


def outgoing() -> list[tuple[str, str]]:
    """gRPC metadata that carries the current span."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return list(carrier.items())


def incoming(metadata: Mapping[str, str]) -> Context:
    """The caller's span, from gRPC metadata or HTTP headers with names in lower case."""
    return _PROPAGATOR.extract(dict(metadata), Context())


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: Context | None = None,
    **attributes: str | int,
) -> contextlib.AbstractContextManager[Span]:
    """A span around the block; an exception marks it with its type, never with its text."""
    if _ids_only:
        return _Unrecorded(parent)
    return _recorded(name, kind, parent, attributes)


@contextlib.contextmanager
def _recorded(
    name: str, kind: SpanKind, parent: Context | None, attributes: Mapping[str, str | int]
) -> Iterator[Span]:
    with _TRACER.start_as_current_span(
        name,
        context=parent,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            raise


class _Unrecorded:
    """A span that nobody records: only its ids, which travel on and stand in the logs.

    The tracer makes the same of it at ten times the cost.
    """

    def __init__(self, parent: Context | None) -> None:
        self._parent = parent

    def __enter__(self) -> Span:
        above = trace.get_current_span(self._parent).get_span_context()
        ids = trace.SpanContext(
            above.trace_id if above.is_valid else _IDS.generate_trace_id(),
            _IDS.generate_span_id(),
            is_remote=False,
            trace_state=above.trace_state,
        )
        current = trace.NonRecordingSpan(ids)
        self._token = context.attach(trace.set_span_in_context(current))
        return current

    def __exit__(self, *error: object) -> None:
        context.detach(self._token)


def trace_id() -> str:
    """The current trace's id in hex, or "" outside of one; what a user reports."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def temporal_runtime(settings: Settings) -> Runtime:
    """The SDK's runtime of this process: its metrics and its log lines."""
    return _runtime(settings.service, settings.temporal_log_level)[0]


def sdk_metrics_port(settings: Settings) -> int:
    """Port on 127.0.0.1 where the SDK shows its metrics; /metrics includes them."""
    return _runtime(settings.service, settings.temporal_log_level)[1]


@functools.cache
def _runtime(service: str, level: str) -> tuple[Runtime, int]:
    core_level = {"WARNING": "WARN"}.get(level, level)
    port = _free_port()
    config = TelemetryConfig(
        logging=LoggingConfig(
            filter=TelemetryFilter(core_level=core_level, other_level="ERROR"),
            forwarding=LogForwardingConfig(
                logger=logging.getLogger("temporalio.core"),
                append_target_to_name=False,
                prepend_target_on_message=False,
                append_log_fields_to_message=False,
            ),
        ),
        metrics=PrometheusConfig(
            bind_address=f"127.0.0.1:{port}",
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        ),
        global_tags={"service_name": service},
        attach_service_name=False,
    )
    return Runtime(telemetry=config), port


def _free_port() -> int:
    # The SDK cannot tell which port it got, so port 0 is of no use.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
