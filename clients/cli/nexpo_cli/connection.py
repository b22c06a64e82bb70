"""How to reach the gateway: what was typed, else the environment, else the file."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .exits import UsageError

DEFAULT_ADDRESS = "127.0.0.1:8450"
_NAMES = ("address", "api_key", "ca", "tls")


@dataclass(frozen=True)
class Connection:
    """Where the gateway is, and as whom to call it.

    Attributes:
        address: host:port of its gRPC.
        api_key: The credential, or empty.
        tls: Whether to encrypt.
        ca: File with the certificates to trust, instead of the system's; or empty.
    """

    address: str
    api_key: str
    tls: bool
    ca: str

    @property
    def local(self) -> bool:
        """Whether the gateway is on this machine."""
        host = self.address.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def config_file() -> Path:
    """The file that is read when it exists: NEXPO_CONFIG, or in the user's configuration."""
    named = os.environ.get("NEXPO_CONFIG")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    # Who has no home, as in many containers, has no file there; it is not an error.
    return Path(os.path.expanduser(base)) / "nexpo" / "config.toml"


def connection(
    address: str | None, api_key: str | None, tls: bool | None, ca: str | None
) -> Connection:
    """The connection for what was typed; what was not is looked up.

    Raises:
        UsageError: The address is none, or the file cannot be used.
    """
    kept = _from_file(config_file())
    where = address or kept.get("address") or DEFAULT_ADDRESS
    key = api_key or kept.get("api_key") or ""
    trusted = ca or kept.get("ca") or ""
    encrypt = tls if tls is not None else bool(kept.get("tls") or trusted)
    _check_address(str(where))
    if not re.fullmatch(r"[\x21-\x7e]*", str(key)):
        raise UsageError("The API key has characters that no key has; was it copied whole?")
    return Connection(str(where), str(key), encrypt, str(trusted))


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    plain = re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\]", host)
    if not plain or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"The address must be host:port of the gateway's gRPC, such as {DEFAULT_ADDRESS}; "
            f"it is {address!r}."
        )


def _from_file(path: Path) -> dict[str, str | bool]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from None
    unknown = sorted(set(found) - set(_NAMES))
    if unknown:
        known = ", ".join(_NAMES)
        raise UsageError(f"{path}: {', '.join(unknown)} is unknown; known are {known}.")
    for name, value in found.items():
        if not isinstance(value, bool if name == "tls" else str):
            kind = "true or false" if name == "tls" else "a text"
            raise UsageError(f"{path}: {name} must be {kind}.")
    return found
