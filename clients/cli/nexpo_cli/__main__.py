"""`nexpo`, and `python -m nexpo_cli`."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from .exits import Exit, UsageError


def main(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code; no exception leaves it."""
    try:
        return _main(arguments)
    except UsageError as error:
        _complain(f"error: {error}")
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except EOFError:
        _complain("error: the input ended where an answer was needed.")
        return Exit.USAGE
    except OSError as error:
        _complain(f"error: {error.strerror or error}.")
        return Exit.FAILED
    except Exception as error:
        if os.environ.get("NEXPO_DEBUG"):
            raise
        _complain(
            f"error: nexpo itself failed: {type(error).__name__}: {error}\n"
            "hint: NEXPO_DEBUG=1 shows where."
        )
        return Exit.FAILED


def _main(arguments: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    from .app import make_app

    app = make_app()
    try:
        code = app.meta(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        where = " ".join(["nexpo", *(error.command_chain or ())])
        _complain(f"error: {str(error).strip()}\nhint: see {where} --help.")
        return Exit.USAGE
    return code if isinstance(code, int) else Exit.OK


def _complain(text: str) -> None:
    # Where nobody can read it, the exit code still says what it was.
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _open_standard_streams() -> None:
    """Python has no stream where the shell has closed it; these stay open to the end."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, so a connection never gets it and is never written to.
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _flushed(code: int) -> int:
    """The exit code once everything is written; results that got lost are a failure."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except (OSError, ValueError):
        return code or Exit.FAILED
    return code


def run() -> None:
    """The process's only purpose; ends it at once, without waiting for gRPC's threads."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character gets an escape, not a stack trace.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:])
    code = _flushed(code)
    # gRPC and its threads can abort a process that is ending: nothing of ours is left to do.
    os._exit(code)


if __name__ == "__main__":
    run()
