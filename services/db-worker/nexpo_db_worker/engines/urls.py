"""Options in URLs, as the drivers read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

_BARE_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def misread(url: str) -> bool:
    """Whether drivers would take a part of the URL for another, or refuse it.

    That is what becomes of a password that is written as it is, and of a port that is none.
    """
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    ports = (host.rpartition("]")[2].partition(":")[2] for host in hosts.split(","))
    return (
        "@" in user + parts.path
        or "#" in url
        or _BARE_PERCENT.search(parts.netloc) is not None
        or any(port and not _is_port(port) for port in ports)
    )


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


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
