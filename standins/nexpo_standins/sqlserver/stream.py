"""Reads a message's fields one after the other."""

from __future__ import annotations

from nexpo_standins.sqlserver.packets import ProtocolError


class Stream:
    """A message's bytes and a place in them; TDS numbers are little-endian."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next bytes. Raises ProtocolError when there are fewer."""
        end = self._at + size
        if end > len(self._data):
            raise ProtocolError("a message ends too early")
        part = self._data[self._at : end]
        self._at = end
        return part

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes as a number."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Four bytes as a number."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """Eight bytes as a number."""
        return int.from_bytes(self.take(8), "little")

    def text(self, characters: int) -> str:
        """UTF-16 text. Raises ProtocolError for bytes that are none."""
        try:
            return self.take(2 * characters).decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise ProtocolError("text that is not UTF-16") from error
