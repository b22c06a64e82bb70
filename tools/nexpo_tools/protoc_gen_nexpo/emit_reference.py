"""Emits the reference pages: errors.md and operations.md."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.check_errors import CATALOGUE
from nexpo_tools.protoc_gen_nexpo.markdown import (
    HEAD,
    anchor,
    cell,
    duration,
    field_type,
    table,
)
from nexpo_tools.protoc_gen_nexpo.model import (
    ANY_OPERATION,
    PUBLIC,
    Contract,
    Enum,
    Field,
    Message,
    Method,
    Rule,
    Service,
)

_LIMITS = "nexpo.options.v1.ContentLimits"

_PROTECTION = {
    "REDACT": "Never logged or shown in an error.",
    "HASH": "Only its argon2id hash passes the gateway, as `{}`.",
    "DIGEST": "Only its SHA-256 passes the gateway, as `{}`.",
}


_ALWAYS = (
    "Besides, for every method:",
    "",
    "- Texts are Unicode without control characters. Tab, line feed and carriage return may stand",
    "  in fields that say so, and in the values of a Struct.",
    "- Numbers are finite. In a Struct they are doubles between the largest whole number and its",
    "  negative; -0 becomes 0.",
    "- Names in a Struct do not begin with `$`, which is MongoDB's own.",
    "- Times are from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z, durations at most",
    "  10,000 years, both with whole nanoseconds of one sign.",
    "- Enums have a value that the contract names.",
    "- E-mail addresses get one spelling: lower case, the domain in its ASCII form. UUIDs, too:",
    "  lower case, with hyphens, without braces or `urn:uuid:`.",
    "",
    "What breaks a limit is `INVALID_ARGUMENT`, what is too large `MESSAGE_TOO_LARGE`; both name",
    "the field.",
)


def emit_reference(contract: Contract) -> dict[str, str]:
    """The pages by their names."""
    pages = {"operations.md": _operations(contract)}
    if _LIMITS in contract.messages:
        pages["limits.md"] = _limits(contract)
    if CATALOGUE in contract.enums:
        pages["errors.md"] = _errors(contract.enums[CATALOGUE])
    return pages


def _errors(catalogue: Enum) -> str:
    lines = [
        HEAD,
        "# Errors",
        "",
        catalogue.comment,
        "",
        "Over gRPC a reason is the `reason` of a `google.rpc.ErrorInfo` of the domain `nexpo`;",
        "over REST the same stands in the error's JSON. Retryable means: the same call may",
        "succeed later without a change.",
        "",
    ]
    section = ""
    sections: list[tuple[str, list[list[str]]]] = []
    for value in catalogue.values:
        section = value.section or section
        if value.entry is None:
            continue
        code, retryable, hint = value.entry
        if not sections or sections[-1][0] != section:
            sections.append((section, []))
        name = value.name.removeprefix("REASON_")
        row = [f"`{name}`", value.comment, f"`{code}`", "yes" if retryable else "no", hint]
        sections[-1][1].append(row)
    for title, rows in sections:
        lines += [f"## {title.rstrip('.') or 'Reasons'}", ""]
        lines += table(["Reason", "Meaning", "gRPC code", "Retryable", "What to do"], rows)
    return "\n".join(lines).rstrip() + "\n"


def _limits(contract: Contract) -> str:
    message = contract.messages[_LIMITS]
    rows = [
        [f"`{name}`", f"{contract.limits.get(name, 0):,}", field.comment]
        for name, field in message.fields.items()
    ]
    own = [
        [f"`{method.rpc}`", f"{method.max_request_bytes:,}"]
        for service in contract.services()
        for method in service.methods
        if method.max_request_bytes
    ]
    lines = [HEAD, "# Limits of content", "", message.comment, ""]
    lines += table(["Limit", "Value", "Meaning"], rows)
    lines += [*_ALWAYS, ""]
    if own:
        lines += ["## Methods with a size of their own", "", *table(["Method", "Bytes"], own)]
    return "\n".join(lines).rstrip() + "\n"


def _operations(contract: Contract) -> str:
    services = list(contract.services())
    public = [s for s in services if not s.queue]
    activities = [s for s in services if s.queue]
    lines = [HEAD, "# Operations", "", "Every RPC, from the contract.", ""]
    for title, group in (("Users call", public), ("Workers do", activities)):
        names = ", ".join(f"[{s.name}](#{anchor(s.full_name)})" for s in group)
        lines.append(f"- {title}: {names or 'nothing'}")
    lines += ["- [Messages](#messages), [enums](#enums)", ""]
    for service in (*public, *activities):
        lines += _service(service, contract)
    return "\n".join([*lines, *_types(contract)]).rstrip() + "\n"


def _service(service: Service, contract: Contract) -> list[str]:
    lines = [f"## {service.full_name}", "", service.comment, ""]
    if service.queue:
        lines += [f"Activities on the task queue `{service.queue}`.", ""]
    for method in service.methods:
        lines += [f"### {method.name}", "", method.comment, ""]
        lines += table(["", ""], _facts(method, service, contract))
        lines += _fields("Request", method.request, contract)
        response = method.response
        if method.rule.kind == "start":
            response = contract.result_of(method)
        lines += _fields(
            "Result" if method.rule.kind == "start" else "Response", response, contract
        )
    return lines


def _facts(method: Method, service: Service, contract: Contract) -> list[list[str]]:
    rule = method.rule
    rows = [["HTTP", f"`{verb} {path}`"] for verb, path in method.http]
    rows.append(["gRPC", f"`/{method.service}/{method.name}`"])
    if method.permission:
        needed = "none" if method.permission == PUBLIC else f"`{method.permission}`"
        rows.append(["Permission", needed])
    rows.append(["Kind", _kind(rule)])
    if method.max_request_bytes:
        rows.append(["Largest request", f"{method.max_request_bytes:,} bytes"])
    if method.rule.kind == "start":
        handlers = ", ".join(f"`{m.name}`" for m in service.handlers_of(method))
        rows.append(["Workflow", f"`{method.rpc}` on `{rule.queue}`, id `{rule.id}`"])
        rows.append(["Reached by", handlers or "nothing else"])
    durations = (
        ("Deadline", rule.deadline),
        ("Call time-out", rule.call_timeout),
        ("Objective", rule.sla),
        ("One attempt", rule.start_to_close),
        ("Heartbeat", rule.heartbeat),
    )
    rows += [[name, duration(value)] for name, value in durations if value]
    if rule.kind == "activity":
        rows.append(["Retry", rule.retry.lower()])
    if rule.needs_temporal:
        rows.append(["Without Temporal", "not possible"])
    return rows


def _kind(rule: Rule) -> str:
    match rule.kind:
        case "start":
            return "Begins an operation" + (", without a deadline" if rule.endless else "")
        case "update" | "signal" | "query":
            target = "every operation" if rule.of == ANY_OPERATION else f"`{rule.of}`"
            verbs = {"update": "Reaches", "signal": "Signals", "query": "Asks"}
            return f"{verbs[rule.kind]} {target}"
        case "read":
            return f"Reads from the worker `{rule.worker}`"
        case "activity":
            return "Activity"
        case "native":
            return "Served by the gateway"
        case "missing":
            return ""


def _fields(title: str, message: Message, contract: Contract) -> list[str]:
    own = {file.name for file in contract.files}
    if message.file not in own:
        return [f"{title}: `{message.full_name}`.", ""]
    if not message.fields:
        return [f"{title}: nothing.", ""]
    if not _is_exchange(message):
        return [f"{title}: [{message.local_name}](#{anchor(message.full_name)}).", ""]
    return [f"{title}:", "", *_field_table(message, contract)]


def _field_table(message: Message, contract: Contract) -> list[str]:
    rows = [
        [f"`{field.name}`", field_type(field, contract), _about(field, message)]
        for field in message.fields.values()
    ]
    return table(["Field", "Type", "Meaning"], rows)


def _about(field: Field, message: Message) -> str:
    parts = [field.comment, _PROTECTION.get(field.sensitive, "").format(field.protected_as)]
    source = message.unprotected(field)
    if source:
        parts.append(f"Made of `{source}`; callers leave it out.")
    if field.multiline:
        parts.append("May have line breaks.")
    if field.search_attribute:
        parts.append(f"Search attribute `{field.search_attribute}`.")
    if field.rules:
        parts.append(f"Rules: `{cell(field.rules)}`.")
    return " ".join(part for part in parts if part)


def _types(contract: Contract) -> list[str]:
    own = {file.name for file in contract.files}
    shown = {
        message.full_name
        for service in contract.services()
        for method in service.methods
        for message in (method.request, method.response)
    }
    shown |= {m.response_type for s in contract.services() for m in s.of_kind("start")}
    lines = ["## Messages", ""]
    for name, message in sorted(contract.messages.items()):
        hidden = message.file not in own or (name in shown and _is_exchange(message))
        if hidden or "options" in message.package or _is_map(message):
            continue
        lines += [f"### {name}", "", message.comment, "", *_field_table(message, contract)]
    lines += ["## Enums", ""]
    for name, enum in sorted(contract.enums.items()):
        if enum.file not in own or name == CATALOGUE or "options" in enum.package:
            continue
        rows = [[f"`{v.name}`", str(v.number), v.comment] for v in enum.values]
        lines += [f"### {name}", "", enum.comment, "", *table(["Value", "Number", "Meaning"], rows)]
    return lines


def _is_exchange(message: Message) -> bool:
    """Whether the message is shown with its RPC, not among the shared ones."""
    return message.local_name.endswith(("Request", "Response"))


def _is_map(message: Message) -> bool:
    return message.full_name.endswith("Entry") and list(message.fields) == ["key", "value"]
