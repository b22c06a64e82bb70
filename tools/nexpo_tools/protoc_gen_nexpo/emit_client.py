"""Emits <domain>_client.py: a typed asyncio client over the gateway's gRPC."""

from __future__ import annotations

from nexpo_tools.protoc_gen_nexpo.model import Contract, File, Method, Service
from nexpo_tools.protoc_gen_nexpo.python_source import (
    Module,
    call,
    parameter,
    parameter_name,
    summary,
)

# How long a call may take whose rule does not say it.
_DEFAULT_SECONDS = 10.0


def emit_client(file: File, contract: Contract) -> str | None:
    """The module's source; None when users can call nothing of the file."""
    services = [s for s in file.services if not s.queue]
    if not services:
        return None
    module = Module(file.name, f"Clients for users. {summary(file)}")
    for service in services:
        for start in service.of_kind("start"):
            _add_handle(module, service, start, contract)
        _add_client(module, service)
    return module.render()


def _add_client(module: Module, service: Service) -> None:
    module.use("grpc.aio", "Channel")
    module.use("nexpo.client", "Caller", "Metadata")
    module.add("", f"class {service.name}Client:")
    module.add_doc(
        f"{service.comment}\n\n"
        "Every call raises nexpo.client.NexpoError when it fails. Timeouts are seconds."
    )
    module.add("")
    module.add("def __init__(self, channel: Channel, metadata: Metadata = ()) -> None:", indent=1)
    module.add('"""Calls over `channel`; `metadata` goes with every call."""', indent=2)
    module.add("self._caller = Caller(channel, metadata)", indent=2)
    for method in service.methods:
        if method.streaming:
            _add_stream(module, method)
        elif method.rule.kind == "start":
            _add_start(module, method)
        else:
            _add_unary(module, method)
    module.add("")


def _seconds(method: Method) -> float:
    return method.rule.call_timeout / 1_000_000 or _DEFAULT_SECONDS


def _add_call(module: Module, head: str, method: Method) -> None:
    path = f'"/{method.service}/{method.name}"'
    arguments = [path, "request", module.type_of(method.response), "timeout"]
    module.add(*call(head, arguments), indent=2)


def _add_head(module: Module, head: str, parameters: list[str], result: str, comment: str) -> None:
    module.add("")
    module.add(f"{head}(", indent=1)
    module.add(f"    self, {', '.join(parameters)}", f") -> {result}:", indent=1)
    module.add_doc(comment, indent=2)


def _add_unary(module: Module, method: Method) -> None:
    request, response = module.type_of(method.request), module.type_of(method.response)
    parameters = [f"request: {request}", "*", f"timeout: float = {_seconds(method)}"]
    _add_head(module, f"async def {method.snake}", parameters, response, method.comment)
    _add_call(module, "return await self._caller.unary", method)


def _add_stream(module: Module, method: Method) -> None:
    module.use("collections.abc", "AsyncIterator")
    request, response = module.type_of(method.request), module.type_of(method.response)
    parameters = [f"request: {request}", "*", "timeout: float | None = None"]
    result = f"AsyncIterator[{response}]"
    _add_head(module, f"def {method.snake}", parameters, result, method.comment)
    _add_call(module, "return self._caller.stream", method)


def _add_start(module: Module, method: Method) -> None:
    handle = f"{method.name}Operation"
    parameters = [
        f"request: {module.type_of(method.request)}",
        "*",
        f"timeout: float = {_seconds(method)}",
    ]
    _add_head(module, f"async def {method.snake}", parameters, handle, method.comment)
    _add_call(module, "operation = await self._caller.unary", method)
    module.add(f"return {handle}(self._caller, operation.name)", indent=2)
    module.add("")
    module.add(f"def {method.snake}_operation(self, name: str) -> {handle}:", indent=1)
    module.add('"""An operation that began earlier, by its name."""', indent=2)
    module.add(f"return {handle}(self._caller, name)", indent=2)


def _add_handle(module: Module, service: Service, start: Method, contract: Contract) -> None:
    result = module.type_of(contract.result_of(start))
    module.use("nexpo.client", "Caller", "OperationHandle")
    module.add("", f"class {start.name}Operation(OperationHandle[{result}]):")
    module.add_doc(f"A running {start.name}.\n\n{start.comment}")
    module.add("")
    module.add("def __init__(self, caller: Caller, name: str) -> None:", indent=1)
    module.add('"""The operation of this name."""', indent=2)
    module.add(f"super().__init__(caller, name, {result})", indent=2)
    for handler in service.handlers_of(start):
        _add_handler(module, handler, contract)
    module.add("")


def _add_handler(module: Module, method: Method, contract: Contract) -> None:
    fields = [
        field
        for field in method.request.fields.values()
        if field.name != "operation" and not method.request.unprotected(field)
    ]
    parameters = ["*"]
    values = ["operation=self.name"]
    for field in fields:
        parameters.append(parameter(field, contract, module))
        values.append(f"{field.name}={parameter_name(field.name)}")
    parameters.append(f"timeout: float = {_seconds(method)}")
    response = module.type_of(method.response)
    is_signal = method.rule.kind == "signal"
    module.add("", f"    async def {method.snake}(", "        self,")
    module.add(*(f"{line}," for line in parameters), indent=2)
    module.add(f") -> {None if is_signal else response}:", indent=1)
    module.add_doc(method.comment, indent=2)
    module.add(f"request = {module.type_of(method.request)}(", indent=2)
    module.add(*(f"{value}," for value in values), indent=3)
    module.add(")", indent=2)
    _add_call(module, f"{'' if is_signal else 'return '}await self._caller.unary", method)
