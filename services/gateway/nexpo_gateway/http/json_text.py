"""The text of a JSON body as values: whole, unambiguous, and bounded before it is parsed."""

from __future__ import annotations

import json
from typing import Any

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo_runtime.errors import Fault

from ..content.elements import too_many_elements
from .json_shape import shape_of

Json = dict[str, Any]

# Every double has a spelling of 25 characters; reading digits takes longer than their number.
_LONGEST_NUMBER = 400


def read_json(body: bytes) -> object:
    """The body as JSON.

    Raises:
        Fault: INVALID_ARGUMENT: it is not JSON; says where. MESSAGE_TOO_LARGE: it
            has too many names and items.
    """
    shape = shape_of(body)
    if shape.too_deep:
        raise not_json("it is nested too deeply")
    if shape.too_many:
        raise too_many_elements()
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise not_json(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise not_json(f"line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise not_json("it is nested too deeply") from None
    except ValueError as error:
        raise not_json(
            error.args[0] if isinstance(error, _Refused) else "a value cannot be read"
        ) from None


def shown(name: str) -> str:
    """A name of the caller's own, cut and made harmless for an error text."""
    return name[:64].encode("ascii", "backslashreplace").decode()


def not_json(where: str) -> Fault:
    """The fault of a body that is no JSON; `where` says at which place, or why."""
    return Fault(Reason.REASON_INVALID_ARGUMENT, f"The body cannot be read as JSON: {where}.")


class _Refused(ValueError):
    """A value that is no JSON, though Python reads it."""


def _refuse_constant(constant: str) -> object:
    raise _Refused(f"{constant} is no JSON value")


def _unique(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f'"{shown(name)}" is given twice')
            seen.add(name)
    return found


def _integer(digits: str) -> int:
    return int(_short(digits))


def _float(digits: str) -> float:
    return float(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise _Refused("a number is too long")
    return digits
