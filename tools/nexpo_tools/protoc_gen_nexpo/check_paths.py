"""Checks the REST routes: where they lie, their bodies, and that none hides another.

The gateway takes the first route that fits a request, so of two that fit the same
one the second can never be called.

Source of the syntax: the comment of google/api/http.proto, "Path template syntax".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nexpo_tools.protoc_gen_nexpo.model import Contract, Method, Problem, Service

_VARIABLE = re.compile(r"\{[\w.]+(?:=([^{}]*))?\}")
_VERB = re.compile(r":([^:/{}]+)$")
_WITHOUT_BODY = ("GET", "DELETE")


@dataclass(frozen=True, slots=True)
class _Route:
    """One way to call a method.

    Attributes:
        subject: The method, for people.
        verb: HTTP method.
        path: As the proto has it.
        segments: Literals, "*" for one of any text, "**" for any number of them.
        custom: The custom verb after a colon, or "".
    """

    subject: str
    verb: str
    path: str
    segments: tuple[str, ...]
    custom: str


def check_paths(contract: Contract) -> Iterator[Problem]:
    """Problems of every route."""
    seen: list[_Route] = []
    for service in contract.services():
        for method in service.methods:
            subject = f"{service.name}.{method.name}"
            for advice in (*_versioned(method, service), *_bodies(method)):
                yield Problem(method.place, subject, advice)
            for verb, path in method.http:
                route = _route(subject, verb, path)
                for other in seen:
                    if _meet(route, other):
                        advice = (
                            f'"{verb} {path}" fits the same requests as "{other.path}" of'
                            f" {other.subject}; change one of them"
                        )
                        yield Problem(method.place, subject, advice)
                seen.append(route)


def _versioned(method: Method, service: Service) -> Iterator[str]:
    # Beside them the gateway has routes of its own: /live, /ready, /verify and more.
    package = service.full_name.rpartition(".")[0]
    version = package.rpartition(".")[2]
    for _, path in method.http:
        if not path.startswith(f"/{version}/"):
            yield f'path "{path}" does not begin with "/{version}/", as {package}; correct it'


def _bodies(method: Method) -> Iterator[str]:
    for (verb, _), body in zip(method.http, method.bodies, strict=True):
        if not body:
            continue
        if verb in _WITHOUT_BODY:
            yield f"a {verb} has no body; remove body, or use POST"
        elif body != "*" and body not in method.request.fields:
            yield (
                f'body "{body}" is no field of {method.request.full_name}; correct it, or "*"'
                " for the whole message"
            )


def _route(subject: str, verb: str, path: str) -> _Route:
    custom = _VERB.search(path)
    bare = path[: custom.start()] if custom else path
    flat = _VARIABLE.sub(lambda match: match[1] or "*", bare)
    segments = tuple(flat.strip("/").split("/"))
    return _Route(subject, verb, path, segments, custom[1] if custom else "")


def _meet(one: _Route, other: _Route) -> bool:
    """Whether a request exists that fits both."""
    if (one.verb, one.custom) != (other.verb, other.custom):
        return False
    return _overlap(one.segments, other.segments)


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return all(segment == "**" for segment in (*one, *other))
    if one[0] == "**":
        return _overlap(one[1:], other) or _overlap(one, other[1:])
    if other[0] == "**":
        return _overlap(other, one)
    return (one[0] == other[0] or "*" in (one[0], other[0])) and _overlap(one[1:], other[1:])
