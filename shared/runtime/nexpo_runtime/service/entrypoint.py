"""How a service's process begins and ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import uvloop

from ..errors import ContractError
from ..settings import Settings, SettingsError
from ..telemetry import logs, tracing

SettingsT = TypeVar("SettingsT", bound=Settings)

EXIT_FAILED = 1
EXIT_SETTINGS = 2
"""As programs use it for a wrong command line: started wrongly, starting again is no use."""

_log = logs.get(__name__)


def run(main: Callable[[SettingsT], Awaitable[None]], settings_type: type[SettingsT]) -> NoReturn:
    """Loads the settings, runs `main` on uvloop, and ends the process.

    Exit codes: 0 it ended in order; 1 it broke, the log says where; 2 the
    settings or the code are wrong, standard error or the log lists how.
    """
    try:
        settings = settings_type.load()
    except SettingsError as error:
        print(f"{settings_type.service} cannot start:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        _exit(EXIT_SETTINGS)
    logs.configure(settings)
    tracing.configure(settings)
    _exit(_guarded(main, settings))


def _guarded(main: Callable[[SettingsT], Awaitable[None]], settings: SettingsT) -> int:
    async def whole() -> None:
        await main(settings)

    try:
        uvloop.run(whole())
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        _log.error("cannot start", why=str(error))
        return EXIT_FAILED
    except (ContractError, ImportError, SyntaxError) as error:
        # An author's mistake. Its text names code and nothing of a request, so it may be logged.
        _log.critical("cannot start", why=str(error), exc_info=error)
        return EXIT_SETTINGS
    except Exception as error:
        _log.critical("broke", exc_info=error)
        return EXIT_FAILED
    finally:
        tracing.flush()
    return 0


def _exit(code: int) -> NoReturn:
    # The SDK may abort the interpreter while it is taken down (sdk-python issue 300).
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
