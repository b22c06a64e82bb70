"""SIGTERM and SIGINT: the first asks to end in order, the second ends now."""

from __future__ import annotations

import asyncio
import os
import signal

from ..telemetry import logs

_log = logs.get(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Set by the first SIGTERM or SIGINT. Use it as `with`, inside the event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __enter__(self) -> asyncio.Event:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._received, number)
        return self._event

    def __exit__(self, *error: object) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    def _received(self, number: signal.Signals) -> None:
        if self._event.is_set():
            os._exit(128 + number)
        _log.info("shutting down", signal=signal.Signals(number).name)
        self._event.set()
