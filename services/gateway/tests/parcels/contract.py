"""Compiles parcels.proto into the process, as `make generate` would for a real service."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, symbol_database
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc

from nexpo import modules, registry
from nexpo_gateway.contract import Contract, rpcs_of

PACKAGE = "nexpo.parcels.v1"
_FILE = "parcels.proto"


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
    add(descriptor_pool.Default().FindFileByName("google/protobuf/wrappers.proto"))
    with tempfile.TemporaryDirectory() as folder:
        known, compiled = Path(folder, "imports"), Path(folder, "compiled")
        known.write_bytes(imports.SerializeToString())
        arguments = [
            "protoc",
            f"-I{Path(__file__).parent}",
            f"--descriptor_set_in={known}",
            f"--descriptor_set_out={compiled}",
            _FILE,
        ]
        assert protoc.main(arguments) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    return files.file[0].SerializeToString()


descriptor_pool.Default().AddSerializedFile(_compiled())
FILE = descriptor_pool.Default().FindFileByName(_FILE)
SERVICE = FILE.services_by_name["ParcelService"]
for _name in FILE.message_types_by_name:
    # As a generated module does on import: Temporal's converter looks here.
    symbol_database.Default().RegisterMessage(registry.message_class(f"{PACKAGE}.{_name}"))


def message(name: str, **fields: object) -> Any:
    """A message of the contract."""
    return registry.message_class(f"{PACKAGE}.{name}")(**fields)


def with_parcels() -> Contract:
    """The installed contract and parcels."""
    return Contract([*Contract.load().rpcs, *rpcs_of(SERVICE)])
