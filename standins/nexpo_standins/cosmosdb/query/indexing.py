"""Which ORDER BY an indexing policy can serve."""

from __future__ import annotations

from collections.abc import Sequence

from nexpo_standins.cosmosdb.catalog import Json, Path
from nexpo_standins.cosmosdb.query.syntax import Order
from nexpo_standins.cosmosdb.refusals import bad_request


def check_order(order: Sequence[Order], policy: Json) -> None:
    """Refuses an ORDER BY that has no index: 400, as the service does."""
    rules = policy if isinstance(policy, dict) else {}
    if len(order) == 1 and not _is_indexed(order[0].path, rules):
        raise bad_request(
            "The index path corresponding to the specified order-by item is excluded."
        )
    if len(order) > 1 and not any(
        _serves(index, order) for index in _lists(rules.get("compositeIndexes"))
    ):
        raise bad_request(
            "The order by query does not have a corresponding composite index that it can be"
            " served from."
        )


def _serves(index: Json, order: Sequence[Order]) -> bool:
    keys = [
        (_text(key.get("path")), key.get("order", "ascending") == "descending")
        for key in _lists(index)
        if isinstance(key, dict)
    ]
    wanted = [("/" + "/".join(key.path), key.descending) for key in order]
    turned = [(path, not descending) for path, descending in wanted]
    return keys in (wanted, turned)


def _is_indexed(path: Path, rules: dict[str, Json]) -> bool:
    included = [_specificity(path, rule) for rule in _lists(rules.get("includedPaths"))]
    excluded = [_specificity(path, rule) for rule in _lists(rules.get("excludedPaths"))]
    # The more specific path wins.
    return max(included, default=-1) > max(excluded, default=-1)


def _specificity(path: Path, rule: Json) -> int:
    text = _text(rule.get("path")) if isinstance(rule, dict) else ""
    parts = [part.strip('"') for part in text.strip("/").split("/")]
    end = parts.pop() if parts else ""
    if end == "*":
        return len(parts) if list(path[: len(parts)]) == parts else -1
    return len(parts) if end == "?" and list(path) == parts else -1


def _lists(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
