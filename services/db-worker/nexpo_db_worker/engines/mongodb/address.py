"""What a URL of MongoDB says: "mongodb://user:password@host:port/database"."""

from __future__ import annotations

from urllib.parse import urlsplit

from nexpo_db_worker.engines.urls import missing_file, options_of
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside

SCHEMES = ("mongodb", "mongodb+srv")
_YES = ("true", "1")
_FILES = ("tlsCAFile", "tlsCertificateKeyFile")
_UNCHECKED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def exposed(_: Settings, url: str) -> str:
    """Who could read along."""
    # The driver separates by these, too, where there is no ampersand.
    options = options_of(url.replace(";", "&"))
    default = "true" if url.startswith("mongodb+srv://") else "false"
    if options.get("tls", options.get("ssl", default)).lower() not in _YES:
        return "MongoDB is reached in clear text; set tls=true"
    for name in _UNCHECKED:
        if options.get(name, "").lower() in _YES:
            return f"{name} encrypts for whoever answers; unset it, and set tlsCAFile=file"
    return ""


def problem(url: str) -> str:
    """Why no connection could be made with the options; or nothing."""
    if urlsplit(url).netloc.rpartition("@")[0].count(":") > 1:
        return "its user or password has a colon; write it as %3A"
    return missing_file(url, _FILES)


OUTSIDE = Outside(exposed)
