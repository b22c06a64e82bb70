"""Transactional batches: all operations of one logical partition, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexpo_standins.cosmosdb.catalog import Json, Object
from nexpo_standins.cosmosdb.disk import Disk
from nexpo_standins.cosmosdb.items import Items
from nexpo_standins.cosmosdb.refusals import Refusal, bad_request

MAX_OPERATIONS = 100


class _UndoneError(Exception):
    """Ends the transaction."""


def run_batch(
    disk: Disk, items: Items, partition: str, operations: Sequence[Json]
) -> tuple[int, list[Json]]:
    """Runs a batch.

    Returns:
        The status of the answer: 200, or 207 when nothing was done; and one result
        per operation: that which failed has its status, all others 424.
    """
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise bad_request(f"A batch has 1 to {MAX_OPERATIONS} operations.")
    results: list[Json] = []
    try:
        with disk.transaction():
            for operation in operations:
                if not isinstance(operation, dict):
                    raise bad_request("An operation of a batch is an object.")
                try:
                    results.append(_run(items, partition, operation))
                except Refusal as refusal:
                    results.append(_result(refusal.status, None, refusal.substatus))
                    raise _UndoneError from None
    except _UndoneError:
        failed = len(results) - 1
        return 207, [
            results[failed] if place == failed else _result(424, None)
            for place in range(len(operations))
        ]
    return 200, results


def _run(items: Items, partition: str, operation: Object) -> Json:
    kind, name = operation.get("operationType"), str(operation.get("id"))
    body, match = operation.get("resourceBody"), operation.get("ifMatch")
    document = body if isinstance(body, dict) else {}
    if_match = match if isinstance(match, str) else None

    def upsert() -> Json:
        new, document_after = items.upsert(partition, document, if_match)
        return _result(201 if new else 200, document_after)

    def delete() -> Json:
        items.delete(partition, name, if_match)
        return _result(204, None)

    runs: dict[str, Callable[[], Json]] = {
        "Create": lambda: _result(201, items.create(partition, document)),
        "Upsert": upsert,
        "Replace": lambda: _result(200, items.replace(partition, name, document, if_match)),
        "Read": lambda: _result(200, items.read(partition, name)),
        "Delete": delete,
    }
    if not isinstance(kind, str) or kind not in runs:
        raise bad_request(f"This stand-in does not know the operation {kind!r} in a batch.")
    return runs[kind]()


def _result(status: int, document: Object | None, substatus: int = 0) -> Object:
    result: Object = {"statusCode": status, "requestCharge": 1.0}
    if substatus:
        result["subStatusCode"] = substatus
    if document is not None:
        result["eTag"] = document["_etag"]
        result["resourceBody"] = document
    return result
