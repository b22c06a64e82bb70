"""Payloads are encrypted; keys rotate; what was tampered with is refused."""

from __future__ import annotations

import os

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from nexpo.users.v1.users_pb2 import User
from nexpo_runtime.temporal.codec import DecryptionError, EncryptionCodec
from nexpo_runtime.temporal.converter import PayloadConverter

OLD, NEW = os.urandom(32), os.urandom(32)
CLEAR = Payload(metadata={"encoding": b"json/plain"}, data=b'"canary"')


async def test_a_payload_comes_back_and_shows_nothing_on_its_way() -> None:
    codec = EncryptionCodec({"new": NEW})
    [sealed] = await codec.encode([CLEAR])
    assert b"canary" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [CLEAR]


async def test_the_same_payload_is_never_sealed_twice_alike() -> None:
    first, second = await EncryptionCodec({"new": NEW}).encode([CLEAR, CLEAR])
    assert first.data != second.data


async def test_after_rotation_old_payloads_are_still_read_and_new_ones_use_the_new_key() -> None:
    [written_before] = await EncryptionCodec({"old": OLD}).encode([CLEAR])
    rotated = EncryptionCodec({"new": NEW, "old": OLD})
    [written_after] = await rotated.encode([CLEAR])
    assert await rotated.decode([written_before, written_after]) == [CLEAR, CLEAR]
    assert await EncryptionCodec({"new": NEW}).decode([written_after]) == [CLEAR]


async def test_an_unknown_key_is_named_in_the_error() -> None:
    [sealed] = await EncryptionCodec({"old": OLD}).encode([CLEAR])
    with pytest.raises(DecryptionError, match=r"'old'.*not in ENCRYPTION_KEYS.*new"):
        await EncryptionCodec({"new": NEW}).decode([sealed])


@pytest.mark.parametrize("position", [0, 12, -1])
async def test_a_changed_byte_is_refused(position: int) -> None:
    codec = EncryptionCodec({"new": NEW})
    [sealed] = await codec.encode([CLEAR])
    changed = bytearray(sealed.data)
    changed[position] ^= 1
    sealed.data = bytes(changed)
    with pytest.raises(DecryptionError, match="was changed"):
        await codec.decode([sealed])


async def test_a_truncated_payload_is_refused() -> None:
    codec = EncryptionCodec({"new": NEW})
    [sealed] = await codec.encode([CLEAR])
    sealed.data = sealed.data[:5]
    with pytest.raises(DecryptionError):
        await codec.decode([sealed])


async def test_a_payload_cannot_be_moved_to_another_key_id() -> None:
    codec = EncryptionCodec({"new": NEW, "same": NEW})
    [sealed] = await codec.encode([CLEAR])
    sealed.metadata["encryption-key-id"] = b"same"
    with pytest.raises(DecryptionError):
        await codec.decode([sealed])


async def test_payloads_from_before_encryption_was_switched_on_are_read() -> None:
    assert await EncryptionCodec({"new": NEW}).decode([CLEAR]) == [CLEAR]


def test_a_codec_without_a_proper_key_is_refused() -> None:
    for keys in ({}, {"short": b"x" * 16}):
        with pytest.raises(ValueError, match="32 bytes"):
            EncryptionCodec(keys)


async def test_a_field_that_this_version_does_not_know_is_ignored() -> None:
    converter = DataConverter(payload_converter_class=PayloadConverter)
    [payload] = await converter.encode([User(user_id="u1")])
    assert payload.metadata["encoding"] == b"json/protobuf"
    payload.data = payload.data[:-1] + b',"fieldOfTomorrow":1}'
    assert await converter.decode([payload], [User]) == [User(user_id="u1")]
