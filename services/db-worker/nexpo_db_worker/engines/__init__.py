"""The engines that there are: each folder here, by what its `ENGINE` declares.

A folder offers `ENGINE`, and imports its driver no sooner than a database is opened. Nothing
outside a folder knows what kind it is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from nexpo_db_worker.engines.engine import Engine


def _found() -> Mapping[str, Engine]:
    folders = (one.name for one in pkgutil.iter_modules(__path__) if one.ispkg)
    engines = [importlib.import_module(f"{__name__}.{name}").ENGINE for name in folders]
    return {engine.kind: engine for engine in engines}


ENGINES: Mapping[str, Engine] = _found()
"""By kind: "postgres", "mongodb", ..."""
