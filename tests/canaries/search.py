"""Finds a text in bytes, whatever it was wrapped in: UTF-16, base64, percent-escapes."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

_CHUNK = 1 << 20


def disguises(text: str) -> set[bytes]:
    """The forms of a text that anybody can read back.

    In base64 a text looks different at each of the three places where it can
    begin; its first and last characters, which its neighbours change, are left out.
    """
    plain = text.encode()
    forms = {plain, text.encode("utf-16-le"), plain.hex().encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        begin, end = (4 if shift else 0), (len(coded) // 4 - 1) * 4
        forms.add(coded[begin:end])
    return forms


def found_in(data: bytes, text: str) -> bool:
    """Whether a text is in there, in any of its forms."""
    lower = data.lower()
    return any(form in data or form.lower() in lower for form in disguises(text))


def files_with(folder: Path, texts: Sequence[str]) -> Iterator[Path]:
    """The files under a folder that hold one of the texts; relative paths.

    All texts begin alike: only where that beginning is found is each looked for.
    """
    alike = disguises(os.path.commonprefix(texts))  # noqa: RUF071  # texts, no paths
    forms = frozenset().union(*map(disguises, texts))
    for file in sorted(folder.rglob("*")):
        if file.is_file() and _holds(file, alike, forms):
            yield file.relative_to(folder)


def _holds(file: Path, alike: Set[bytes], forms: Set[bytes]) -> bool:
    overlap = max(len(form) for form in forms)
    try:
        with file.open("rb") as source:
            tail = b""
            while chunk := source.read(_CHUNK):
                seen = tail + chunk
                if any(form in seen for form in alike) and any(form in seen for form in forms):
                    return True
                tail = chunk[-overlap:]
    except FileNotFoundError:  # a server has deleted it meanwhile
        return False
    return False
