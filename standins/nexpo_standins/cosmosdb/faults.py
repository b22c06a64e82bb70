"""Faults on demand, over HTTP on the same port, under /_fault.

With `authorization: Bearer <the account's key>`:

    POST /_fault      adds a fault, answers it with its id
    GET /_fault       lists faults, with how often each has struck
    DELETE /_fault    removes all, and lets go of what they hold
    DELETE /_fault/3  removes one

A fault is a JSON object; each field may be left out:

    action       "refuse" (the default): answer with `status`, `substatus` and
                 `retry_after_ms`; "drop": cut the connection; "hold": wait until the
                 fault is removed, or `seconds` have passed
    moment       "before" (the default) the request is carried out, or "after" it was,
                 when its effect is on disk
    times        how many requests it strikes; all when left out
    operation    create, upsert, replace, delete, read, query, batch, changes, list,
                 account, pkranges, create_container, ...
    collection   id of the container
    contains     part of the request's path, partition key header or body
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from nexpo_standins.cosmosdb.catalog import Json, Object
from nexpo_standins.cosmosdb.refusals import Refusal, bad_request, not_found

Moment = Literal["before", "after"]
_ACTIONS = ("refuse", "drop", "hold")
_KINDS: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "float": (int, float)}


class DropConnectionError(Exception):
    """The connection must be cut, with no answer."""


@dataclass
class Fault:
    """One fault; see the module. `struck` counts the requests that met it."""

    id: int = 0
    action: str = "refuse"
    moment: str = "before"
    times: int | None = None
    operation: str | None = None
    collection: str | None = None
    contains: str | None = None
    status: int = 503
    substatus: int = 0
    retry_after_ms: int | None = None
    seconds: float | None = None
    struck: int = 0
    removed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def as_json(self) -> Object:
        """The fault as the end point shows it."""
        names = [item.name for item in fields(self) if item.name != "removed"]
        return {name: getattr(self, name) for name in names}

    def fits(self, operation: str, collection: str, text: str) -> bool:
        """Whether it strikes such a request now."""
        return (
            (self.times is None or self.struck < self.times)
            and self.operation in (None, operation)
            and self.collection in (None, collection)
            and (self.contains is None or self.contains in text)
        )

    async def strike(self) -> None:
        """Does what it is for.

        Raises:
            Refusal: For "refuse".
            DropConnectionError: For "drop".
        """
        if self.action == "drop":
            raise DropConnectionError
        if self.action == "hold":
            try:
                await asyncio.wait_for(self.removed.wait(), self.seconds)
            except TimeoutError:
                return
            return
        headers = {}
        if self.retry_after_ms is not None:
            headers["x-ms-retry-after-ms"] = str(self.retry_after_ms)
        raise Refusal(self.status, "The stand-in was told to fail.", self.substatus, headers)


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._last = 0

    def choose(self, operation: str, collection: str, text: str) -> Fault | None:
        """The first fault that strikes this request; counts it."""
        for fault in self._faults:
            if fault.fits(operation, collection, text):
                fault.struck += 1
                return fault
        return None

    def serve(self, method: str, path: str, body: Json) -> Json:
        """Answers a request to the end point."""
        name = path.removeprefix("/_fault").strip("/")
        match method, name:
            case "POST", "":
                fault = _read(body)
                self._last += 1
                fault.id = self._last
                self._faults.append(fault)
                return fault.as_json()
            case "GET", "":
                return [fault.as_json() for fault in self._faults]
            case "DELETE", "":
                return self._remove(self._faults)
            case "DELETE", _:
                found = [fault for fault in self._faults if str(fault.id) == name]
                if not found:
                    raise not_found()
                return self._remove(found)
        raise Refusal(405, "POST, GET or DELETE /_fault, or DELETE /_fault/<id>.")

    def release(self) -> None:
        """Lets go of everything that is held."""
        self._remove(self._faults)

    def _remove(self, gone: list[Fault]) -> Json:
        for fault in gone:
            fault.removed.set()
        shown: list[Json] = [fault.as_json() for fault in gone]
        self._faults = [fault for fault in self._faults if not fault.removed.is_set()]
        return shown


def _read(body: Json) -> Fault:
    if not isinstance(body, Mapping):
        raise bad_request("A fault is a JSON object.")
    kinds = {item.name: str(item.type) for item in fields(Fault)}
    for name, value in body.items():
        if name in ("id", "struck", "removed") or name not in kinds:
            raise bad_request(f"A fault has no field {name!r}.")
        base, _, optional = kinds[name].partition(" | ")
        fits = isinstance(value, _KINDS[base]) and not isinstance(value, bool)
        if not fits and not (value is None and optional):
            raise bad_request(f"The field {name!r} is of type {kinds[name]}.")
    fault = Fault(**body)  # type: ignore[arg-type]  # checked above
    if fault.action not in _ACTIONS or fault.moment not in get_args(Moment):
        raise bad_request(f"action is one of {_ACTIONS}, moment one of {get_args(Moment)}.")
    if fault.action == "refuse" and not 400 <= fault.status <= 599:
        raise bad_request("status is 400 to 599.")
    return fault
