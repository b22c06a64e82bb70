"""Compiles echo.proto into the process, as `make generate` does for what is released."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Protocol, cast

from google.protobuf import descriptor_pb2, descriptor_pool, symbol_database
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from grpc_tools import protoc

from nexpo import modules, registry

PACKAGE = "nexpo.bench.v1"
QUEUE = "nexpo-gateway"
"""As of every operation of the house: the gateway runs their workflows."""
_FILE = "echo.proto"


class Text(Protocol):
    """A message that has a text."""

    text: str


def _compiled() -> bytes:
    """The file's descriptor; what it imports comes from the process itself."""
    imports = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in seen:
            seen.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            file.CopyToProto(imports.file.add())

    for file in modules.FILES:
        add(file)
    with tempfile.TemporaryDirectory() as folder:
        known, compiled = Path(folder, "imports"), Path(folder, "compiled")
        known.write_bytes(imports.SerializeToString())
        arguments = [f"-I{Path(__file__).parent}", f"--descriptor_set_in={known}"]
        code = protoc.main(["protoc", *arguments, f"--descriptor_set_out={compiled}", _FILE])
        if code != 0:
            raise RuntimeError(f"{_FILE} does not compile")
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    return files.file[0].SerializeToString()


descriptor_pool.Default().AddSerializedFile(_compiled())
FILE = descriptor_pool.Default().FindFileByName(_FILE)
SERVICE = FILE.services_by_name["BenchService"]
for _name in FILE.message_types_by_name:
    # As a generated module does on import: Temporal's converter looks here.
    symbol_database.Default().RegisterMessage(registry.message_class(f"{PACKAGE}.{_name}"))


def kind(name: str) -> type[Message]:
    """A message type of the contract."""
    return registry.message_class(f"{PACKAGE}.{name}")


def text_of(message: Message) -> str:
    """The message's text."""
    return cast(Text, message).text
