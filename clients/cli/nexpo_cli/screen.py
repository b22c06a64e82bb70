"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console, ConsoleDimensions, RenderableType

# Of a pipe: nothing is folded, whoever reads it can.
_ENDLESS = 10_000
_NARROWEST = 40


class Screen:
    """The two streams.

    Attributes:
        as_json: Whether results are protobuf's JSON, and errors JSON too.
        out: For results.
        err: For errors, warnings and progress beside JSON.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(sys.stdout)
        self.err = _console(sys.stderr)

    def result(self, message: Message) -> None:
        """Prints an answer."""
        if self.as_json:
            self.out.file.write(to_json(message) + "\n")
            self.out.file.flush()
            return
        from .shown import shown

        self.show(shown(message))

    def show(self, what: RenderableType) -> None:
        """Prints something for a person as a result; without padding where nobody sees it."""
        if self.out.is_terminal:
            self.out.print(what, crop=False)
            return
        with self.out.capture() as captured:
            self.out.print(what)
        lines = captured.get().splitlines()
        self.out.file.write("".join(f"{line.rstrip()}\n" for line in lines))
        self.out.file.flush()

    def say(self, line: RenderableType) -> None:
        """Prints something for the user that is no result."""
        self.err.print(line, soft_wrap=True)


def to_json(message: Message) -> str:
    """The message as protobuf's JSON, on one line.

    Raises:
        ValueError: It holds a message of a type that this contract does not know.
    """
    try:
        data = json_format.MessageToDict(message)
    except TypeError as error:
        raise ValueError(
            f"The answer cannot be written as JSON: {error}. Is this nexpo older than the gateway?"
        ) from None
    return json.dumps(data, ensure_ascii=False)


class PlainConsole(Console):
    """A console that breaks where its pipe does, and that no terminal is too narrow for."""

    @property
    def size(self) -> ConsoleDimensions:
        """At least so wide that folding comes to an end; a narrower terminal folds by itself."""
        found = super().size
        return ConsoleDimensions(max(found.width, _NARROWEST), found.height)

    @size.setter
    def size(self, new: tuple[int, int]) -> None:
        self._width, self._height = new

    def on_broken_pipe(self) -> None:
        """Raises: BrokenPipeError."""
        raise BrokenPipeError


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _ENDLESS
    return PlainConsole(file=stream, width=width, highlight=False, markup=False, emoji=False)
