"""A line plot as inline SVG: two logarithmic axes, a legend, no script and no network."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 230, 20, 54
LEGEND_COLUMNS = 28
TICKS_MAX = 10
GRID = 'stroke="#888" stroke-opacity="0.3"'
# Okabe and Ito's colours, which colour-blind readers can tell apart, on light and dark
COLOURS = ("currentColor", "#E69F00", "#56B4E9", "#009E73", "#3D8FD1", "#D55E00", "#CC79A7")
DASHES = ("", "6 3", "2 3")


@dataclass(frozen=True, slots=True)
class Line:
    """One named line of points."""

    name: str
    points: tuple[tuple[float, float], ...]


def merged(lines: Sequence[Line]) -> list[Line]:
    """Lines that lie upon each other as one, with all their names."""
    names: dict[tuple[tuple[float, float], ...], list[str]] = {}
    for line in lines:
        if line.points:
            names.setdefault(line.points, []).append(line.name)
    return [Line(", ".join(same), points) for points, same in names.items()]


def line_plot(title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> str:
    """The plot as an <svg> element; values must be positive. Equal lines are drawn once.

    Raises
    ------
    ValueError : no line has a point.
    """
    lines = merged(lines)
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    if not xs:
        raise ValueError(f"plot {title!r} has no points")
    x_axis = _Axis(*_powers(xs), LEFT, WIDTH - RIGHT)
    y_axis = _Axis(*_powers(ys), HEIGHT - BOTTOM, TOP)
    parts = [_open(title)]
    parts += _ticks(x_axis, y_axis)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts.append(
        f'<text x="16" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {HEIGHT / 2})">{escape(y_label)}</text>'
    )
    row = 0
    for index, line in enumerate(lines):
        parts += _line(index, row, line, x_axis, y_axis)
        row += len(_legend(line))
    return "\n".join([*parts, "</svg>"])


def _powers(values: Sequence[float]) -> tuple[float, float]:
    """The powers of two around some values, so that an axis ends at a tick."""
    return 2.0 ** math.floor(math.log2(min(values))), 2.0 ** math.ceil(math.log2(max(values)))


def _legend(line: Line) -> list[str]:
    return textwrap.wrap(line.name, LEGEND_COLUMNS)


def _open(title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'font-family="sans-serif" font-size="13" fill="currentColor">'
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - RIGHT - LEFT}" '
        f'height="{HEIGHT - BOTTOM - TOP}" fill="none" stroke="#888"/>'
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        low, high = math.log(self.low), math.log(self.high)
        share = (math.log(value) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        first, last = math.floor(math.log2(self.low)), math.ceil(math.log2(self.high))
        step = next(size for size in (1, 2, 4, 8, 16) if (last - first) / size <= TICKS_MAX)
        values = [2.0**power for power in range(first, last + 1, step)]
        return [value for value in values if self.low <= value <= self.high]


def _ticks(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts = []
    for value in x_axis.ticks():
        at = x_axis.at(value)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" {GRID}/>'
        )
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{number(value)}</text>"
        )
    for value in y_axis.ticks():
        at = y_axis.at(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" {GRID}/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(value)}</text>'
        )
    return parts


def _line(index: int, row: int, line: Line, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    colour = COLOURS[index % len(COLOURS)]
    dash = DASHES[index // len(COLOURS) % len(DASHES)]
    style = f'stroke="{colour}" stroke-width="2" fill="none"'
    style += f' stroke-dasharray="{dash}"' if dash else ""
    points = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in line.points)
    y = TOP + 14 + 18 * row
    left = WIDTH - RIGHT + 10
    return [
        f'<polyline points="{points}" {style}><title>{escape(line.name)}</title></polyline>',
        f'<line x1="{left}" x2="{left + 24}" y1="{y - 4}" y2="{y - 4}" {style}/>',
        *(
            f'<text x="{left + 32}" y="{y + 18 * number}">{escape(text)}</text>'
            for number, text in enumerate(_legend(line))
        ),
    ]


def number(value: float) -> str:
    """A number short enough for a tick: 4, 0.25, 64Ki, 1Mi."""
    for size, suffix in ((1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")):
        if value >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"
