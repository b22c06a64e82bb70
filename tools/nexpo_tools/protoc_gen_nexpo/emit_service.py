"""Emits <domain>_service.py: what a service implements, one abstract class per contract service."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.model import GATEWAY, File, Method, Service
from nexpo_tools.protoc_gen_nexpo.python_source import Module, call, summary


def emit_service(file: File) -> str | None:
    """The module's source; None when no worker serves anything of the file."""
    module = Module(file.name, f"What services implement. {summary(file)}")
    written = False
    for service in file.services:
        activities, reads = service.of_kind("activity"), service.of_kind("read")
        natives = service.of_kind("native")
        if activities:
            _add_base(module, service, f"{service.name}Base", service.queue, activities)
        if reads:
            _add_base(module, service, f"{service.name}Reads", reads[0].rule.worker, reads)
        if natives:
            _add_base(module, service, f"{service.name}Natives", GATEWAY, natives)
        written = written or bool(activities or reads or natives)
    return module.render() if written else None


def _add_base(
    module: Module, service: Service, name: str, queue: str, methods: list[Method]
) -> None:
    module.use("abc", "ABC", "abstractmethod")
    module.use("typing", "ClassVar")
    module.use("nexpo.contract", "Method", "ServiceContract")
    native = methods[0].rule.kind == "native"
    if native:
        # Who calls, and how, is the gateway's own type.
        module.use("typing", "Generic")
        module.use("nexpo.contract", "CallT_contra")
    module.add("", f"class {name}({'ABC, Generic[CallT_contra]' if native else 'ABC'}):")
    module.add_doc(service.comment)
    table = ["("]
    for method in methods:
        arguments = [
            f'"{method.rpc}"',
            f'method="{method.snake}"',
            f"request={module.type_of(method.request)}",
            f"response={module.type_of(method.response)}",
            f'kind="{method.rule.kind}"',
            *(["streams=True"] if method.streaming else []),
        ]
        table += [f"    {line}" for line in call("Method", arguments, ",")]
    arguments = [
        f'name="{service.full_name}"',
        f'queue="{queue}"',
        "methods=" + "\n".join([*table, ")"]),
    ]
    module.add("")
    module.add(*call("CONTRACT: ClassVar[ServiceContract] = ServiceContract", arguments), indent=1)
    for method in methods:
        _add_method(module, method)
    module.add("")


def _add_method(module: Module, method: Method) -> None:
    request, response = module.type_of(method.request), module.type_of(method.response)
    parameters = f"self, request: {request}"
    if method.rule.kind == "native":
        parameters += ", call: CallT_contra"
    head = f"async def {method.snake}"
    if method.streaming:
        module.use("collections.abc", "AsyncIterator")
        head, response = head.removeprefix("async "), f"AsyncIterator[{response}]"
    lines = [f"{head}({parameters}) -> {response}:"]
    if len(lines[0]) > 92:
        lines = [f"{head}(", f"    {parameters}", f") -> {response}:"]
    module.add("")
    module.add("@abstractmethod", *lines, indent=1)
    module.add_doc(method.comment, indent=2)
