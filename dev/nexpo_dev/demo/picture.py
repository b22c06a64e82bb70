"""The picture of a demo that was played, for the README: drawn from what the acts found."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from nexpo.operations.v1.operations_pb2 import Step

from .acts import Act
from .screen import mark

_WIDTH = 116
_COLUMNS = 3
# Every font is the reader's own: a picture in a README must load nothing from elsewhere.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(acts: Sequence[Act], seconds: float, target: Path) -> None:
    """Writes an SVG of the acts: their steps as they ended, and what each store was found to have.

    Args:
        acts: As they were played.
        seconds: How long all of it took.
        target: The file.
    """
    console = Console(file=io.StringIO(), record=True, width=_WIDTH, highlight=False)
    console.print("[bold]$ make demo[/]")
    for number, act in enumerate(acts, 1):
        console.print(f"\n[bold]Act {number}: {act.title}[/] ({act.person}, {act.seconds:.1f} s)")
        for note in act.notes:
            console.print(f"  {note}", style="italic")
        console.print(_steps(act))
        console.print(_found(act))
        console.print(f"  [bold]{act.ending}[/]")
    console.print(f"\nAll of it took {seconds:.1f} s. Everything that was started is gone.")
    svg = console.export_svg(theme=SVG_EXPORT_THEME, code_format=_SVG, title="", unique_id="demo")
    target.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def _steps(act: Act) -> Table:
    """The steps in columns, read from top to bottom."""
    table = Table.grid(padding=(0, 2, 0, 0))
    rows = -(-len(act.steps) // _COLUMNS)
    for row in range(rows):
        table.add_row(*(_step(step) for step in act.steps[row::rows]))
    return table


def _step(step: dict[str, object]) -> Text:
    sign, style = mark(Step.State.Value(str(step["state"])))
    text = Text(f"  {sign} {step['name']}", style=style)
    if isinstance(step["attempt"], int) and step["attempt"] > 1:
        text.append(f"  attempt {step['attempt']}", style="yellow")
    if step["reason"]:
        text.append(f"  {step['reason']}", style="dim")
    return text


def _found(act: Act) -> Text:
    """What the stores were found to have when they were asked last."""
    text = Text("  read back: ", style="dim")
    for entry in list(act.proofs.values())[-1]:
        ids = entry["ids"]
        assert isinstance(ids, tuple)
        text.append(f"{entry['store']} ", style="dim")
        text.append(f"{len(ids)}  ", style="bold green" if ids else "bold cyan")
    return text
