"""Records the histories that are not there: python -m tests.replay.record [PATH...]

Runs the tests that keep one, and nothing else; see plugin.py.
"""

from __future__ import annotations

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "--record", *sys.argv[1:]]))
