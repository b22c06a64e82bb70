"""Checks what the options say of services and methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from nexpo_tools.protoc_gen_nexpo.model import (
    ANY_OPERATION,
    LONG_RUNNING,
    PROGRESS,
    PUBLIC,
    Contract,
    Method,
    Problem,
    Service,
)

_PERMISSION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_ID_SCALARS = {"string", "int32", "int64", "uint32", "uint64", "sint32", "sint64"}


def check_rules(contract: Contract) -> Iterator[Problem]:
    """Problems of every service and method."""
    for service in contract.services():
        for advice in _service(service):
            yield Problem(service.place, service.full_name, advice)
        for method in service.methods:
            for advice in _method(method, service, contract):
                yield Problem(method.place, f"{service.name}.{method.name}", advice)


def _service(service: Service) -> Iterator[str]:
    activities = service.of_kind("activity")
    others = [m for m in service.methods if m.rule.kind not in ("activity", "missing")]
    if activities and not service.queue:
        yield "has activities but no queue; add option (nexpo.options.v1.queue)"
    if service.queue and others:
        names = ", ".join(m.name for m in others)
        yield f"has a queue, so only activities may stand in it; move {names}"
    workers = sorted({m.rule.worker for m in service.of_kind("read")})
    if len(workers) > 1:
        yield f"reads of one service need one worker, not {', '.join(workers)}; split the service"


def _method(method: Method, service: Service, contract: Contract) -> Iterator[str]:
    if method.rule.kind == "missing":
        yield "has no rule; add option (nexpo.options.v1.rule)"
        return
    yield from _request_size(method, contract)
    if method.rule.kind != "activity":
        yield from _permission(method, service)
        yield from _http(method, contract)
    if method.rule.kind in ("read", "native", "activity"):
        yield from _unprotected(method, contract)
    if method.streaming and method.rule.kind != "native":
        yield "streams; only a native method may"
    checks = _CHECKS.get(method.rule.kind)
    if checks is not None:
        yield from checks(method, service, contract)


def _unprotected(method: Method, contract: Contract) -> Iterator[str]:
    """Secrets that nothing would replace, because only operations record their requests."""
    found, messages = {method.request.full_name}, [method.request]
    for message in messages:  # grows meanwhile
        for field in message.fields.values():
            if field.sensitive in ("HASH", "DIGEST"):
                yield (
                    f"{message.local_name}.{field.name} is replaced only on its way to an"
                    f" operation, never for {method.rule.kind}; use SENSITIVE_REDACT"
                )
            inner = contract.messages.get(field.type_name)
            if inner is not None and inner.full_name not in found:
                found.add(inner.full_name)
                messages.append(inner)


def _request_size(method: Method, contract: Contract) -> Iterator[str]:
    size, largest = method.max_request_bytes, contract.limits.get("largest_request_bytes", 0)
    if size and method.rule.kind == "activity":
        yield "an activity is called by workflows only; remove its max_request_bytes"
    elif not 0 <= size <= largest:
        yield (
            f"max_request_bytes is {size}; it may be 1 to {largest}, because a workflow hands its"
            " input on several times in one step, for which Temporal has a limit"
        )


def _permission(method: Method, service: Service) -> Iterator[str]:
    if not method.permission:
        yield (
            f'has no permission; add option (nexpo.options.v1.permission), "{PUBLIC}" for everybody'
        )
    elif method.permission != PUBLIC and not _PERMISSION.fullmatch(method.permission):
        yield (
            f'permission "{method.permission}" is neither "{PUBLIC}" nor'
            ' of the form "users.create"; correct it'
        )
    elif method.permission != PUBLIC:
        # A credential is given "users.*": what is spelled otherwise is never granted by it.
        domain = service.full_name.split(".")[-3]
        if not method.permission.startswith(f"{domain}."):
            yield (
                f'permission "{method.permission}" does not begin with "{domain}.", its package\'s'
                " domain; correct it"
            )


def _http(method: Method, contract: Contract) -> Iterator[str]:
    for _, path in method.http:
        for variable in re.findall(r"\{([^{}=]+)(?:=[^{}]*)?\}", path):
            if not _reaches_scalar(method, variable, contract):
                yield (
                    f'path "{path}" names "{variable}", which is no single field of'
                    f" {method.request.full_name}; correct the path or add the field"
                )


def _start(method: Method, service: Service, contract: Contract) -> Iterator[str]:
    rule = method.rule
    yield from _template(method, contract)
    yield from _text_field(method, "request_id")
    if not rule.queue:
        yield "start has no queue; name the task queue of its workflow"
    if bool(rule.deadline) == rule.endless:
        yield "start needs a deadline or endless: true, one of them; set it"
    yield from _call_timeout(method)
    if method.response.full_name != LONG_RUNNING:
        yield f"start returns {method.response.full_name}; return {LONG_RUNNING}"
    if not method.response_type:
        yield (
            "start has no response type;"
            " add option (google.longrunning.operation_info) with response_type"
        )
    elif method.response_type not in contract.messages:
        yield f'response_type "{method.response_type}" is no known message; correct or import it'
    elif method.metadata_type != PROGRESS:
        yield f'metadata_type is "{method.metadata_type}"; set it to "{PROGRESS}"'


def _template(method: Method, contract: Contract) -> Iterator[str]:
    template = method.rule.id
    if not template or not method.rule.template_fields:
        yield 'start has no id template over a field; set id, such as "{request_id}"'
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", template)):
        yield f'id template "{template}" has a brace without its partner; correct it'
    if "request_id" in method.rule.template_fields and template != "{request_id}":
        yield (
            f'id template "{template}" names request_id beside other text: a request_id names'
            ' one call by itself; write "{request_id}", or leave it out'
        )
    for path in method.rule.template_fields:
        if not _reaches_scalar(method, path, contract):
            yield (
                f'id template names "{path}", which is no single text or number field of'
                f" {method.request.full_name}; correct the template or add the field"
            )
        elif _is_sensitive(method, path, contract):
            yield (
                f'id template names "{path}", which is sensitive: ids are clear text;'
                " use an id or request_id"
            )


def _reaching(method: Method, service: Service, contract: Contract) -> Iterator[str]:
    rule = method.rule
    yield from _text_field(method, "operation")
    if rule.kind != "query":
        yield from _text_field(method, "request_id")
    yield from _call_timeout(method)
    starts = [m.name for m in service.of_kind("start")]
    if rule.of == ANY_OPERATION:
        if rule.kind != "update":
            yield f'{rule.kind} of "{ANY_OPERATION}" is not served; only an update may be'
    elif rule.of not in starts:
        known = ", ".join(starts) or "none"
        yield f'of names "{rule.of}", no start RPC of {service.name} ({known}); correct it'


def _read(method: Method, service: Service, contract: Contract) -> Iterator[str]:
    if not method.rule.worker:
        yield "read has no worker; name the task queue of the worker that owns the data"
    yield from _call_timeout(method)


def _activity(method: Method, service: Service, contract: Contract) -> Iterator[str]:
    rule = method.rule
    if method.permission:
        yield "an activity is called by workflows only; remove its permission"
    if method.http:
        yield "an activity is called by workflows only; remove its google.api.http"
    if not rule.start_to_close:
        yield "activity has no start_to_close; say how long one attempt may take"
    elif rule.heartbeat >= rule.start_to_close:
        yield "heartbeat is not shorter than start_to_close; shorten it or leave it out"
    key = method.request.fields.get("key")
    if key is not None and (key.scalar, key.shape) != ("string", "one"):
        yield f"key of {method.request.full_name} is no single string, as a step's key is; mend it"
    elif key is None and rule.retry == "FOREVER":
        yield (
            "activity is retried without end, so the same call again must find its own effect:"
            f" add a field string key to {method.request.full_name}"
        )


_CHECKS: dict[str, Callable[[Method, Service, Contract], Iterator[str]]] = {
    "start": _start,
    "update": _reaching,
    "signal": _reaching,
    "query": _reaching,
    "read": _read,
    "activity": _activity,
}


def _call_timeout(method: Method) -> Iterator[str]:
    if not method.rule.call_timeout:
        yield f"{method.rule.kind} has no call_timeout; say how long the RPC may take"


def _text_field(method: Method, name: str) -> Iterator[str]:
    field = method.request.fields.get(name)
    if field is None or field.scalar != "string" or field.shape != "one":
        yield (
            f"{method.rule.kind} needs a string field {name} in {method.request.full_name}; add it"
        )


def _reaches_scalar(method: Method, path: str, contract: Contract) -> bool:
    fields = contract.path(method.request, path)
    if fields is None or any(field.shape != "one" for field in fields):
        return False
    return fields[-1].scalar in _ID_SCALARS


def _is_sensitive(method: Method, path: str, contract: Contract) -> bool:
    return any(field.sensitive for field in contract.path(method.request, path) or ())
