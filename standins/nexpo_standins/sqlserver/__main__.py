"""Starts the stand-in for SQL Server; see the package's docstring for what it is."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path

import nexpo_standins.sqlserver as package
from nexpo_standins.sqlserver.login import Access
from nexpo_standins.sqlserver.server import LOG, Server
from nexpo_standins.sqlserver.wire import Encryption


async def _serve(port: int, server: Server) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
    LOG.info("listening on 127.0.0.1:%d", listener.sockets[0].getsockname()[1])
    await stopped.wait()
    listener.close()


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m nexpo_standins.sqlserver",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--database-url", required=True, help="PostgreSQL that keeps everything")
    parser.add_argument("--user", required=True, help="the only log-in")
    parser.add_argument("--password", required=True, help="its password")
    parser.add_argument("--database", default="nexpo", help="the only database (%(default)s)")
    parser.add_argument("--certificate", type=Path, help="PEM file; without it all is clear text")
    parser.add_argument("--key", type=Path, help="PEM file of its private key")
    parser.add_argument("--force-encryption", action="store_true", help="refuse clear text")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    access = Access(options.user, options.password, options.database)
    with suppress(KeyboardInterrupt):
        server = Server(
            access,
            options.database_url,
            Encryption(options.certificate, options.key) if options.certificate else None,
            required=options.force_encryption,
        )
        asyncio.run(_serve(options.port, server))


if __name__ == "__main__":
    main()
