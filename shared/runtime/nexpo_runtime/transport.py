"""Who could read along on the way to the parts outside a service: production refuses it.

A field that names such a part is marked with `Outside`; see Settings.problems.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    from .settings import Settings


@dataclass(frozen=True, slots=True)
class Outside:
    """Marks a field whose value says where a part outside the service is.

    Attributes:
        exposed: Of the settings and one value: why others on the way could read along or
            put themselves between, and what to set; empty when they cannot. It is not asked
            about what is malformed or stays on this machine.
        hosts: The hosts in a value; by default, those of a URL or of `host:port`.
    """

    exposed: Callable[[Settings, str], str]
    hosts: Callable[[str], list[str]] = lambda value: hosts_of(value)


@dataclass(frozen=True, slots=True)
class Plain:
    """Marks a field that looks like such a part, and why no rule is for it.

    Attributes:
        why: One sentence.
    """

    why: str


def exposed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each marked field that others could read along with, and why."""
    for name, info in type(settings).model_fields.items():
        rules = [mark for mark in info.metadata if isinstance(mark, Outside)]
        for value in _texts(getattr(settings, name, None)):
            for rule in rules:
                if why := judged(rule, settings, value):
                    yield name, why


def https(_: Settings, url: str) -> str:
    """The rule of what is reached over HTTP."""
    return "" if url.startswith("https://") else "http:// is clear text; use https://"


def to_temporal(settings: Settings, _: str) -> str:
    """The rule of Temporal."""
    if settings.temporal_encrypted or not settings.enable_temporal:
        return ""
    return "Temporal is reached in clear text; set TEMPORAL_TLS=true, or TEMPORAL_TLS_CA=file"


def to_listener(settings: Settings, _: str) -> str:
    """The rule of where a service's own gRPC listens."""
    if settings.grpc_tls_cert is not None:
        return ""
    return "serves gRPC in clear text; set GRPC_TLS_CERT and GRPC_TLS_KEY"


def to_workers(settings: Settings, _: str) -> str:
    """The rule of the workers' gRPC."""
    if settings.grpc_tls_ca is not None:
        return ""
    return "a worker is reached in clear text; set GRPC_TLS_CA, GRPC_TLS_CERT and GRPC_TLS_KEY"


def hosts_of(value: str) -> list[str]:
    """The hosts of a URL, which may name several, or of `host:port`.

    Raises:
        ValueError: It is neither.
    """
    authority = urlsplit(value if "://" in value else f"//{value}").netloc.rpartition("@")[2]
    return [urlsplit(f"//{part}").hostname or "" for part in unquote(authority).split(",")]


def stays_here(host: str) -> bool:
    """Whether what is sent to the host does not leave this machine: loopback, Unix socket."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("/")


def judged(rule: Outside, settings: Settings, value: str) -> str:
    """Why others could read along on the way to a part, and what to set; or nothing."""
    try:
        hosts = rule.hosts(value)
        return "" if hosts and all(map(stays_here, hosts)) else rule.exposed(settings, value)
    except ValueError:  # malformed, which another check says
        return ""


def _texts(value: object) -> list[str]:
    match value:
        case SecretStr():
            return _texts(value.get_secret_value())
        case str():
            return [value] if value else []
        case tuple():
            return [text for part in value for text in _texts(part)]
    return []
