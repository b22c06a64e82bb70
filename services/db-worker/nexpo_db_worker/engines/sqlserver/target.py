"""Where a SQL Server is, and how the way there is encrypted: what SQLSERVER_URL says."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from nexpo_db_worker.engines.urls import missing_file
from nexpo_runtime.settings import Settings
from nexpo_runtime.transport import Outside

SCHEMES = ("mssql",)
_DEFAULT_PORT = 1433
_FORM = (
    "not like mssql://user:password@host:port/database, with Encrypt, Certificate,"
    " HostNameInCertificate and TrustServerCertificate behind a question mark."
)
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


class Encrypt(StrEnum):
    """How much is encrypted; the names of Microsoft's drivers."""

    STRICT = "strict"
    """All, from the first byte (TDS 8.0): SQL Server 2022 and Azure SQL."""
    MANDATORY = "mandatory"
    """All but the question whether to encrypt; a server that cannot is not talked to."""
    OPTIONAL = "optional"
    """All if the server insists, else the password alone, or nothing if the server cannot."""


_ENCRYPT = {one.value: one for one in Encrypt} | {
    "true": Encrypt.MANDATORY,
    "yes": Encrypt.MANDATORY,
    "false": Encrypt.OPTIONAL,
    "no": Encrypt.OPTIONAL,
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the database is, who asks, and how the way is encrypted.

    Attributes:
        host: Host name or address.
        port: TCP port.
        database: Name of the database.
        user: SQL Server log-in.
        password: Its password.
        encrypt: How much is encrypted.
        certificate: PEM file of the authority, or of the server's own certificate; empty
            for the system's authorities.
        host_in_certificate: Name that the server's certificate has; empty for `host`.
        trust: Whether any certificate will do.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    encrypt: Encrypt = Encrypt.MANDATORY
    certificate: str = ""
    host_in_certificate: str = ""
    trust: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Reads "mssql://user:password@host:port/database?Encrypt=...".

        Raises:
            ValueError: The URL is malformed; the text does not repeat it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORT
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError(_FORM) from None
        path = parts.path.removeprefix("/")
        # A password as it is typed would be taken for a part of the host or the path.
        if parts.netloc.count("@") > 1 or any(sign in path for sign in "/;@"):
            raise ValueError(f"{_FORM} Percent-escape / : @ ; ? # in user, password and database.")
        database = unquote(path)
        if parts.scheme != "mssql" or not (parts.hostname and parts.username and database):
            raise ValueError(_FORM)
        options = {name.lower(): value for name, value in pairs}
        if len(options) != len(pairs):
            raise ValueError(f"{_FORM} One is given twice.")
        encrypt = _ENCRYPT.get(options.pop("encrypt", "mandatory").lower())
        trust = _BOOLEANS.get(options.pop("trustservercertificate", "false").lower())
        found = cls(
            host=parts.hostname,
            port=port,
            database=database,
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            encrypt=encrypt or Encrypt.MANDATORY,
            certificate=options.pop("certificate", ""),
            host_in_certificate=options.pop("hostnameincertificate", ""),
            trust=bool(trust),
        )
        if options or encrypt is None or trust is None:
            raise ValueError(_FORM)
        if found.trust and (found.encrypt is Encrypt.STRICT or found.certificate):
            raise ValueError(f"{_FORM} TrustServerCertificate goes with neither strict nor a file.")
        return found

    @property
    def unsafe(self) -> str:
        """Why others on the way could read along; empty when they cannot."""
        if self.encrypt is Encrypt.OPTIONAL:
            return "Encrypt=optional sends data in clear text; set Encrypt=mandatory or strict"
        if self.trust:
            return (
                "TrustServerCertificate=true encrypts for whoever answers; remove it, and give"
                " Certificate=file if the authority is your own"
            )
        return ""

    def moved(self, host: str, port: int) -> Self:
        """The same on the host that a server has sent us on to."""
        return replace(self, host=host, port=port)

    def tls(self) -> ssl.SSLContext:
        """What TLS must be like.

        Raises:
            OSError: The file of the certificate cannot be read, or holds none.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.encrypt is Encrypt.STRICT:
            context.set_alpn_protocols(["tds/8.0"])
        else:
            # TDS 7 ends its handshake where TLS 1.2 does (MS-TDS 2.2.6.5).
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if self.trust:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.certificate:
            context.load_verify_locations(self.certificate)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own will do
        else:
            context.load_default_certs()
        return context


def exposed(_: Settings, url: str) -> str:
    """Who could read along on the way to a URL."""
    return Target.parse(url).unsafe


def problem(url: str) -> str:
    """Why no connection could be made with a URL; or nothing."""
    try:
        Target.parse(url)
    except ValueError as error:
        return f"{error} Correct it"
    return missing_file(url, ("Certificate",))


OUTSIDE = Outside(exposed)
