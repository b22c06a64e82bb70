"""Encryption of everything that Temporal stores: AES-256-GCM with key ids.

An encrypted payload carries in clear its encoding, the id of its key, and
nothing else; the id is authenticated with the data. Rotation: put the new key
first and keep the old ones until the namespace's retention has passed.

Source: NIST SP 800-38D (96-bit random nonces: at most 2^32 messages a key).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from nexpo.registry import PROTOCOL

ENCODING = PROTOCOL.encrypted_encoding.encode()
_KEY_ID = PROTOCOL.encryption_key_id
_NONCE = 12


class DecryptionError(Exception):
    """A payload cannot be decrypted; the text says why and names no data."""


class EncryptionCodec(PayloadCodec):
    """Encrypts every payload with the first key, decrypts with the key that each names.

    Payloads that are not encrypted pass through, so that encryption can be
    switched on while operations run.

    Args:
        keys: 32 bytes each, by id, the encrypting one first.

    Raises:
        ValueError: There is no key, or one is not 32 bytes long.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys.values()):
            raise ValueError("encryption needs at least one key, each of 32 bytes")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypts each payload, whole."""
        return [self.sealed(payload, os.urandom(_NONCE)) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypts those that are encrypted. Raises: DecryptionError."""
        return [self._decrypt(payload) for payload in payloads]

    def sealed(self, payload: Payload, nonce: bytes) -> Payload:
        """The payload under the first key. A nonce, 12 bytes, serves a key once."""
        key_id = self._current.encode()
        sealed = self._ciphers[self._current].encrypt(
            nonce, payload.SerializeToString(deterministic=True), key_id
        )
        return Payload(
            metadata={"encoding": ENCODING, _KEY_ID: key_id},
            data=nonce + sealed,
        )

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"")
        name = key_id.decode(errors="replace")
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise DecryptionError(
                f"payload encrypted with key '{name}', which is not in ENCRYPTION_KEYS "
                f"(known: {', '.join(self._ciphers)})"
            )
        try:
            clear = cipher.decrypt(payload.data[:_NONCE], payload.data[_NONCE:], key_id)
        except (InvalidTag, ValueError):
            raise DecryptionError(
                f"payload does not fit key '{name}': it was changed, or the key has another value"
            ) from None
        return Payload.FromString(clear)
