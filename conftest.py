"""Gives every test the servers of the embedded stack, and the tests their order."""

import signal

pytest_plugins = ["nexpo_dev.pytest_plugin", "nexpo_dev.pytest_order", "tests.replay.plugin"]

# A shell that starts the tests in the background makes them ignore SIGINT, and every process that
# they start would inherit that: Ctrl-C could not be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
