"""The contract's registry, loaded without gRPC: help must not wait for what only calls need."""

from __future__ import annotations

import os
import sys
from types import ModuleType

# google.longrunning.operations_pb2 imports its gRPC stubs, and with them grpc and
# asyncio: half of the time that `nexpo --help` would take. Nobody here uses them.
sys.modules.setdefault(
    "google.longrunning.operations_grpc_pb2", ModuleType("google.longrunning.operations_grpc_pb2")
)

# gRPC reads this once, when it is imported; its own log is not for users.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from typing import cast  # noqa: E402

from buf.validate import validate_pb2  # noqa: E402
from google.protobuf.descriptor import Descriptor, FieldDescriptor  # noqa: E402
from google.protobuf.message import Message  # noqa: E402

from nexpo import registry  # noqa: E402
from nexpo.comments import COMMENTS  # noqa: E402
from nexpo.options.v1 import options_pb2  # noqa: E402

__all__ = [
    "comment",
    "descriptor_of",
    "is_secret",
    "mask_paths",
    "owner",
    "registry",
]

_SECRET = (options_pb2.SENSITIVE_HASH, options_pb2.SENSITIVE_DIGEST)


def comment(full_name: str) -> str:
    """What the proto says of a service, method, field or enum value; may be empty."""
    return COMMENTS.get(full_name, "")


def descriptor_of(message: Message) -> Descriptor:
    """The message's descriptor, which the stubs of protobuf type in two ways."""
    return cast(Descriptor, message.DESCRIPTOR)


def owner(field: FieldDescriptor) -> Descriptor:
    """The message that has the field."""
    return cast(Descriptor, field.containing_type)


def is_secret(field: FieldDescriptor) -> bool:
    """Whether the value is a password or a token: it must not be seen on a command line.

    What is merely personal (SENSITIVE_REDACT), such as an e-mail address, is typed.
    """
    return registry.sensitive(field) in _SECRET and not field.is_repeated


def mask_paths(field: FieldDescriptor) -> list[str]:
    """The paths that a field mask may name; empty when the contract does not say."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return list(getattr(rules.field_mask, "in"))
