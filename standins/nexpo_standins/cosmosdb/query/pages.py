"""Runs a query and hands out its pages.

A continuation token holds the values of ORDER BY and the number of the last item
that was handed out, not a count, so items that come and go between two pages neither
repeat others nor hide them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key

from nexpo_standins.cosmosdb.catalog import Json
from nexpo_standins.cosmosdb.items import Row
from nexpo_standins.cosmosdb.partition_hash import UNDEFINED
from nexpo_standins.cosmosdb.query.evaluate import (
    compare_keys,
    keys_of,
    matches,
    project,
)
from nexpo_standins.cosmosdb.query.syntax import Query
from nexpo_standins.cosmosdb.refusals import bad_request


@dataclass(frozen=True)
class Page:
    """Part of a query's result, and the token for the next part, if there is one."""

    results: list[object]
    continuation: str | None


@dataclass(frozen=True)
class _Mark:
    """Where a page ended, and how many items TOP or LIMIT leave."""

    keys: list[object]
    number: int
    left: int | None


def run_query(
    query: Query, identity: str, rows: Iterable[Row], continuation: str | None, size: int
) -> Page:
    """The next page.

    Args:
        query: What.
        identity: Text and scope of the query, to which a token is bound.
        rows: Where from, in the order of their numbers.
        continuation: Token of the page before.
        size: Items at most.
    """
    found = [row for row in rows if matches(query, row.document)]
    if query.count:
        return Page([len(found)], None)
    if query.order:
        order = query.order
        # Stable, so ties stay in the order of their numbers.
        found.sort(
            key=cmp_to_key(
                lambda left, right: compare_keys(
                    order, keys_of(order, left.document), keys_of(order, right.document)
                )
            )
        )
    left = query.limit
    if continuation:
        mark = _read_mark(continuation, identity)
        found = [row for row in found if _is_behind(query, row, mark)]
        left = mark.left
    else:
        found = found[query.offset :]
    if left is not None:
        found = found[:left]
    page = found[:size]
    results = [project(query, row.document) for row in page]
    token = None
    if len(found) > len(page) and page:
        remaining = None if left is None else left - len(page)
        last = page[-1]
        token = _write_mark(
            _Mark(keys_of(query.order, last.document), last.number, remaining), identity
        )
    return Page([result for result in results if result is not UNDEFINED], token)


def _is_behind(query: Query, row: Row, mark: _Mark) -> bool:
    sign = compare_keys(query.order, keys_of(query.order, row.document), mark.keys)
    return sign > 0 or (sign == 0 and row.number > mark.number)


def _digest(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _write_mark(mark: _Mark, identity: str) -> str:
    keys: list[Json] = []
    for key in mark.keys:
        keys.append([] if key is UNDEFINED else [key])  # type: ignore[list-item]  # it is JSON
    text = json.dumps([_digest(identity), keys, mark.number, mark.left])
    return base64.b64encode(text.encode()).decode()


def _read_mark(token: str, identity: str) -> _Mark:
    try:
        digest, keys, number, left = json.loads(base64.b64decode(token, validate=True))
        mark = _Mark([key[0] if key else UNDEFINED for key in keys], int(number), left)
    except (ValueError, TypeError):
        raise bad_request("Invalid Continuation Token") from None
    if digest != _digest(identity):
        raise bad_request("Invalid Continuation Token")
    return mark
