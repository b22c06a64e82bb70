"""Which URLs of databases let others read along on the way."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import hosts_of

_YES = ("true", "1")
_UNCHECKED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def to_postgres(_: Settings, url: str) -> str:
    """The rule of PostgreSQL; its driver encrypts by itself only where that is possible."""
    mode = _options(url).get("sslmode", "prefer")
    if mode in ("verify-ca", "verify-full"):
        return ""
    if mode == "require":
        return (
            "sslmode=require encrypts for whoever answers; set sslmode=verify-full and"
            " sslrootcert=file"
        )
    return f"sslmode={mode} allows clear text; set sslmode=verify-full and sslrootcert=file"


def postgres_hosts(url: str) -> list[str]:
    """The hosts of PostgreSQL's URL, which may stand in its options; Unix sockets, too."""
    host = _options(url).get("host", "")
    return host.split(",") if host else hosts_of(url)


def to_mongodb(_: Settings, url: str) -> str:
    """The rule of MongoDB."""
    options = _options(url)
    default = "true" if url.startswith("mongodb+srv://") else "false"
    if options.get("tls", options.get("ssl", default)).lower() not in _YES:
        return "MongoDB is reached in clear text; set tls=true"
    for name in _UNCHECKED:
        if options.get(name, "").lower() in _YES:
            return f"{name} encrypts for whoever answers; unset it, and set tlsCAFile=file"
    return ""


def to_sqlserver(_: Settings, url: str) -> str:
    """The rule of SQL Server."""
    from nexpo_db_worker.providers.sqlserver.target import Target  # its package needs the driver

    return Target.parse(url).unsafe


def sqlserver_problem(url: str) -> str:
    """What is wrong with SQL Server's URL; empty for nothing."""
    from nexpo_db_worker.providers.sqlserver.target import Target

    try:
        certificate = Target.parse(url).certificate
    except ValueError as error:
        return f"{error} Correct it"
    if certificate and not Path(certificate).is_file():
        return "there is no such file as its Certificate; give the path of a PEM file"
    return ""


def _options(url: str) -> dict[str, str]:
    return {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
