"""Small charts as SVG, with no library: lines, and bars in groups or stacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 56, 44
_COLOURS = ("#2f6fde", "#e0762c", "#2a9d6f", "#8e5bd0", "#c0392b", "#7a7f87", "#0f9fb5", "#b59a0f")
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:14px}"
    ".grid{stroke:#d0d7de;stroke-width:1}.paper{fill:#ffffff}"
    ".mark{stroke:#c0392b;stroke-width:1;stroke-dasharray:3 3}.small{font-size:9px}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.paper{fill:#0d1117}}"
)


def lines(
    title: str,
    x: str,
    y: str,
    series: Mapping[str, Points],
    *,
    logarithmic: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """A line for each series, by its name.

    Args:
        title: Above the chart.
        x: Name and unit of the horizontal axis.
        y: Name and unit of the vertical axis.
        series: Points in order of x.
        logarithmic: Whether the horizontal axis is; all x are then above zero.
        marks: What happened at an x, in a word; a dashed line each.
    """
    xs = [point[0] for points in series.values() for point in points]
    ys = [point[1] for points in series.values() for point in points]
    low, high = (min(xs), max(xs)) if logarithmic else (0.0, max(xs))
    ticks = _decades(low, high) if logarithmic else _steps(high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    top = _steps(max(ys))[-1]

    def across(value: float) -> float:
        share = (
            math.log(value / low) / math.log(high / low)
            if logarithmic
            else (value - low) / (high - low or 1)
        )
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    parts = [_axis(max(ys)), *(_tick(across(tick), _number(tick)) for tick in ticks)]
    parts += [_mark(across(at), text) for at, text in marks]
    for colour, points in zip(_COLOURS, series.values(), strict=False):
        path = " ".join(f"{across(px):.1f},{_up(py, top):.1f}" for px, py in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"'
            ' stroke-linejoin="round"/>'
        )
    return _chart(title, x, y, list(series), parts)


def bars(
    title: str,
    y: str,
    groups: Mapping[str, Mapping[str, float]],
    *,
    stacked: bool = False,
    unit: str = "",
) -> str:
    """A bar for each entry of each group, beside or on top of each other.

    Args:
        title: Above the chart.
        y: Name and unit of the vertical axis.
        groups: Values by entry, by group.
        stacked: Whether a group is one bar.
        unit: Behind the number on each bar.
    """
    names = list(dict.fromkeys(name for entries in groups.values() for name in entries))
    tallest = max(sum(e.values()) if stacked else max(e.values()) for e in groups.values())
    top = _steps(tallest)[-1]
    wide = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    parts = [_axis(tallest)]
    for place, (group, entries) in enumerate(groups.items()):
        left = _LEFT + place * wide
        parts.append(_tick(left + wide / 2, group))
        thick = wide * 0.7 / (1 if stacked else len(entries))
        base = 0.0
        for number, (name, value) in enumerate(entries.items()):
            at = left + wide * 0.15 + (0 if stacked else number * thick)
            high = _up(base + value, top)
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            parts.append(
                f'<rect x="{at:.1f}" y="{high:.1f}" width="{thick * 0.94:.1f}"'
                f' height="{_up(base, top) - high:.1f}" fill="{colour}"/>'
            )
            if stacked:
                base += value
            else:
                parts.append(_text(at + thick / 2, high - 5, f"{_number(value)}{unit}"))
        if stacked:
            parts.append(_text(left + wide / 2, _up(base, top) - 5, f"{_number(base)}{unit}"))
    return _chart(title, "", y, names, parts)


def _chart(title: str, x: str, y: str, names: Sequence[str], parts: Sequence[str]) -> str:
    key, at = [], float(_LEFT)
    for colour, name in zip(_COLOURS, names, strict=False):
        key.append(f'<rect x="{at:.0f}" y="32" width="10" height="10" fill="{colour}"/>')
        key.append(_text(at + 15, 41, name, "start"))
        at += 30 + 7 * len(name)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
            f' role="img" aria-label="{escape(title)}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
            f'<text class="title" x="{_LEFT}" y="20">{escape(title)}</text>',
            *key,
            *parts,
            _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x),
            f'<text transform="translate(14,{(_TOP + _HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)"'
            f' text-anchor="middle">{escape(y)}</text>',
            "</svg>",
            "",
        ]
    )


def _axis(highest: float) -> str:
    """Horizontal grid lines with their numbers."""
    steps = _steps(highest)
    found = []
    for step in steps:
        at = _up(step, steps[-1])
        line = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"'
        found.append(
            f'<line class="grid" {line}/>' + _text(_LEFT - 6, at + 4, _number(step), "end")
        )
    return "\n".join(found)


def _up(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)


def _tick(at: float, text: str) -> str:
    return _text(at, _HEIGHT - _BOTTOM + 16, text)


def _mark(at: float, text: str) -> str:
    line = f'x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"'
    turned = f'transform="translate({at - 3:.1f},{_TOP + 4}) rotate(-90)"'
    return (
        f'<line class="mark" {line}/>'
        f'<text class="small" {turned} text-anchor="end">{escape(text)}</text>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _steps(highest: float) -> list[float]:
    """Round numbers from 0 to the first at or above the highest: 4 to 6 of them."""
    rough = (highest or 1.0) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil((highest or 1.0) / step - 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... around a range."""
    found = [
        factor * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factor in (1, 2, 5)
    ]
    first = max(i for i, value in enumerate(found) if value <= low)
    last = min(i for i, value in enumerate(found) if value >= high)
    return found[first : last + 1]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
