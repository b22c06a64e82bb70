"""Starts the stand-in for Claude: `python -m nexpo_standins.claude --port N`."""

from __future__ import annotations

import argparse

from aiohttp import web

from . import API_KEY
from .server import application


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m nexpo_standins.claude",
        description="A deterministic stand-in for Claude's Messages API. It is not a model.",
    )
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--api-key", default=API_KEY, help="the only key that is accepted")
    arguments = parser.parse_args()
    web.run_app(
        application(arguments.api_key),
        host="127.0.0.1",
        port=arguments.port,
        shutdown_timeout=1.0,
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    main()
