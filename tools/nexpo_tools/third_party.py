"""Lays out the protos of others that the contract imports, as text, in one folder.

They come out of the installed wheels, so `make generate` needs no network and no
registry of protos.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from protovalidate._gen.buf.validate import validate_pb

from nexpo_tools.proto_text import print_proto

# Their paths below the folder, and in the wheel of googleapis-common-protos.
GOOGLE = {
    "google/api/annotations.proto": "google/api/annotations.proto",
    "google/api/client.proto": "google/api/client.proto",
    "google/api/field_behavior.proto": "google/api/field_behavior.proto",
    "google/api/http.proto": "google/api/http.proto",
    "google/api/launch_stage.proto": "google/api/launch_stage.proto",
    # The wheel renames the file, not what is in it.
    "google/longrunning/operations.proto": "google/longrunning/operations_proto.proto",
    "google/rpc/code.proto": "google/rpc/code.proto",
    "google/rpc/error_details.proto": "google/rpc/error_details.proto",
    "google/rpc/status.proto": "google/rpc/status.proto",
}
VALIDATE = "buf/validate/validate.proto"


def lay_out(folder: Path) -> None:
    """Writes the protos below `folder`; what is right already stays untouched.

    Others may be reading the folder at the same time.
    """
    wheel = metadata.distribution("googleapis-common-protos")
    texts = {
        name: Path(str(wheel.locate_file(source))).read_text(encoding="utf-8")
        for name, source in GOOGLE.items()
    }
    texts[VALIDATE] = validate_text()
    for name, text in texts.items():
        target = folder / name
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)


def validate_descriptor() -> descriptor_pb2.FileDescriptorProto:
    """The descriptor of validate.proto, out of protovalidate's wheel.

    Its file options are left out: they name packages of other languages, and
    buf's registry rewrites them. But for those it is validate.proto of
    protovalidate v1.2.0, compared with the text of its Go module.
    """
    proto = descriptor_pb2.FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary())
    proto.ClearField("options")
    return proto


def validate_text() -> str:
    """The text of validate.proto."""
    modules = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)
    dependencies = []
    for module in modules:
        dependency = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(dependency)
        dependencies.append(dependency)
    note = "// Printed from the descriptor in the wheel of protovalidate. Do not edit.\n"
    return note + print_proto(validate_descriptor(), dependencies)
