"""Emits <domain>_temporal.py: what a workflow imports. Nothing of Temporal or gRPC in it."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.model import (
    ANY_OPERATION,
    Contract,
    File,
    Method,
    Service,
    snake_case,
)
from nexpo_tools.protoc_gen_nexpo.python_source import Module, call, duration, summary


def emit_temporal(file: File, contract: Contract) -> str | None:
    """The module's source; None when the file has nothing for workflows."""
    module = Module(file.name, f"Stubs for workflows. {summary(file)}")
    written = False
    for service in file.services:
        if service.of_kind("activity"):
            _add_activities(module, service)
            written = True
        for start in service.of_kind("start"):
            _add_workflow(module, service, start, contract)
            written = True
    common = [m for s in file.services for m in s.methods if m.rule.of == ANY_OPERATION]
    if common:
        _add_common_handlers(module, common)
        written = True
    return module.render() if written else None


def _add_activities(module: Module, service: Service) -> None:
    module.use("nexpo.contract", "Activity", "Retry")
    module.use("datetime", "timedelta")
    module.use("typing", "Final")
    module.add("", f"class {service.name}:")
    module.add_doc(service.comment)
    module.add("", "    __slots__ = ()")
    for method in service.of_kind("activity"):
        rule = method.rule
        arguments = [
            f'"{method.rpc}"',
            f'queue="{service.queue}"',
            f"request={module.type_of(method.request)}",
            f"response={module.type_of(method.response)}",
            f"start_to_close={duration(rule.start_to_close)}",
        ]
        if rule.heartbeat:
            arguments.append(f"heartbeat={duration(rule.heartbeat)}")
        arguments.append(f"retry=Retry.RETRY_{rule.retry}")
        module.add("")
        module.add(*call(f"{method.snake}: Final = Activity", arguments), indent=1)
        module.add_doc(method.comment)
    module.add("", "", f"{snake_case(service.name)}: Final = {service.name}()", "")


def _add_workflow(module: Module, service: Service, start: Method, contract: Contract) -> None:
    response = contract.result_of(start)
    rule = start.rule
    handlers = service.handlers_of(start)
    module.use("nexpo.contract", "WorkflowContract")
    module.use("typing", "Final", "Protocol")
    module.add("", f"class {start.name}Workflow(Protocol):")
    module.add_doc(start.comment)
    module.add("")
    _add_shape(module, "async def execute", module.type_of(start.request), module.type_of(response))
    module.add_doc("Runs the operation to its end.", indent=2)
    for handler in handlers:
        kind = handler.rule.kind
        # Temporal calls a query without awaiting it, and a signal answers nothing.
        head = f"{'def' if kind == 'query' else 'async def'} {handler.snake}"
        answer = "None" if kind == "signal" else module.type_of(handler.response)
        module.add("")
        _add_shape(module, head, module.type_of(handler.request), answer)
        module.add_doc(handler.comment, indent=2)
    arguments = [
        f'name="{start.rpc}"',
        f'queue="{rule.queue}"',
        f"request={module.type_of(start.request)}",
        f"response={module.type_of(response)}",
    ]
    if rule.deadline:
        module.use("datetime", "timedelta")
    arguments.append(f"deadline={duration(rule.deadline) if rule.deadline else None}")
    if handlers:
        arguments.append("handlers=" + _handlers(module, handlers))
    if rule.needs_temporal:
        arguments.append("needs_temporal=True")
    arguments.append(f'id="{rule.id}"')
    head = f"{start.name}Contract: Final = WorkflowContract[{start.name}Workflow]"
    module.add("", "", *call(head, arguments))
    module.add_doc(start.comment, indent=0)
    module.add("")


def _add_shape(module: Module, head: str, request: str, response: str) -> None:
    line = f"{head}(self, request: {request}, /) -> {response}:"
    if len(line) <= 92:
        module.add(line, indent=1)
        return
    module.add(f"{head}(", f"    self, request: {request}, /", f") -> {response}:", indent=1)


def _handlers(module: Module, methods: list[Method]) -> str:
    module.use("nexpo.contract", "Handler")
    lines = ["("]
    for method in methods:
        arguments = [
            f'"{method.rpc}"',
            f'method="{method.snake}"',
            f'kind="{method.rule.kind}"',
            f"request={module.type_of(method.request)}",
            f"response={module.type_of(method.response)}",
        ]
        lines += [f"    {line}" for line in call("Handler", arguments, ",")]
    return "\n".join([*lines, ")"])


def _add_common_handlers(module: Module, methods: list[Method]) -> None:
    module.use("typing", "Final")
    source = f"COMMON_HANDLERS: Final = {_handlers(module, methods)}"
    module.add("", *source.splitlines())
    module.add_doc("What every operation handles; the runtime's Operation serves them.", indent=0)
    module.add("")
