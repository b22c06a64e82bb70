"""Protection of sensitive fields."""

from __future__ import annotations

import asyncio
import threading
from hashlib import sha256
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from nexpo.options.v1 import options_pb2
from nexpo.users.v1.users_pb2 import OnboardUserRequest, VerifyEmailRequest
from nexpo_gateway.calls.protection import Protection


async def test_of_many_passwords_at_once_few_threads_keep_the_memory_of_a_hash() -> None:
    protection, before = Protection(b"key"), set(threading.enumerate())
    requests = [OnboardUserRequest(password=f"password {number}") for number in range(20)]
    await asyncio.gather(
        *(protection.apply(one, tenant="t", request_id=one.password) for one in requests)
    )
    # Every thread that ever hashed keeps 19 MiB until the process ends.
    assert 1 <= len(set(threading.enumerate()) - before) <= 2
    hashes = {request.password_hash for request in requests}
    assert len(hashes) == len(requests)
    assert all(one.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for one in hashes)


async def test_the_same_request_again_has_the_same_hash_and_no_other_has() -> None:
    protection = Protection(b"key")

    async def hashed(tenant: str, request_id: str) -> str:
        request = OnboardUserRequest(password="correct horse")
        await protection.apply(request, tenant=tenant, request_id=request_id)
        assert not request.password
        return request.password_hash

    assert await hashed("t", "1") == await hashed("t", "1")
    assert len({await hashed("t", "1"), await hashed("t", "2"), await hashed("u", "1")}) == 3


async def test_a_token_is_digested_as_it_was_typed() -> None:
    request = VerifyEmailRequest(token="Tök en\n")
    await Protection(b"key").apply(request, tenant="t", request_id="1")
    assert request == VerifyEmailRequest(token_digest=sha256("Tök en\n".encode()).hexdigest())


async def test_one_password_in_two_places_has_two_hashes() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="vault.proto", package="vault", syntax="proto3")
    file.dependency.append("nexpo/options/v1/options.proto")
    kind = file.message_type.add(name="OpenVaultRequest")
    for number, name in enumerate(("mine", "yours", "mine_hash", "yours_hash"), 1):
        field = kind.field.add(name=name, number=number, type=9, label=1)
        if number < 3:
            field.options.Extensions[options_pb2.sensitive] = options_pb2.SENSITIVE_HASH
            field.options.Extensions[options_pb2.protected_as] = f"{name}_hash"
    kind.field.add(name="next", number=5, type=11, label=1, type_name=".vault.OpenVaultRequest")
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    cls: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("vault.OpenVaultRequest"))
    request = cls(mine="correct horse", yours="correct horse", next=cls(mine="correct horse"))
    await Protection(b"key").apply(request, tenant="t", request_id="1")
    assert (request.mine, request.yours, request.next.mine) == ("", "", "")
    # Whoever reads them must not learn that they are the same.
    assert len({request.mine_hash, request.yours_hash, request.next.mine_hash}) == 3
