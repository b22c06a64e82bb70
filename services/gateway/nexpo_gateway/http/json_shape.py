"""The shape of JSON before it is parsed: how deep it goes, how many elements it has.

A parser makes an object of every element first, and only then could anyone
count them. Here nothing is made: the bytes are counted, each by loops in C.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from ..content.elements import MOST_ELEMENTS

DEEPEST = 64
"""Objects and lists in each other. A reader that goes deeper uses up the stack."""

_SPACE = b" \t\r\n"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")
_STEPS = {**dict.fromkeys(b"{[", 1), **dict.fromkeys(b"}]", -1)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What JSON would make its parser do.

    Of what is not JSON, at least what stands before the mistake is counted, and a
    parser reads no further.

    Attributes:
        too_many: Whether it has more names and items than a request may.
        too_deep: Whether it goes deeper than a request may.
    """

    too_many: bool
    too_deep: bool


def shape_of(body: bytes) -> Shape:
    """The shape of JSON."""
    opened = body.count(b"{") + body.count(b"[")
    if opened <= DEEPEST and opened + body.count(b",") <= MOST_ELEMENTS:
        return Shape(False, False)  # Even with those that stand in texts.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A text has two quotes, and an element is at most two texts: a name and a value.
    if plain.count(b'"') > 4 * (MOST_ELEMENTS + 1):
        return Shape(True, False)
    # Without spaces, and every text a single quote.
    structure = b'"'.join(plain.split(b'"')[::2]).translate(None, _SPACE)
    return Shape(_elements(structure) > MOST_ELEMENTS, _depth(structure) > DEEPEST)


def _elements(structure: bytes) -> int:
    empty = structure.count(b"{}") + structure.count(b"[]")
    first = structure.count(b"{") + structure.count(b"[") - empty
    return structure.count(b",") + first


def _depth(structure: bytes) -> int:
    # JSON with no more elements than allowed has no more brackets.
    brackets = structure.translate(None, _NOT_BRACKETS)[: 2 * (MOST_ELEMENTS + 1)]
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
