"""Become another program that cannot outlive its parent.

Run as a file, before the program itself: ``python -I -S guard.py PARENT SIGNAL USER -- COMMAND...``
It drops to the numeric user USER ("-" keeps the present one), asks the kernel to send SIGNAL when
the parent dies (prctl(2), PR_SET_PDEATHSIG, which a change of user would clear), then executes
COMMAND. A preexec_fn could do the same, but is unsafe in a parent that has threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, user = sys.argv[1:4]
    command = sys.argv[5:]
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it died before the kernel was asked
        raise SystemExit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
