"""A key means one call, on Temporal."""

from __future__ import annotations

import pytest

from tests.key_cases import CASES, Case, Desk

from .house import House

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


@pytest.mark.parametrize("surface", ["grpc", "rest"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_key_means_one_call(house: House, case: Case, surface: str) -> None:
    await case(Desk(house, surface))
