"""The page of databases names every engine, what it can do and its options, and no other."""

from __future__ import annotations

import re

from nexpo_db_worker.engines import ENGINES

from .markdown import ROOT, rows

PAGE = ROOT / "docs/guides/databases.md"


def test_every_engine_stands_there_with_its_capabilities() -> None:
    shown = {kind.strip("`"): able for kind, _, able in rows(PAGE, "What there is")}

    assert shown == {
        kind: ", ".join(sorted(engine.capabilities)) for kind, engine in ENGINES.items()
    }


def test_every_option_stands_there_and_which_are_secret() -> None:
    shown = {
        kind.strip("`"): {
            name: bool(secret) for name, secret in re.findall(r"`(\w+)`( \(secret)?", options)
        }
        for kind, options in rows(PAGE, "Any number of any kind: a file")
    }
    shown["cosmosdb"].pop("nexpo")  # a default

    assert shown == {
        kind: {option.name: option.secret for option in engine.options}
        for kind, engine in ENGINES.items()
    }
