"""What a server or the stack chose at its first start and keeps: ports, secrets, folders."""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nexpo_dev import ports


class Memory:
    """Texts by key in a JSON file of mode 0600; each is chosen once, by chance or by a person.

    Args:
        file: where they are kept; its folder exists.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: list[int] = []

    def text(self, key: str, make: Callable[[], str]) -> str:
        """The text of this key; made, and kept, at the first call."""
        known = self._known()
        if key not in known:
            known[key] = make()
            self._write(known)
        return str(known[key])

    def port(
        self,
        key: str,
        preferred: int | None = None,
        acceptable: Callable[[int], bool] = lambda port: True,
    ) -> int:
        """The port of this key, chosen at the first call: see ports.choose."""
        port = int(self.text(key, lambda: str(ports.choose(preferred, acceptable))))
        self._ports.append(port)
        return port

    def fix_port(self, key: str, port: int) -> None:
        """Makes this the port of this key, whatever it was; nothing else may choose it."""
        ports.reserve(port)
        self._write({**self._known(), key: str(port)})

    def known_port(self, key: str) -> int | None:
        """The port of this key; None when there is none yet."""
        known = self._known().get(key)
        return int(known) if known is not None else None

    def secret(self, key: str) -> str:
        """The secret of this key: 24 random bytes in URL-safe text."""
        return self.text(key, lambda: secrets.token_urlsafe(24))

    @property
    def all_ports(self) -> Sequence[int]:
        """Every port that was asked for."""
        return self._ports

    def _known(self) -> dict[str, str]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def _write(self, known: Mapping[str, str]) -> None:
        draft = self._file.with_suffix(".new")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
            json.dump(known, output, indent=2)
        draft.replace(self._file)
