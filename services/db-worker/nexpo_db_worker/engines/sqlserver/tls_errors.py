"""Why a connection could not be encrypted, in words for whoever can mend it."""

from __future__ import annotations

import ssl

import pytds

# https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_EXPIRED, _NOT_YET_VALID = 10, 9
_UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21})  # 7: one of the same name, but another
_ANOTHER_NAME = frozenset({62, 64})
_NO_COMMON_GROUND = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "HANDSHAKE_FAILURE", "NO_SHARED")


class TlsError(OSError):
    """The connection could not be encrypted as SQLSERVER_URL wants it.

    Attributes:
        mend: What is wrong and what to do, without a word of the server's own.
    """

    def __init__(self, mend: str) -> None:
        super().__init__(mend)
        self.mend = mend


def explained(error: Exception) -> TlsError:
    """What an error in the handshake means."""
    return TlsError(_meaning(error))


def _meaning(error: Exception) -> str:
    match error:
        case TlsError():
            return error.mend
        case ssl.SSLCertVerificationError():
            return _of_certificate(error.verify_code)
        case ssl.SSLError() if any(part in (error.reason or "") for part in _NO_COMMON_GROUND):
            return (
                "client and server have no TLS version or cipher in common; the server must offer"
                " TLS 1.2 or later"
            )
        case TimeoutError():
            return "the server did not finish the TLS handshake in time; is it overloaded?"
        case pytds.ClosedConnectionError():
            return (
                "the server ended the TLS handshake; Encrypt=strict needs SQL Server 2022 or Azure"
                " SQL, others need Encrypt=mandatory; or the server's certificate is unusable"
            )
        case _:
            return "what came in the TLS handshake is not TLS; is it a SQL Server at all?"


def _of_certificate(code: int) -> str:
    if code == _EXPIRED:
        return "the server's certificate has expired; renew it"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet; set the clocks right"
    if code in _ANOTHER_NAME:
        return (
            "the server's certificate is for another name; connect by the name that it has, or set"
            " HostNameInCertificate to it; for a server that sends clients on to others, as Azure"
            " SQL does, leave that out"
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            "nobody known vouches for the server's certificate; give Certificate=file with the"
            " authority's certificate"
        )
    return f"the server's certificate is refused (OpenSSL's code {code}); replace it"
