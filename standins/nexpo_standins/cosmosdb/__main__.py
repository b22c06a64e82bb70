"""python -m nexpo_standins.cosmosdb --port N --data DIR --key BASE64KEY"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import logging
import signal
from pathlib import Path

from nexpo_standins import cosmosdb
from nexpo_standins.cosmosdb.server import Server


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m nexpo_standins.cosmosdb",
        description=cosmosdb.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder of its SQLite file")
    parser.add_argument("--key", required=True, help="the account's key, in base64")
    return parser.parse_args()


async def _serve(server: Server, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await server.run(port, stop)


def main() -> None:
    """Runs the stand-in until SIGTERM."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        server = Server(arguments.data, arguments.key)
    except binascii.Error:
        raise SystemExit("--key must be base64.") from None
    try:
        asyncio.run(_serve(server, arguments.port))
    except OSError as error:
        raise SystemExit(f"Cannot serve on port {arguments.port}: {error.strerror}.") from None


if __name__ == "__main__":
    main()
