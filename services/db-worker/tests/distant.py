"""A database on the other side of a network that can fail."""

from __future__ import annotations

from dataclasses import dataclass

from nexpo_db_worker.databases.opened import Database
from nexpo_dev.fault_proxy import FaultProxy


@dataclass
class Distant:
    """A database that reaches its server through a proxy only."""

    database: Database
    proxy: FaultProxy
