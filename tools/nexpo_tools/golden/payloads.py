"""Messages as payloads, and payloads encrypted."""

from __future__ import annotations

import json
from collections.abc import Mapping

from google.protobuf import json_format
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

from nexpo import registry
from nexpo.health.v1.health_pb2 import CheckHealthResponse, ProbeResponse, QueueHealth
from nexpo.operations.v1.bound_calls_pb2 import BoundCall
from nexpo.operations.v1.operations_pb2 import Progress, Step
from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.temporal.codec import EncryptionCodec
from nexpo_runtime.temporal.converter import PayloadConverter
from nexpo_tools.golden.shown import Vector, base64_of, binary, shown

_KEYS = {"2026-10": bytes(range(32)), "2026-04": bytes(range(32, 64))}
_USER = User(user_id="u-1", email="ada@example.com", state=User.ACTIVE)
_USER.create_time.FromJsonString("2026-11-28T19:13:25.250Z")
_USER.profile.attributes.update({"tall": 1.5, "née": "Müller", "tags": ["a", None, True]})
_CALL = BoundCall(
    request_id="r-1", method="nexpo.users.v1.VerifyEmail", content={"token": b"\0\xff"}
)
_CALL.answer.Pack(ProbeResponse(service="nexpo-db"))
_LATENCY = CheckHealthResponse(healthy=True, queues=[QueueHealth(queue="nexpo-db", healthy=True)])
_LATENCY.queues[0].latency.FromMilliseconds(1500)
_PROGRESS = Progress(
    state=Progress.RUNNING,
    type="nexpo.users.v1.OnboardUser",
    percent=40,
    durable=True,
    steps=[Step(name="create in postgres", target="postgres", state=Step.DONE, attempt=2)],
)
_PROGRESS.create_time.FromJsonString("2026-11-28T19:13:25Z")


def payloads() -> list[Vector]:
    """Messages, each as the payload that the runtime makes of it."""
    written = [_payload(m) for m in (_USER, _CALL, _LATENCY, ProbeResponse(), _PROGRESS)]
    return [*written, *_only_read()]


def _only_read() -> list[Vector]:
    """What the runtime does not write, and every reader takes."""
    user, name = User(user_id="u-1"), User.DESCRIPTOR.full_name
    texts = {
        "a field of tomorrow": '{"userId":"u-1","fieldOfTomorrow":{"a":[1]}}',
        "a value of tomorrow": '{"userId":"u-1","state":"STATE_OF_TOMORROW"}',
        "names of the proto, and spaces": '{ "user_id": "u-1", "state": 0 }',
    }
    found = [(what, b"json/protobuf", text.encode()) for what, text in texts.items()]
    found.append(("as bytes", b"binary/protobuf", user.SerializeToString()))
    return [
        {
            "only_read": what,
            "type": name,
            "binary": binary(user),
            "payload": shown(
                Payload(metadata={"encoding": encoding, "messageType": name.encode()}, data=data)
            ),
        }
        for what, encoding, data in found
    ]


def _payload(message: Message) -> Vector:
    [payload] = PayloadConverter().to_payloads([message])
    return {
        "type": message.DESCRIPTOR.full_name,
        "binary": binary(message),
        "json": json.loads(json_format.MessageToJson(message, sort_keys=True)),
        "payload": shown(payload),
    }


def encryption() -> list[Vector]:
    """Payloads, sealed and refused."""
    codec = EncryptionCodec(_KEYS)
    keys = {key_id: base64_of(key) for key_id, key in _KEYS.items()}
    clear = [
        Payload(metadata={"encoding": b"binary/null"}),
        Payload(metadata={"encoding": b"json/plain"}, data='"née"'.encode()),
        PayloadConverter().to_payloads([_USER])[0],
    ]
    found: list[Vector] = []
    for number, payload in enumerate(clear, start=1):
        nonce = bytes([number]) * 12
        found.append(
            {
                "keys": keys,
                "nonce": nonce.hex(),
                "clear": shown(payload),
                "sealed": shown(codec.sealed(payload, nonce)),
            }
        )
    old = EncryptionCodec({"2026-04": _KEYS["2026-04"]}).sealed(clear[1], b"\x09" * 12)
    found.append({"keys": keys, "clear": shown(clear[1]), "sealed": shown(old)})
    found.append({"keys": keys, "clear": shown(clear[1]), "sealed": shown(clear[1])})
    return [*found, *_refused_payloads(keys, codec.sealed(clear[1], b"\x0a" * 12))]


def _refused_payloads(keys: Mapping[str, str], good: Payload) -> list[Vector]:
    def changed(data: bytes, key_id: str = "2026-10") -> Payload:
        metadata = {**good.metadata, registry.PROTOCOL.encryption_key_id: key_id.encode()}
        return Payload(metadata=metadata, data=data)

    flipped = bytes([*good.data[:-1], good.data[-1] ^ 1])
    cases = {
        "sealed with a key that is not known": changed(good.data, "2025-10"),
        "says another key id": changed(good.data, "2026-04"),
        "a bit of the tag is changed": changed(flipped),
        "a bit of the nonce is changed": changed(bytes([good.data[0] ^ 1, *good.data[1:]])),
        "shorter than nonce and tag": changed(good.data[:20]),
        "empty": changed(b""),
    }
    return [
        {"refused": why, "keys": keys, "sealed": shown(payload)} for why, payload in cases.items()
    ]
