"""How the vectors show bytes, messages and payloads."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

Vector = Mapping[str, Any]
"""One case: inputs and expected outputs, as JSON."""


def base64_of(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


def binary(message: Message) -> str:
    """A message's bytes as text; maps are sorted, so that the same message is the same text."""
    return base64_of(message.SerializeToString(deterministic=True))


def shown(payload: Payload) -> Vector:
    """A payload with its metadata as text."""
    metadata = {key: value.decode() for key, value in sorted(payload.metadata.items())}
    return {"metadata": metadata, "data": base64_of(payload.data)}
