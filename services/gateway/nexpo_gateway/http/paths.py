"""HTTP paths of google.api.http: templates compiled, and requests matched to them.

Source: the comment of google/api/http.proto, "Path template syntax".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from google.api.http_pb2 import HttpRule

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault, FieldViolation

from ..content.validation import invalid
from ..contract import Contract, Rpc

_VARIABLE = re.compile(r"\{(?P<name>[\w.]+)(?:=(?P<pattern>[^}]+))?\}")
_VERB = re.compile(r":(?P<verb>[^:/{}]+)$")


@dataclass(frozen=True, slots=True)
class Route:
    """One way to call an RPC over HTTP.

    Attributes:
        rpc: What it calls.
        verb: HTTP method.
        pattern: Matches the raw path, still percent-encoded.
        variables: Path of the field by the pattern's group; whether it spans segments.
        body: Field that the body is: "*" for the whole message, "" for none.
        response_body: Field of the response that is sent alone, or "".
    """

    rpc: Rpc
    verb: str
    pattern: re.Pattern[str]
    variables: Mapping[str, tuple[str, bool]]
    body: str
    response_body: str


@dataclass(frozen=True, slots=True)
class Matched:
    """A route, and what the path says of its fields."""

    route: Route
    values: Mapping[str, str]


class Routes:
    """Finds the route of a request."""

    def __init__(self, contract: Contract) -> None:
        self._by_shape: dict[tuple[int | None, str], list[Route]] = defaultdict(list)
        for rpc in contract.rpcs:
            for binding in rpc.bindings:
                shape, route = compile_route(rpc, binding)
                self._by_shape[shape].append(route)

    def match(self, verb: str, raw_path: str) -> Matched:
        """The route for a verb and a path.

        Raises:
            Fault: UNKNOWN_METHOD; METHOD_NOT_ALLOWED with metadata "allow";
                INVALID_ARGUMENT: the path is not UTF-8.
        """
        allowed: set[str] = set()
        for route in self._candidates(raw_path):
            match = route.pattern.fullmatch(raw_path)
            if match is None:
                continue
            if route.verb == verb:
                return Matched(route, _values(route, match))
            allowed.add(route.verb)
        if allowed:
            allow = ", ".join(sorted(allowed))
            raise Fault(
                Reason.REASON_METHOD_NOT_ALLOWED,
                f"This path allows {allow} only.",
                metadata={"allow": allow},
            )
        raise Fault(Reason.REASON_UNKNOWN_METHOD, "There is no such method.")

    def _candidates(self, raw_path: str) -> Iterable[Route]:
        verb = _VERB.search(raw_path)
        suffix = verb["verb"] if verb else ""
        segments = raw_path.count("/")
        return (*self._by_shape[segments, suffix], *self._by_shape[None, suffix])


def compile_route(rpc: Rpc, binding: HttpRule) -> tuple[tuple[int | None, str], Route]:
    """A binding's route, and its shape: number of segments (None: any) and custom verb."""
    kind = binding.WhichOneof("pattern") or "get"
    if kind == "custom":
        http_verb, template = binding.custom.kind, binding.custom.path
    else:
        http_verb, template = kind.upper(), getattr(binding, kind)
    verb = _VERB.search(template)
    suffix = verb["verb"] if verb else ""
    bare = template[: verb.start()] if verb else template
    variables: dict[str, tuple[str, bool]] = {}
    regex, last = "", 0
    for number, match in enumerate(_VARIABLE.finditer(bare)):
        pattern = match["pattern"] or "*"
        variables[f"v{number}"] = (match["name"], "/" in pattern or "**" in pattern)
        regex += _segments(bare[last : match.start()]) + f"(?P<v{number}>{_segments(pattern)})"
        last = match.end()
    regex += _segments(bare[last:]) + (re.escape(":" + suffix) if suffix else "")
    flat = _VARIABLE.sub(lambda match: match["pattern"] or "*", bare)
    shape = (None if "**" in flat else flat.count("/"), suffix)
    route = Route(rpc, http_verb, re.compile(regex), variables, binding.body, binding.response_body)
    return shape, route


def _segments(template: str) -> str:
    """A template without variables as a regular expression; a colon always begins a verb."""
    parts = re.split(r"(\*\*|\*)", template)
    known = {"*": "[^/:]+", "**": "[^:]*"}
    return "".join(known.get(part) or re.escape(part) for part in parts)


def _values(route: Route, match: re.Match[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for group, (name, spans) in route.variables.items():
        raw = match[group]
        if spans:
            # An encoded slash stays encoded, or it could not be told from a separator.
            raw = raw.replace("%2F", "%252F").replace("%2f", "%252f")
        try:
            values[name] = unquote_to_bytes(raw).decode()
        except UnicodeDecodeError:
            raise invalid([FieldViolation(name, "is not valid UTF-8")]) from None
    return values
