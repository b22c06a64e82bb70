"""A gateway that serves the benchmarks' contract beside its own, and runs its workflows."""

from __future__ import annotations

import os

from nexpo_gateway.contract import Contract, rpcs_of
from nexpo_gateway.server import running_gateway
from nexpo_gateway.settings import GatewaySettings
from nexpo_runtime.service import entrypoint
from nexpo_runtime.service.shutdown import StopSignal

from .contract import SERVICE
from .workflows import Copies, Echo, Hold

HOSTS = "BENCH_HOSTS"
"""Variable: "no" for a gateway that starts workflows and runs none."""


async def main(settings: GatewaySettings) -> None:
    """Runs it until it is told to stop."""
    contract = Contract([*Contract.load().rpcs, *rpcs_of(SERVICE)])
    hosts = os.environ.get(HOSTS) != "no"
    with StopSignal() as stop:
        async with running_gateway(
            settings,
            contract=contract,
            workflows=[Echo, Hold] if hosts else [],
            services=[Copies()] if hosts else [],
        ):
            await stop.wait()


if __name__ == "__main__":
    entrypoint.run(main, GatewaySettings)
