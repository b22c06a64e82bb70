"""Who asks: a chain of authenticators, of which API keys are the first.

An authenticator looks at the call's headers and says who that is, or None when
the credential is not of its kind; so JWT or client certificates are one more
entry of the chain.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nexpo.errors.v1.errors_pb2 import Reason
from nexpo.registry import PROTOCOL
from nexpo_runtime.errors import Fault
from nexpo_runtime.telemetry import logs

from ..context import Caller

_log = logs.get(__name__)

_RELOAD_SECONDS = 2.0


class Authenticator(Protocol):
    """One kind of credential. It may have to ask somebody, and takes a bounded time for that."""

    async def authenticate(self, headers: Mapping[str, str]) -> Caller | None:
        """Says who asks; None when the call carries no credential of this kind.

        Raises:
            Fault: UNAUTHENTICATED: it carries one that nobody issued.
        """


async def identify(chain: Sequence[Authenticator], headers: Mapping[str, str]) -> Caller:
    """The caller, by the first authenticator that knows the credential. Raises: Fault."""
    for authenticator in chain:
        caller = await authenticator.authenticate(headers)
        if caller is not None:
            return caller
    raise Fault(Reason.REASON_UNAUTHENTICATED, "The call carries no credential.")


class ApiKey(BaseModel):
    """One key of the file: never the key itself, only its SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64)
    # The tenant is a part of operation names, which stand in URLs.
    tenant: str = Field(pattern=f"^{PROTOCOL.tenant_pattern}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    permissions: tuple[str, ...]


class ApiKeyFile(BaseModel):
    """The file: `{"keys": [{"name", "tenant", "sha256", "permissions"}]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[ApiKey, ...]


class ApiKeys:
    """API keys from a file, read again when it changes.

    Comparing digests leaks nothing by its timing: whoever can choose a digest's
    first bytes has found a preimage of SHA-256.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises: ValueError: It is missing or malformed."""
        self._path = path
        self._stamp = self._read_stamp()
        self._callers = self._read()
        self._checked = time.monotonic()

    async def authenticate(self, headers: Mapping[str, str]) -> Caller | None:
        """The caller whose key is in `authorization: Bearer KEY` or `x-api-key: KEY`."""
        scheme, _, credential = headers.get("authorization", "").partition(" ")
        key = credential.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if not key:
            return None
        self._reload()
        caller = self._callers.get(hashlib.sha256(key.encode()).hexdigest())
        if caller is None:
            raise Fault(Reason.REASON_UNAUTHENTICATED, "The API key is not known.")
        return caller

    def _reload(self) -> None:
        if time.monotonic() - self._checked < _RELOAD_SECONDS:
            return
        self._checked = time.monotonic()
        try:
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._callers, self._stamp = self._read(), stamp
                _log.info("api keys read again", keys=len(self._callers))
        except ValueError as error:
            # A half-written file must not lock everybody out: the last good one stays.
            _log.warning("api keys not read again", problem=str(error))

    def _read_stamp(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from error
        return found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, Caller]:
        try:
            content = ApiKeyFile.model_validate_json(self._path.read_bytes())
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from error
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
                for problem in error.errors()
            )
            raise ValueError(f"{self._path}: {problems}") from error
        return {
            key.sha256: Caller(key.tenant, key.name, frozenset(key.permissions))
            for key in content.keys
        }


def make_development_key(path: Path) -> str:
    """Writes a key file with one key that may do everything, and returns the key.

    Raises:
        FileExistsError: There is a file already, perhaps another gateway's of this moment.
    """
    key = f"nexpo-dev-{secrets.token_urlsafe(24)}"
    entry = {
        "name": "development",
        "tenant": "dev",
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "permissions": ["*"],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"keys": [entry]}, file, indent=2)
    return key
