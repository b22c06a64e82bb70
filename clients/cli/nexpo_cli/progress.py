"""Progress of an operation: a picture that moves on a terminal, lines on a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from google.longrunning import operations_pb2 as longrunning
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nexpo.client import NexpoError, progress_of
from nexpo.operations.v1.operations_pb2 import Progress, Step

from .plain import clean, moment, span

_STATE_STYLES = {
    Progress.SUCCEEDED: "bold green",
    Progress.FAILED: "bold red",
    Progress.CANCELLED: "bold yellow",
    Progress.UNDOING: "yellow",
    Progress.UNDO_BLOCKED: "bold red",
    Progress.BLOCKED: "bold red",
    Progress.WAITING: "cyan",
}
_STEP_MARKS = {
    Step.PENDING: ("·", "dim"),
    Step.RUNNING: ("…", "cyan"),
    Step.DONE: ("✓", "green"),
    Step.FAILED: ("✗", "red"),
    Step.SKIPPED: ("-", "dim"),
    Step.UNDOING: ("↺", "yellow"),
    Step.UNDONE: ("↶", "yellow"),
    Step.UNDO_BLOCKED: ("!", "bold red"),
    Step.BLOCKED: ("!", "bold red"),
}


class View(Protocol):
    """Shows an operation while it runs."""

    def __enter__(self) -> View: ...
    def __exit__(self, *error: object) -> None: ...

    def seen(self, operation: longrunning.Operation) -> None:
        """Shows the operation as it is now."""

    def lost(self, error: NexpoError | None) -> None:
        """Says that the connection broke and is made again."""


class Nothing:
    """Shows nothing: for whoever only waits."""

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *error: object) -> None: ...

    def seen(self, operation: longrunning.Operation) -> None:
        """Nothing to show."""

    def lost(self, error: NexpoError | None) -> None:
        """Nothing to show."""


class Picture:
    """One picture that is drawn again at every change: for a terminal."""

    def __init__(self, console: Console) -> None:
        # What is drawn is taken away at the end: the operation is printed whole then.
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._note = ""
        self._operation: longrunning.Operation | None = None

    def __enter__(self) -> Picture:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def seen(self, operation: longrunning.Operation) -> None:
        """Draws the operation."""
        self._operation, self._note = operation, ""
        self._draw()

    def lost(self, error: NexpoError | None) -> None:
        """Notes it below the picture."""
        self._note = _lost(error)
        self._draw()

    def _draw(self) -> None:
        parts = [overview(self._operation)] if self._operation else []
        note = [Text(self._note, style="yellow")] if self._note else []
        self._live.update(Group(*parts, *note), refresh=True)


class Lines:
    """A line for everything that changes: for a pipe, a log, a build."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state: tuple[int, str] | None = None
        self._steps: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None: ...

    def seen(self, operation: longrunning.Operation) -> None:
        """Prints what is new."""
        progress = progress_of(operation)
        if self._state is None:
            self._print(clean(operation.name))
        for step in progress.steps:
            now = (step.state, step.attempt)
            if self._steps.get(step.name) != now:
                self._steps[step.name] = now
                self._print(f"  {clean(step.name)}: {_step_words(step)}")
        state = (progress.state, progress.message)
        if self._state != state:
            self._state = state
            said = f": {clean(progress.message)}" if progress.message else ""
            self._print(f"{_state(progress)} {progress.percent} %{said}")

    def lost(self, error: NexpoError | None) -> None:
        """Prints that it is so."""
        self._print(_lost(error))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


def overview(operation: longrunning.Operation) -> RenderableType:
    """Name, state, steps and open tasks."""
    # Never folded: it is there to be copied.
    head = Text(clean(operation.name), style="bold", no_wrap=True, overflow="ignore")
    return Group(head, state_of(progress_of(operation)))


def state_of(progress: Progress) -> RenderableType:
    """State, steps and open tasks."""
    state = Text.assemble(
        (_state(progress), _STATE_STYLES.get(progress.state, "bold")),
        f" {progress.percent} %",
        f"  {clean(progress.message)}" if progress.message else "",
    )
    if not progress.durable and progress.state:
        state.append("  (not durable: a restart of the gateway loses it)", style="yellow")
    parts: list[RenderableType] = [state]
    if progress.steps:
        parts.append(_steps(progress))
    for task in progress.tasks:
        why = f" ({clean(task.reason)})" if task.reason else ""
        line = f"needs a human: undo of {clean(task.step)}{why}, task {clean(task.task)}"
        parts.append(Text(line, style="bold red"))
    return Group(*parts)


def row_of(operation: longrunning.Operation) -> dict[str, str]:
    """An operation as a row of a table."""
    progress = progress_of(operation)
    return {
        "name": clean(operation.name),
        "state": _state(progress),
        "percent": f"{progress.percent} %",
        "begun": moment(progress.create_time) if progress.HasField("create_time") else "",
    }


def _steps(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in progress.steps:
        mark, style = _STEP_MARKS.get(step.state, ("?", ""))
        table.add_row(
            Text(f"  {mark}", style=style),
            Text(clean(step.name)),
            Text(_step_words(step), style=style),
            Text(" ".join(_took(step)), style="dim"),
        )
    return table


def _step_words(step: Step) -> str:
    words = [Step.State.Name(step.state).lower().replace("_", " ")]
    if step.attempt > 1:
        words.append(f"(attempt {step.attempt})")
    if step.percent and step.state == Step.RUNNING:
        words.append(f"{step.percent} %")
    words += [clean(step.reason)] if step.reason else []
    words += [clean(step.detail)] if step.detail else []
    return " ".join(words)


def _took(step: Step) -> Iterator[str]:
    if step.HasField("start_time") and step.HasField("end_time"):
        yield span((step.end_time.ToNanoseconds() - step.start_time.ToNanoseconds()) / 1e9)


def _state(progress: Progress) -> str:
    return Progress.State.Name(progress.state) if progress.state else "UNKNOWN"


def _lost(error: NexpoError | None) -> str:
    why = f" ({error.reason or 'the gateway is away'})" if error else ""
    return f"The connection broke{why}; watching again."
