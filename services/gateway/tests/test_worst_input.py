"""Nobody stalls the gateway: the worst of each kind, as large as may be, holds nobody else up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.protobuf.empty_pb2 import Empty

from .clients import Gateway, Refused, refused_by
from .conftest import gateway_settings, ready, write_keys
from .pauses import measured_pauses
from .worst_inputs import GRPC, HTTP, Grpc, Http

LONGEST_PAUSE = 0.1
LARGEST_REFUSAL = 8 * 1024
OF_THE_INPUT = (
    "INVALID_ARGUMENT",
    "INVALID_PAGE_TOKEN",
    "MESSAGE_TOO_LARGE",
    "OPERATION_NOT_FOUND",
    "UNKNOWN_METHOD",
    "WORKER_UNAVAILABLE",
)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway that has answered before: what is made once was made."""
    keys_file = write_keys(tmp_path_factory.mktemp("keys") / "keys.json")
    settings = gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False)
    async with ready(settings) as gateway:
        for warm in (HTTP[0], HTTP[5]):
            await gateway.http(*warm.method, warm.body)
        for path in sorted({worst.path for worst in GRPC}):
            with pytest.raises(Refused):
                await gateway.call(path, b"\xff", Empty)
        yield gateway


@pytest.mark.parametrize("worst", HTTP, ids=lambda worst: str(worst.kind))
async def test_the_worst_over_rest_pauses_nobody_and_gets_a_short_answer(
    gateway: Gateway, worst: Http
) -> None:
    with measured_pauses() as pauses:
        answer = await gateway.http(*worst.method, worst.body, **worst.headers)
    assert pauses.longest < LONGEST_PAUSE
    assert len(answer.body) <= LARGEST_REFUSAL
    if worst.accepted:
        assert answer.status == 200
    elif worst.method[1].startswith("/verify"):
        assert 400 <= answer.status < 500
    else:
        assert refused_by(answer).reason in OF_THE_INPUT


@pytest.mark.parametrize("worst", GRPC, ids=lambda worst: str(worst.kind))
async def test_the_worst_over_grpc_pauses_nobody_and_keeps_its_reason(
    gateway: Gateway, worst: Grpc
) -> None:
    refused: Refused | None = None
    with measured_pauses() as pauses:
        try:
            # Takes every answer: none is looked at.
            await gateway.call(worst.path, worst.body, Empty, timeout=60, **worst.headers)
        except Refused as error:
            refused = error
    assert pauses.longest < LONGEST_PAUSE
    assert (refused is None) == worst.accepted
    if refused is not None:
        assert refused.reason in OF_THE_INPUT
        assert len(refused.fields) <= 20
