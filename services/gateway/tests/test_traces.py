"""One trace from the caller's traceparent to the worker, with a collector and without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexpo_runtime.telemetry import tracing

from .clients import Gateway, Refused
from .in_process import gateway_in_process

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
MISSING = "/v1/operations/acme~nexpo.parcels.v1.SendParcel~a~b"


@pytest.fixture(params=[False, True], ids=["collected", "ids-only"], autouse=True)
def ids_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether nothing records spans, so that only their ids travel."""
    monkeypatch.setattr(tracing, "_ids_only", request.param)
    return bool(request.param)


async def trace_of_a_read(gateway: Gateway, surface: str, **headers: str) -> str:
    """The trace in which the worker saw the call."""
    if surface == "rest":
        found: str = (await gateway.rest("GET", "/v1/parcels", **headers))["notes"][0]
        return found
    return str(
        (await gateway.parcel("FindParcels", **{f"_{k}": v for k, v in headers.items()})).notes[0]
    )


@pytest.mark.parametrize("surface", ["grpc", "rest"])
async def test_the_callers_trace_reaches_the_worker(keys_file: Path, surface: str) -> None:
    async with gateway_in_process(keys_file) as gateway:
        assert await trace_of_a_read(gateway, surface, traceparent=PARENT) == TRACE


@pytest.mark.parametrize("surface", ["grpc", "rest"])
@pytest.mark.parametrize("ids_only", [True], indirect=True)  # the other makes them when set up
async def test_each_call_without_one_has_a_trace_of_its_own(keys_file: Path, surface: str) -> None:
    async with gateway_in_process(keys_file) as gateway:
        traces = [await trace_of_a_read(gateway, surface) for _ in range(3)]
    assert len(set(traces)) == 3
    assert all(len(trace) == 32 for trace in traces)


async def test_an_error_says_its_trace_on_both_surfaces(keys_file: Path) -> None:
    async with gateway_in_process(keys_file) as gateway:
        problem = (await gateway.http("GET", MISSING, traceparent=PARENT)).json
        assert problem["trace_id"] == TRACE
        with pytest.raises(Refused) as refused:
            await gateway.parcel(
                "AskParcel", operation=MISSING.removeprefix("/v1/"), _traceparent=PARENT
            )
        assert TRACE in refused.value.raw
