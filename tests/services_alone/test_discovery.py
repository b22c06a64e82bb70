"""Finding what a service is made of loads no SDK of a part that is switched off."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house import PACKAGES

_SDKS = ("anthropic", "aiobotocore", "asyncpg", "pymongo", "pytds", "azure.cosmos", "aiohttp")


@pytest.mark.parametrize("package", [package.__name__ for package in PACKAGES])
def test_a_service_is_found_without_an_sdk(package: str) -> None:
    program = (
        f"import sys, {package}.__main__\n"
        "from nexpo_runtime.worker.discovery import discover\n"
        f"found = discover({package})\n"
        "assert found.services or found.workflows, found\n"
        f"print([name for name in {_SDKS} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stdout + done.stderr
