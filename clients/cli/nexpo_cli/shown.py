"""Any message, shown to a person: fields as a list, lists of messages as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.longrunning import operations_pb2 as longrunning
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nexpo.operations.v1.operations_pb2 import Progress

from .contract import descriptor_of, registry
from .plain import clean, is_leaf, leaf, leaf_message
from .progress import overview, row_of, state_of

_NEXT_PAGE = "next_page_token"
# Wider than any screen: to measure by.
_ENDLESS = 10_000


def shown(message: Message) -> RenderableType:
    """The answer of a call."""
    if isinstance(message, longrunning.Operation):
        return operation(message)
    listed = _only_list(message)
    if listed is not None:
        return _page(message, listed)
    if not message.ListFields():
        return Text("Done.")
    return _structure(message)


def operation(found: longrunning.Operation) -> RenderableType:
    """An operation: how far it is, and what it ended with."""
    parts: list[RenderableType] = [overview(found)]
    if found.HasField("response"):
        parts.append(_indented(_structure(opened(found.response))))
    return Group(*parts)


def opened(packed: AnyMessage) -> Message:
    """What an Any holds; the Any itself when its type is not known here."""
    try:
        message = registry.message_class(packed.type_url.rpartition("/")[2])()
    except KeyError:
        return packed
    return message if packed.Unpack(message) else packed


def _only_list(message: Message) -> FieldDescriptor | None:
    """The list, when the message is a page of one."""
    every = descriptor_of(message).fields
    fields = [field for field in every if field.name != _NEXT_PAGE]
    if len(fields) == len(every) or not fields:
        return None
    first = fields[0]
    return first if first.is_repeated and first.message_type is not None else None


def _page(message: Message, field: FieldDescriptor) -> RenderableType:
    items = list(getattr(message, field.name))
    parts: list[RenderableType] = [_Rows(items) if items else Text("None.")]
    token = getattr(message, _NEXT_PAGE)
    if token:
        parts.append(Text(f"There are more: --page-token={clean(token)}", style="dim"))
    return Group(*parts)


def _structure(message: Message) -> RenderableType:
    if is_leaf(message):
        return Text(leaf_message(message))
    if isinstance(message, Progress):
        return state_of(message)
    if isinstance(message, AnyMessage):
        inner = opened(message)
        return Text(clean(message.type_url)) if inner is message else _structure(inner)
    parts: list[RenderableType] = []
    grid = _grid()
    for field, value in message.ListFields():
        label = f"{field.name.replace('_', ' ')}:"
        simple = _simple(field, value)
        if simple is not None:
            grid.add_row(Text(label, style="dim"), Text(simple))
            continue
        if grid.row_count:
            parts.append(grid)
            grid = _grid()
        parts += [Text(label, style="dim"), _indented(_compound(field, value))]
    if grid.row_count:
        parts.append(grid)
    return Group(*parts)


def _simple(field: FieldDescriptor, value: Any) -> str | None:
    """The value on one line; None when it needs several."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return None
    if field.is_repeated:
        if field.message_type is None:
            return ", ".join(leaf(field, item) for item in value)
        return None
    if isinstance(value, Message) and not is_leaf(value):
        return None
    return leaf(field, value)


def _compound(field: FieldDescriptor, value: Any) -> RenderableType:
    if isinstance(value, Message):
        return _structure(value)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        grid = _grid()
        of = field.message_type.fields_by_name["value"]
        for key in sorted(value):
            item = value[key]
            compound = isinstance(item, Message) and not is_leaf(item)
            shown_item = _structure(item) if compound else Text(leaf(of, item))
            grid.add_row(Text(clean(str(key)), style="dim"), shown_item)
        return grid
    return _Rows(list(value))


class _Rows:
    """Messages as a table; one below the other where the screen is too narrow for it."""

    def __init__(self, items: Sequence[Message]) -> None:
        self._rows = [dict(_cells(item)) for item in items]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        fits = Measurement.get(console, options.update(width=_ENDLESS), table).maximum
        yield table if fits <= options.max_width else self._list()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._table())

    def _table(self) -> Table:
        # Columns that are empty in every row are left out.
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            table.add_column(name.upper().replace("_", " "), overflow="fold")
        for row in self._rows:
            table.add_row(*(Text(row.get(name, "")) for name in columns))
        return table

    def _list(self) -> RenderableType:
        parts: list[RenderableType] = []
        for row in self._rows:
            grid = _grid()
            for name, value in row.items():
                grid.add_row(Text(f"{name.replace('_', ' ')}:", style="dim"), Text(value))
            parts += [grid, Text("")]
        return Group(*parts[:-1])


def _cells(message: Message, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(message, longrunning.Operation):
        yield from row_of(message).items()
        return
    if is_leaf(message):
        yield "value", leaf_message(message)
        return
    for field, value in message.ListFields():
        name = f"{prefix}{field.name}"
        simple = _simple(field, value)
        if simple is not None:
            yield name, simple
        elif isinstance(value, Message) and not prefix:
            yield from _cells(value, f"{name}.")
        else:
            count = len(value) if hasattr(value, "__len__") else 1
            yield name, f"{count} items" if count != 1 else "..."


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _indented(inner: RenderableType) -> Padding:
    return Padding(inner, (0, 0, 0, 2), expand=False)
