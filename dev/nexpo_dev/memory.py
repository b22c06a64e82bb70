"""What a server or the stack chose at its first start and keeps: ports, secrets, folders."""

import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from nexpo_dev import ports


class Memory:
    """Texts by key in a JSON file of mode 0600; each is chosen once and never changes.

    Args:
        file: where they are kept; its folder exists.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: list[int] = []

    def text(self, key: str, make: Callable[[], str]) -> str:
        """The text of this key; made, and kept, at the first call."""
        known = dict(json.loads(self._file.read_text())) if self._file.exists() else {}
        if key not in known:
            known[key] = make()
            draft = self._file.with_suffix(".new")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
                json.dump(known, output, indent=2)
            draft.replace(self._file)
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

    def secret(self, key: str) -> str:
        """The secret of this key: 24 random bytes in URL-safe text."""
        return self.text(key, lambda: secrets.token_urlsafe(24))

    @property
    def all_ports(self) -> Sequence[int]:
        """Every port that was asked for."""
        return self._ports
