"""Compiles kinds.proto into the process, as `make generate` would for a real service."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from grpc_tools import protoc

from nexpo import modules


@cache
def kinds_method() -> MethodDescriptor:
    """The method whose request has a field of every kind."""
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(_compiled(Path(__file__).parent / "kinds.proto"))
    method: MethodDescriptor = pool.FindServiceByName("nexpo.kinds.v1.KindService").methods[0]
    return method


def _compiled(proto: Path) -> bytes:
    """The file's descriptor; what it imports comes from the process itself."""
    known = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name not in seen:
            seen.add(file.name)
            for dependency in file.dependencies:
                add(dependency)
            file.CopyToProto(known.file.add())

    for file in modules.FILES:
        add(file)
    for name in ("any", "wrappers"):
        add(descriptor_pool.Default().FindFileByName(f"google/protobuf/{name}.proto"))
    with tempfile.TemporaryDirectory() as folder:
        imports, compiled = Path(folder, "imports"), Path(folder, "compiled")
        imports.write_bytes(known.SerializeToString())
        arguments = [
            "protoc",
            f"-I{proto.parent}",
            f"--descriptor_set_in={imports}",
            f"--descriptor_set_out={compiled}",
            proto.name,
        ]
        assert protoc.main(arguments) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    return files.file[0].SerializeToString()
