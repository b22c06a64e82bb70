"""How the command ends: its exit codes, and the mistakes that are its user's own."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    OPEN = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141


EXPLAINED = (
    "Exit codes: 0 done; 1 refused, or the operation failed; 2 the command line is wrong; "
    "3 the operation is still open: the wait was over, or an undo needs a human; "
    "4 unavailable, try again; 130 interrupted with Ctrl-C."
)


class UsageError(Exception):
    """The command cannot be run as it was typed; the text says what to do instead."""
