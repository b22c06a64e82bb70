"""A gateway that serves the benchmarks' contract beside its own; it runs no workflow itself."""

from __future__ import annotations

from nexpo_gateway.contract import Contract, rpcs_of
from nexpo_gateway.server import running_gateway
from nexpo_gateway.settings import GatewaySettings
from nexpo_runtime import entrypoint
from nexpo_runtime.shutdown import StopSignal

from .contract import SERVICE


async def main(settings: GatewaySettings) -> None:
    """Runs it until it is told to stop."""
    contract = Contract([*Contract.load().rpcs, *rpcs_of(SERVICE)])
    with StopSignal() as stop:
        async with running_gateway(settings, contract=contract):
            await stop.wait()


if __name__ == "__main__":
    entrypoint.run(main, GatewaySettings)
