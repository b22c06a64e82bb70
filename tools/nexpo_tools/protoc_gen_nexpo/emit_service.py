"""Emits <domain>_service.py: what a worker implements, one abstract class per service."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.model import File, Method, Service
from nexpo_tools.protoc_gen_nexpo.python_source import Module, call, summary


def emit_service(file: File) -> str | None:
    """The module's source; None when no worker serves anything of the file."""
    module = Module(file.name, f"What workers implement. {summary(file)}")
    written = False
    for service in file.services:
        activities, reads = service.of_kind("activity"), service.of_kind("read")
        if activities:
            _add_base(module, service, f"{service.name}Base", service.queue, activities)
        if reads:
            _add_base(module, service, f"{service.name}Reads", reads[0].rule.worker, reads)
        written = written or bool(activities or reads)
    return module.render() if written else None


def _add_base(
    module: Module, service: Service, name: str, queue: str, methods: list[Method]
) -> None:
    module.use("abc", "ABC", "abstractmethod")
    module.use("typing", "ClassVar")
    module.use("nexpo.contract", "Method", "ServiceContract")
    module.add("", f"class {name}(ABC):")
    module.add_doc(service.comment)
    table = ["("]
    for method in methods:
        arguments = [
            f'"{method.rpc}"',
            f'method="{method.snake}"',
            f"request={module.type_of(method.request)}",
            f"response={module.type_of(method.response)}",
            f'kind="{method.rule.kind}"',
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
        request, response = module.type_of(method.request), module.type_of(method.response)
        line = f"async def {method.snake}(self, request: {request}) -> {response}:"
        lines = [line]
        if len(line) > 92:
            lines = [
                f"async def {method.snake}(",
                f"    self, request: {request}",
                f") -> {response}:",
            ]
        module.add("")
        module.add("@abstractmethod", *lines, indent=1)
        module.add_doc(method.comment, indent=2)
    module.add("")
