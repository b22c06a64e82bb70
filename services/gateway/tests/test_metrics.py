"""METRICS_PORT: Prometheus metrics for operators, apart from what users reach."""

from __future__ import annotations

from pathlib import Path

import httpx

from nexpo_dev.stack import Stack


async def test_metrics_have_a_port_of_their_own(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", only=["temporal", "gateway"])
    try:
        async with stack, httpx.AsyncClient(trust_env=False) as http:
            page = await http.get(stack.gateway.metrics_url)
            hidden = await http.get(f"{stack.gateway.url}/metrics")
    finally:
        stack.remove()
    assert page.status_code == 200
    assert "nexpo_polling" in page.text
    assert "temporal_" in page.text
    assert hidden.status_code == 404
    assert hidden.json()["reason"] == "UNKNOWN_METHOD"
