"""The plugin's entry: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on stdout."""

from __future__ import annotations

import sys

from google.protobuf.compiler import plugin_pb2

from nexpo_tools.protoc_gen_nexpo.checks import check
from nexpo_tools.protoc_gen_nexpo.emit_python import emit_python
from nexpo_tools.protoc_gen_nexpo.emit_reference import emit_reference
from nexpo_tools.protoc_gen_nexpo.read import read_contract


def respond(request: plugin_pb2.CodeGeneratorRequest) -> plugin_pb2.CodeGeneratorResponse:
    """Answers one request of protoc.

    The parameter chooses what is made: nothing for the Python stubs,
    "reference" for the Markdown pages. What the contract must not say ends as
    the response's error, all of it at once.
    """
    response = plugin_pb2.CodeGeneratorResponse(
        supported_features=plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    contract = read_contract(request)
    problems = check(contract)
    if problems:
        response.error = "\n".join(["the contract is refused:", *map(str, problems)])
        return response
    emit = {"": emit_python, "reference": emit_reference}[request.parameter]
    for name, content in sorted(emit(contract).items()):
        response.file.add(name=name, content=content)
    return response


def main() -> None:
    """Entry point of protoc-gen-nexpo."""
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(respond(request).SerializeToString())


if __name__ == "__main__":
    main()
