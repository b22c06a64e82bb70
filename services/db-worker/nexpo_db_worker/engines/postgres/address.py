"""What a URL of PostgreSQL says: "postgresql://user:password@host:port/database"."""

from __future__ import annotations

import os
from pathlib import Path

from nexpo_db_worker.engines.urls import as_written, missing_file, options_of
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside, hosts_of

SCHEMES = ("postgresql", "postgres")
_FILES = ("sslrootcert", "sslcert", "sslkey")
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def exposed(_: Settings, url: str) -> str:
    """Who could read along; the driver encrypts by itself only where that is possible."""
    # It takes SSLMODE for a setting of the server, and does without.
    mode = as_written(url).get("sslmode", "prefer")
    if mode in ("verify-ca", "verify-full"):
        return ""
    if mode == "require":
        return (
            "sslmode=require encrypts for whoever answers; set sslmode=verify-full and"
            " sslrootcert=file"
        )
    return f"sslmode={mode} allows clear text; set sslmode=verify-full and sslrootcert=file"


def hosts(url: str) -> list[str]:
    """The hosts, which may stand in the options; Unix sockets, too."""
    host = as_written(url).get("host", "")
    return host.split(",") if host else hosts_of(url)


def problem(url: str) -> str:
    """Why no connection could be made with the options; or nothing."""
    if wrong := missing_file(url, _FILES):
        return wrong
    mode = as_written(url).get("sslmode", "prefer")
    if mode not in _MODES:
        return f"sslmode must be one of {', '.join(_MODES)}"
    options = options_of(url)
    verifies = options.get("sslmode", "").startswith("verify-")
    if verifies and "sslrootcert" not in options and not _has_root_certificate():
        return "sslmode verifies, but against what? Set sslrootcert=file"
    return ""


def _has_root_certificate() -> bool:
    """Whether the driver finds one by itself."""
    return "PGSSLROOTCERT" in os.environ or Path("~/.postgresql/root.crt").expanduser().is_file()


OUTSIDE = Outside(exposed, hosts)
