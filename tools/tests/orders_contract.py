"""The small contract of these tests: where it goes, and protoc over it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

ORDERS = "nexpo/orders/v1/orders.proto"

Plugin = Callable[..., plugin_pb2.CodeGeneratorResponse]


def compile_protos(folders: list[Path], files: list[str]) -> descriptor_pb2.FileDescriptorSet:
    """The files and all that they import, with comments, as protoc hands them to plugins."""
    output = folders[0] / "compiled.binpb"
    with resources.as_file(resources.files("grpc_tools") / "_proto") as well_known:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                *(f"-I{folder}" for folder in (*folders, well_known)),
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={output}",
                *files,
            ],
            check=True,
        )
    return descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
