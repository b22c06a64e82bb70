"""What a request asks for: its resource, its operation, its headers and body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from nexpo_standins.cosmosdb.catalog import Container, Json, Object
from nexpo_standins.cosmosdb.items import Scope, partition_text
from nexpo_standins.cosmosdb.partition_hash import UNDEFINED
from nexpo_standins.cosmosdb.refusals import Refusal, bad_request, not_found

_VERBS = {"POST": "create", "GET": "read", "PUT": "replace", "DELETE": "delete"}
_RESOURCES = {"dbs": "database", "colls": "container"}
_LEVELS = tuple(_RESOURCES)


@dataclass(frozen=True)
class Request:
    """A request of the REST protocol.

    Attributes:
        method: HTTP verb.
        names: Ids on the path: database, container, item.
        kind: Type of the resource: "", "dbs", "colls", "docs", "pkranges".
        link: What is signed.
        is_feed: The path names the collection of resources, not one.
        headers: With names in lower case.
        body: As sent.
    """

    method: str
    names: tuple[str, ...]
    kind: str
    link: str
    is_feed: bool
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, method: str, raw_path: str, headers: Mapping[str, str], body: bytes) -> Request:
        """Reads a request."""
        parts = [unquote(part) for part in raw_path.strip("/").split("/") if part]
        kinds = tuple(parts[0::2])
        if kinds[:2] != _LEVELS[: len(kinds)] or len(kinds) > 3:
            raise not_found()
        is_feed = len(parts) % 2 == 1
        owner = parts[:-1] if is_feed else parts
        return cls(
            method=method,
            names=tuple(owner[1::2]),
            kind=(parts[-1] if is_feed else parts[-2]) if parts else "",
            link="/".join(owner),
            is_feed=is_feed,
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
        )

    @property
    def operation(self) -> str:
        """The name of what is asked, as `faults` and the server know it."""
        if self.kind == "":
            return "account"
        if self.kind == "pkranges":
            return "pkranges"
        verb = _VERBS.get(self.method, "")
        if self.is_feed and verb == "read":
            verb = "list"
        if self.kind == "docs":
            return self._item_operation(verb)
        return f"{verb}_{_RESOURCES.get(self.kind, self.kind)}"

    @property
    def collection(self) -> str:
        """Id of the container, or empty."""
        return self.names[1] if len(self.names) > 1 else ""

    @property
    def text(self) -> str:
        """What a fault may look for."""
        partition = self.headers.get("x-ms-documentdb-partitionkey", "")
        return f"{self.link}\n{partition}\n{self.body.decode(errors='replace')}"

    def flag(self, header: str) -> bool:
        """Whether a header says true."""
        return self.headers.get(header, "").lower() == "true"

    def number(self, header: str, default: int) -> int:
        """A header that is a number; the default when it is missing or -1."""
        try:
            value = int(self.headers.get(header, "-1"))
        except ValueError:
            raise bad_request(f"The header {header} is not a number.") from None
        return value if value > 0 else default

    def json(self) -> Json:
        """The body."""
        return read_json(self.body)

    def document(self) -> Object:
        """The body, which must be an object."""
        value = self.json()
        if not isinstance(value, dict):
            raise bad_request("The input content is not a JSON object.")
        return value

    def partition(self, container: Container) -> str:
        """The logical partition that the header names, in full."""
        values = self._partition_values()
        if values is None:
            raise bad_request("PartitionKey value must be supplied for this operation.")
        if len(values) != len(container.partition_paths):
            raise bad_request(
                "Partition key provided either doesn't correspond to definition in the collection"
                " or doesn't match partition key field values specified in the document.",
                1001,
            )
        return partition_text(values)

    def scope(self, container: Container) -> Scope:
        """The part of the container that a query or a feed reads."""
        start = self.headers.get("x-ms-start-epk")
        if start is not None:
            return Scope(start=start, end=self.headers.get("x-ms-end-epk", "FF"))
        if self._partition_values() is None:
            return Scope()
        return Scope(partition=self.partition(container))

    def _partition_values(self) -> list[object] | None:
        header = self.headers.get("x-ms-documentdb-partitionkey")
        if header is None:
            return None
        try:
            values = json.loads(header)
        except ValueError:
            values = None
        if not isinstance(values, list):
            raise bad_request("Partition key header is not a JSON array.")
        return [UNDEFINED if value == {} else value for value in values]

    def _item_operation(self, verb: str) -> str:
        if verb == "list":
            return "changes" if "a-im" in self.headers else "list"
        if not self.is_feed or verb != "create":
            return verb
        content = self.headers.get("content-type", "")
        if self.flag("x-ms-documentdb-isquery") or content.startswith("application/query+json"):
            return "query"
        if self.flag("x-ms-cosmos-is-batch-request"):
            return "batch"
        return "upsert" if self.flag("x-ms-documentdb-is-upsert") else "create"


def read_json(content: bytes) -> Json:
    """Strict JSON: no NaN. Raises: Refusal: 400."""
    try:
        value: Json = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise bad_request("The input content is not valid JSON.") from None
    return value


def _refuse_constant(name: str) -> object:
    raise Refusal(400, f"{name} is not JSON.")
