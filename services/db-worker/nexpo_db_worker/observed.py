"""Capabilities whose every call is measured: how long, and how it ended."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from prometheus_client import Histogram

from nexpo_db_worker.capabilities.fences import Taken
from nexpo_runtime.errors import Fault

C = TypeVar("C")

DATABASE_SECONDS = Histogram(
    "nexpo_database_seconds",
    "Calls of databases, by operation and outcome (ok, TAKEN, or the reason of the fault).",
    ["database", "table", "operation", "outcome"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def observed(capability: C, database: str, table: str) -> C:
    """The same capability, with every call of a coroutine method measured.

    Args:
        capability: What an engine offers.
        database: The database's id.
        table: The table that it is for.
    """
    return cast(C, _Observed(capability, database, table))


class _Observed:
    def __init__(self, capability: object, database: str, table: str) -> None:
        self._capability = capability
        self._labels = (database, table)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._capability, name)
        if not inspect.iscoroutinefunction(method):
            return method
        call = _measured_calls(method, (*self._labels, name))
        setattr(self, name, call)  # found directly from now on
        return call


def _measured_calls(
    method: Callable[..., Awaitable[Any]], labels: tuple[str, ...]
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with _measured(labels):
            return await method(*args, **kwargs)

    return call


@contextmanager
def _measured(labels: tuple[str, ...]) -> Iterator[None]:
    began = time.perf_counter()
    outcome = "cancelled"
    try:
        yield
        outcome = "ok"
    except Fault as fault:
        outcome = fault.name
        raise
    except Taken:
        outcome = "TAKEN"
        raise
    except Exception:
        outcome = "INTERNAL"
        raise
    finally:
        DATABASE_SECONDS.labels(*labels, outcome).observe(time.perf_counter() - began)
