"""`python -m nexpo_gateway`."""

from nexpo_runtime.service import entrypoint

from .main import main
from .settings import GatewaySettings


def run() -> None:
    """Runs the gateway as the process's only purpose."""
    entrypoint.run(main, GatewaySettings)


if __name__ == "__main__":
    run()
