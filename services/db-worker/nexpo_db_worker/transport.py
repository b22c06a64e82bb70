"""The ways to the databases: which URLs let others read along, and which lead nowhere."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import hosts_of

_YES = ("true", "1")
_FILES = (
    *("sslrootcert", "sslcert", "sslkey"),
    *("tlsCAFile", "tlsCertificateKeyFile"),
    "Certificate",
)
_UNCHECKED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def to_postgres(_: Settings, url: str) -> str:
    """The rule of PostgreSQL; its driver encrypts by itself only where that is possible."""
    # Its driver takes SSLMODE for a setting of the server, and does without.
    mode = _as_written(url).get("sslmode", "prefer")
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
    host = _as_written(url).get("host", "")
    return host.split(",") if host else hosts_of(url)


def to_mongodb(_: Settings, url: str) -> str:
    """The rule of MongoDB."""
    # Its driver separates by these, too, where there is no ampersand.
    options = _options(url.replace(";", "&"))
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


def problem_of(url: str) -> str:
    """What is wrong with a URL's options, so that no connection could be made; or nothing.

    The drivers would say so at the first connection, and each in words of its own.
    """
    if url.startswith("mssql://"):
        from nexpo_db_worker.providers.sqlserver.target import Target

        try:
            Target.parse(url)
        except ValueError as error:
            return f"{error} Correct it"
    options = _options(url)
    for name in _FILES:
        if name.lower() in options and not Path(options[name.lower()]).expanduser().is_file():
            return f"there is no such file as its {name}; give the path of a PEM file"
    verifies = options.get("sslmode", "").startswith("verify-")
    if verifies and "sslrootcert" not in options and not _has_root_certificate():
        return "sslmode verifies, but against what? Set sslrootcert=file"
    return ""


def _has_root_certificate() -> bool:
    """Whether PostgreSQL's driver finds one by itself."""
    return "PGSSLROOTCERT" in os.environ or Path("~/.postgresql/root.crt").expanduser().is_file()


def _options(url: str) -> dict[str, str]:
    return {name.lower(): value for name, value in _as_written(url).items()}


def _as_written(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))
