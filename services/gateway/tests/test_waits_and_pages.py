"""Waits have a longest and lists a largest page, and the caller is told or given a token."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nexpo_gateway.context import CallContext
from nexpo_gateway.operations.backend import Page
from nexpo_gateway.operations.local import LocalBackend

from .clients import Refused
from .conftest import gateway_settings, ready


def test_a_wait_is_no_longer_than_the_caller_waits() -> None:
    soon = CallContext({"prefer": "wait=30"}, "peer", deadline=time.monotonic() + 5)
    assert soon.wait is not None
    assert 4 < soon.wait <= 5


async def test_the_answer_says_how_long_was_waited_at_most(keys_file: Path) -> None:
    settings = gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False)
    async with ready(settings) as gateway:
        for wish, applied in (("wait=7", "wait=7"), ("wait=999999", "wait=300")):
            body = {"plan": "finish"}
            answer = await gateway.http("POST", "/v1/parcels:send", body, prefer=wish)
            assert answer.headers["preference-applied"] == applied
        await gateway.send(plan="finish", _prefer="wait=999999", _timeout=60)
        assert gateway.trailers["preference-applied"] in ("wait=58", "wait=59")


@pytest.mark.parametrize("listed", ["operations", "operationTasks"])
async def test_a_page_larger_than_the_largest_is_the_largest_and_none_is_negative(
    keys_file: Path, listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Listing:
        async def list(self, criteria: object, size: int, *_: object) -> Page:
            asked.append(size)
            return Page([], b"")

    settings = gateway_settings("127.0.0.1:1", keys_file, enable_temporal=False)
    async with ready(settings) as gateway:
        monkeypatch.setattr(LocalBackend, "list", Listing.list)
        for size in ("0", "1", "200", "201", "2147483647"):
            assert (await gateway.http("GET", f"/v1/{listed}?page_size={size}")).status == 200
        assert asked == [50, 1, 200, 200, 200]
        with pytest.raises(Refused) as refused:
            await gateway.rest("GET", f"/v1/{listed}?page_size=-1")
        assert refused.value.fields == ("page_size",)
