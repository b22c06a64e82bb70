"""Options in URLs, as the drivers read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


def as_written(url: str) -> dict[str, str]:
    """The options by their names as they are written."""
    return dict(parse_qsl(urlsplit(url).query))


def options_of(url: str) -> dict[str, str]:
    """The options by their names in small letters."""
    return {name.lower(): value for name, value in as_written(url).items()}


def missing_file(url: str, names: Iterable[str]) -> str:
    """Which of these options names a file that is not there, and what to do; or nothing."""
    options = options_of(url)
    for name in names:
        if name.lower() in options and not Path(options[name.lower()]).expanduser().is_file():
            return f"there is no such file as its {name}; give the path of a PEM file"
    return ""
