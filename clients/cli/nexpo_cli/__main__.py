"""`nexpo`, and `python -m nexpo_cli`."""

from __future__ import annotations

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
        print(f"error: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.BROKEN_PIPE
    except EOFError:
        print("error: the input ended where an answer was needed.", file=sys.stderr)
        return Exit.USAGE
    except OSError as error:
        print(f"error: {error.strerror or error}.", file=sys.stderr)
        return Exit.FAILED
    except Exception as error:
        if os.environ.get("NEXPO_DEBUG"):
            raise
        print(
            f"error: nexpo itself failed: {type(error).__name__}: {error}\n"
            "hint: NEXPO_DEBUG=1 shows where.",
            file=sys.stderr,
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
        print(f"error: {str(error).strip()}\nhint: see {where} --help.", file=sys.stderr)
        return Exit.USAGE
    return code if isinstance(code, int) else Exit.OK


def run() -> None:
    """The process's only purpose; ends it at once, without waiting for gRPC's threads."""
    # Python has no stream where the shell has closed it; these stay open to the end.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character gets an escape, not a stack trace.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = Exit.BROKEN_PIPE
        except (OSError, ValueError):
            code = code or Exit.FAILED
    # gRPC and its threads can abort a process that is ending: nothing of ours is left to do.
    os._exit(code)


if __name__ == "__main__":
    run()
