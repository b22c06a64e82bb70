"""Carries out requests on databases, containers and items; in the disk's thread."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from nexpo_standins.cosmosdb.batch import run_batch
from nexpo_standins.cosmosdb.catalog import Catalog, Container, Json, Object
from nexpo_standins.cosmosdb.disk import Disk
from nexpo_standins.cosmosdb.items import Items, Scope
from nexpo_standins.cosmosdb.query.evaluate import required_texts
from nexpo_standins.cosmosdb.query.indexing import check_order
from nexpo_standins.cosmosdb.query.pages import run_query
from nexpo_standins.cosmosdb.query.sql import parse
from nexpo_standins.cosmosdb.query.syntax import Query
from nexpo_standins.cosmosdb.refusals import Refusal, bad_request
from nexpo_standins.cosmosdb.requests import Request

_PAGE = 100


@dataclass
class Answer:
    """A status, a body (None for an empty one), and headers."""

    status: int
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


class Operations:
    """Everything that the account can do, by the names of Request.operation."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._catalog = Catalog(disk)
        self._on_catalog: dict[str, Callable[[Request], Answer]] = {
            "create_database": self._create_database,
            "read_database": lambda r: _resource(self._catalog.database(r.names[0])),
            "list_database": lambda r: _list("Databases", self._catalog.databases()),
            "delete_database": self._delete_database,
            "create_container": self._create_container,
            "read_container": lambda r: _resource(
                self._catalog.container(r.names[0], r.names[1]).body
            ),
            "list_container": lambda r: _list(
                "DocumentCollections", self._catalog.containers(r.names[0])
            ),
            "replace_container": self._replace_container,
            "delete_container": self._delete_container,
        }
        self._on_items: dict[str, Callable[[Request, Container, Items], Answer]] = {
            "create": self._create,
            "upsert": self._upsert,
            "replace": self._replace,
            "delete": self._delete,
            "read": self._read,
            "batch": self._batch,
            "query": self._query,
            "list": self._list_items,
            "changes": self._changes,
        }

    def run(self, request: Request) -> Answer:
        """Carries out a request.

        Raises:
            Refusal: It cannot be done.
        """
        operation = request.operation
        if operation in self._on_catalog:
            return self._on_catalog[operation](request)
        if operation == "pkranges":
            return self._ranges(request)
        if request.kind != "docs" or operation not in self._on_items:
            raise Refusal(405, f"This stand-in does not know {request.method} on {request.kind}.")
        container = self._catalog.container(request.names[0], request.names[1], 1003)
        intended = request.headers.get("x-ms-cosmos-intended-collection-rid")
        if intended not in (None, container.rid):
            raise bad_request("The container was deleted and made again.", 1024)
        items = Items(self._disk, container)
        items.forget_expired()
        try:
            answer = self._on_items[operation](request, container, items)
        except Refusal as refusal:
            refusal.headers |= self._session(container)
            raise
        answer.headers |= self._session(container)
        return answer

    def _session(self, container: Container) -> dict[str, str]:
        return {
            "x-ms-session-token": f"0:1#{self._disk.lsn()}",
            "x-ms-alt-content-path": container.link,
            "x-ms-content-path": container.rid,
        }

    def _create_database(self, request: Request) -> Answer:
        return _resource(self._catalog.create_database(request.document()), 201)

    def _delete_database(self, request: Request) -> Answer:
        self._catalog.delete_database(request.names[0])
        return Answer(204)

    def _create_container(self, request: Request) -> Answer:
        container = self._catalog.create_container(request.names[0], request.document())
        return _resource(container.body, 201)

    def _replace_container(self, request: Request) -> Answer:
        match = request.headers.get("if-match")
        container = self._catalog.replace_container(
            request.names[0], request.names[1], request.document(), match
        )
        return _resource(container.body)

    def _delete_container(self, request: Request) -> Answer:
        self._catalog.delete_container(request.names[0], request.names[1])
        return Answer(204)

    def _ranges(self, request: Request) -> Answer:
        container = self._catalog.container(request.names[0], request.names[1], 1003)
        etag = f'"{container.rid}"'
        if request.headers.get("if-none-match") == etag:
            return Answer(304, None, {"etag": etag})
        one: Object = {
            "_rid": container.rid,
            "id": "0",
            "_etag": etag,
            "minInclusive": "",
            "maxExclusive": "FF",
            "ridPrefix": 0,
            "throughputFraction": 1,
            "status": "online",
            "parents": [],
        }
        body = {"_rid": container.rid, "PartitionKeyRanges": [one], "_count": 1}
        return Answer(200, body, {"etag": etag})

    def _create(self, request: Request, container: Container, items: Items) -> Answer:
        with self._disk.transaction():
            document = items.create(request.partition(container), request.document())
        return _written(request, document, 201)

    def _upsert(self, request: Request, container: Container, items: Items) -> Answer:
        match = request.headers.get("if-match")
        with self._disk.transaction():
            new, document = items.upsert(request.partition(container), request.document(), match)
        return _written(request, document, 201 if new else 200)

    def _replace(self, request: Request, container: Container, items: Items) -> Answer:
        match = request.headers.get("if-match")
        with self._disk.transaction():
            document = items.replace(
                request.partition(container), request.names[2], request.document(), match
            )
        return _written(request, document, 200)

    def _delete(self, request: Request, container: Container, items: Items) -> Answer:
        match = request.headers.get("if-match")
        with self._disk.transaction():
            items.delete(request.partition(container), request.names[2], match)
        return Answer(204)

    def _read(self, request: Request, container: Container, items: Items) -> Answer:
        document = items.read(request.partition(container), request.names[2])
        if request.headers.get("if-none-match") == document["_etag"]:
            return Answer(304, None, {"etag": str(document["_etag"])})
        return _resource(document)

    def _batch(self, request: Request, container: Container, items: Items) -> Answer:
        operations = request.json()
        if not isinstance(operations, list):
            raise bad_request("A batch is a JSON array.")
        partition = request.partition(container)
        status, results = run_batch(self._disk, items, partition, operations)
        return Answer(status, results)

    def _query(self, request: Request, container: Container, items: Items) -> Answer:
        if request.flag("x-ms-cosmos-is-query-plan-request"):
            raise bad_request("This stand-in makes no query plans.")
        body = request.document()
        pairs = body.get("parameters")
        parameters = {
            str(pair["name"]): pair.get("value")
            for pair in (pairs if isinstance(pairs, list) else [])
            if isinstance(pair, dict) and "name" in pair
        }
        query = parse(str(body.get("query", "")), parameters)
        check_order(query.order, container.body["indexingPolicy"])
        return self._page(request, container, items, query, json.dumps(body, sort_keys=True))

    def _list_items(self, request: Request, container: Container, items: Items) -> Answer:
        query = Query((), None, False, None, (), 0, None)
        return self._page(request, container, items, query, "list")

    def _page(
        self, request: Request, container: Container, items: Items, query: Query, text: str
    ) -> Answer:
        scope = request.scope(container)
        across = scope.partition is None and request.operation == "query"
        if across and query.needs_plan:
            raise bad_request(
                "This stand-in serves ORDER BY, TOP, OFFSET and COUNT in one logical partition only"
            )
        allowed = request.flag("x-ms-documentdb-query-enablecrosspartition")
        if across and scope == Scope() and not allowed:
            raise bad_request(
                "Cross partition query is required but disabled. Please set"
                " x-ms-documentdb-query-enablecrosspartition to true."
            )
        page = run_query(
            query,
            f"{container.rid} {scope} {text}",
            items.scan(scope, required_texts(query)),
            request.headers.get("x-ms-continuation"),
            request.number("x-ms-max-item-count", _PAGE),
        )
        count = len(page.results)
        headers = {"x-ms-item-count": str(count)}
        if page.continuation:
            headers["x-ms-continuation"] = page.continuation
        body = {"_rid": container.rid, "Documents": page.results, "_count": count}
        return Answer(200, body, headers)

    def _changes(self, request: Request, container: Container, items: Items) -> Answer:
        if request.headers["a-im"].lower() != "incremental feed":
            raise bad_request("This stand-in has the latest-version change feed only.")
        last = self._disk.lsn()
        mark = request.headers.get("if-none-match")
        after = last if mark == "*" else 0
        if mark not in (None, "*"):
            try:
                after = int(str(mark).strip('"'))
            except ValueError:
                raise bad_request("If-None-Match is not a change feed's etag.") from None
        found: list[Object] = []
        if mark != "*":
            limit = request.number("x-ms-max-item-count", _PAGE)
            since = _unix_time(request.headers.get("if-modified-since"))
            found, after = items.changes(request.scope(container), after, since, limit)
        headers = {"etag": f'"{after}"', "x-ms-item-count": str(len(found))}
        if not found:
            return Answer(304, None, headers)
        body = {"_rid": container.rid, "Documents": found, "_count": len(found)}
        return Answer(200, body, headers)


def _resource(body: Object, status: int = 200) -> Answer:
    return Answer(status, body, {"etag": str(body["_etag"])})


def _written(request: Request, document: Object, status: int) -> Answer:
    answer = _resource(document, status)
    if "return=minimal" in request.headers.get("prefer", ""):
        answer.body = None
    return answer


def _list(name: str, bodies: list[Json]) -> Answer:
    return Answer(200, {"_rid": "", name: bodies, "_count": len(bodies)})


def _unix_time(date: str | None) -> float:
    if date is None:
        return 0
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        raise bad_request("If-Modified-Since is not a date.") from None
