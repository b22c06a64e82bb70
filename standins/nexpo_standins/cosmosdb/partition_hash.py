"""Effective partition keys: where a logical partition lies on the ring of hashes.

MurmurHash3 x64 128 by Austin Appleby (public domain); the encoding around it is the
one of partition key version 2: one type byte, the value, and for strings an 0xFF.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MASK = (1 << 64) - 1
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
_UNDEFINED, _NULL, _FALSE, _TRUE, _NUMBER, _STRING = 0x00, 0x01, 0x02, 0x03, 0x05, 0x08


class Undefined:
    """The value of a path that a document does not have."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = Undefined()


def effective_key(values: Sequence[object]) -> str:
    """Upper-case hexadecimal; for hierarchical keys the hashes of all levels, joined."""
    return "".join(_level(value) for value in values)


def _level(value: object) -> str:
    digest = bytearray(_murmur128(_encode(value))[::-1])
    digest[0] &= 0x3F  # below "FF", the end of the ring
    return digest.hex().upper()


def _encode(value: object) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case True:
            return bytes([_TRUE])
        case False:
            return bytes([_FALSE])
        case int() | float():
            return bytes([_NUMBER]) + struct.pack("<d", value)
        case str():
            return bytes([_STRING]) + value.encode() + b"\xff"
        case _:
            return bytes([_UNDEFINED])


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _finish(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & _MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ value >> 33


def _murmur128(data: bytes) -> bytes:
    h1 = h2 = 0
    whole = len(data) - len(data) % 16
    for k1, k2 in struct.iter_unpack("<QQ", data[:whole]):
        h1 ^= _rotate(k1 * _C1 & _MASK, 31) * _C2 & _MASK
        h1 = ((_rotate(h1, 27) + h2) * 5 + 0x52DCE729) & _MASK
        h2 ^= _rotate(k2 * _C2 & _MASK, 33) * _C1 & _MASK
        h2 = ((_rotate(h2, 31) + h1) * 5 + 0x38495AB5) & _MASK
    k1, k2 = struct.unpack("<QQ", data[whole:].ljust(16, b"\0"))
    h2 ^= _rotate(k2 * _C2 & _MASK, 33) * _C1 & _MASK
    h1 ^= _rotate(k1 * _C1 & _MASK, 31) * _C2 & _MASK
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1, h2 = _finish(h1), _finish(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return struct.pack("<QQ", h1, h2)
