"""What the demo shows: live progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nexpo.operations.v1.operations_pb2 import Progress, Step

from .witnesses import Testimony

_MARKS = {
    Step.RUNNING: ("…", "yellow"),
    Step.DONE: ("✓", "green"),
    Step.FAILED: ("✗", "red"),
    Step.SKIPPED: ("-", "dim"),
    Step.UNDOING: ("↶", "yellow"),
    Step.UNDONE: ("↶", "cyan"),
    Step.UNDO_BLOCKED: ("!", "red"),
    Step.BLOCKED: ("!", "red"),
}


class Screen:
    """One operation's progress, redrawn at every frame; on a pipe, a line per change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._printed: dict[str, int] = {}

    def clear(self) -> None:
        """Another operation follows."""
        self._printed = {}

    async def follow(self, frames: AsyncIterator[Progress]) -> AsyncIterator[Progress]:
        """Shows the frames as they pass by."""
        with self:
            async for progress in frames:
                self._show(progress)
                yield progress

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None

    def _show(self, progress: Progress) -> None:
        if self._live is not None:
            self._live.update(_table(progress), refresh=True)
            return
        for step in progress.steps:
            if self._printed.get(step.name) != step.state:
                self._printed[step.name] = step.state
                self._console.print(_line(step))


def proof(testimonies: Sequence[Testimony]) -> Table:
    """What every store has, as a table."""
    table = Table(box=None, padding=(0, 2, 0, 2))
    for name in ("read back from", "records", "state", "id in the store"):
        table.add_column(name, style="dim" if name == "id in the store" else "")
    for one in testimonies:
        ids = ", ".join(id if len(id) <= 48 else f"{id[:45]}..." for id in one.ids)
        table.add_row(one.store, str(len(one.ids)), one.state or "nothing", ids)
    return table


def _table(progress: Progress) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 2), show_header=False)
    for step in progress.steps:
        table.add_row(_line(step))
    state = Progress.State.Name(progress.state)
    table.add_row(Text(f"{progress.percent:3} % {state}  {progress.message}", style="bold"))
    return table


def mark(state: Step.State.ValueType) -> tuple[str, str]:
    """How a step's state is shown: a sign and its style."""
    return _MARKS.get(state, (" ", ""))


def _line(step: Step) -> Text:
    sign, style = mark(step.state)
    line = Text(f"  {sign} {step.name}", style=style)
    if step.attempt > 1:
        line.append(f"  attempt {step.attempt}", style="yellow")
    if step.reason:
        line.append(f"  {step.reason}", style="dim")
    if step.HasField("start_time") and step.HasField("end_time"):
        took = step.end_time.ToDatetime() - step.start_time.ToDatetime()
        line.append(f"  {took.total_seconds() * 1000:.0f} ms", style="dim")
    return line
