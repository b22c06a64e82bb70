"""One process at a time may run the stack of a folder."""

import fcntl
import os
from pathlib import Path
from typing import IO


class AlreadyRunningError(Exception):
    """Another process runs this folder's stack.

    Attributes:
        pid: that process.
    """

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(f"The stack in {folder} is run by process {pid} already.")
        self.pid = pid


class FolderLock:
    """A lock that ends with its holder, and with this object.

    Args:
        folder: what is locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Take it; no effect when this object has it.

        Raises:
            AlreadyRunningError: another process has it.
        """
        if self._file is not None:
            return
        file = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = int(file.read() or 0)
            file.close()
            raise AlreadyRunningError(self._folder, pid) from None
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> int | None:
        """The process that has it."""
        if not self._path.exists():
            return None
        with self._path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
        return None

    @property
    def _path(self) -> Path:
        return self._folder / "lock"
