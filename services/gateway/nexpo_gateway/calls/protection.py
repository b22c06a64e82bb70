"""Protection of sensitive fields at the edge, before anything records them."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor

from argon2.low_level import Type, hash_secret
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from nexpo import registry
from nexpo.options.v1 import options_pb2

from ..content.texts import Text, texts

# OWASP's password storage cheat sheet: argon2id with 19 MiB, two passes, one lane.
_MEMORY_KIB = 19 * 1024
_PASSES = 2
_LANES = 1
_AT_ONCE = 2


class Protection:
    """Puts the argon2id hash in a password's stead and the SHA-256 in a token's."""

    def __init__(self, service_key: bytes) -> None:
        self._key = service_key
        # Threads of its own: the allocator keeps each thread's 19 MiB, so few may ever hash.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hash")

    async def apply(self, request: Message, *, tenant: str, request_id: str) -> None:
        """Protects the request in place: the secret goes, `protected_as` takes what is made of it.

        The salt depends on tenant, request_id and field, so that the retry of a
        request is the same request, hash included.
        """
        for text in list(texts(request, _is_digest)):
            text.move(_target(text), hashlib.sha256(text.value.encode()).hexdigest())
        for text in list(texts(request, _is_hash)):
            salt = self._salt(tenant, request_id, text.path)
            # 20 ms of CPU and 19 MiB each: few at a time, off the event loop.
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(self._threads, _argon2id, text.value, salt)
            text.move(_target(text), made)

    def keyed_digest(self, content: bytes) -> str:
        """A digest of the content that tells nothing of it without the key."""
        return hmac.digest(self._key, b"digest\n" + content, "sha256").hex()[:32]

    def _salt(self, *parts: str) -> bytes:
        text = "\n".join(("salt", *parts))
        return hmac.digest(self._key, text.encode(), "sha256")[:16]


def _argon2id(secret: str, salt: bytes) -> str:
    return hash_secret(
        secret.encode(),
        salt,
        time_cost=_PASSES,
        memory_cost=_MEMORY_KIB,
        parallelism=_LANES,
        hash_len=32,
        type=Type.ID,
    ).decode()


def _target(text: Text) -> FieldDescriptor:
    target = registry.protected_as(text.field)
    if target is None:  # generate refuses such a contract
        raise TypeError(f"{text.field.full_name} has no protected_as")
    return target


def _is_hash(field: FieldDescriptor) -> bool:
    return _sensitive(field) == options_pb2.SENSITIVE_HASH


def _is_digest(field: FieldDescriptor) -> bool:
    return _sensitive(field) == options_pb2.SENSITIVE_DIGEST


@functools.cache  # of the contract's fields: reading options costs more than what they say
def _sensitive(field: FieldDescriptor) -> int:
    return int(registry.sensitive(field))
