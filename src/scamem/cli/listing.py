"""Objects as lines of text that fit the terminal.

Nothing is cut: where a line would be too narrow for the holders, they follow on lines of their own.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from scamem.backing.text import ago, counted, printable, sized
from scamem.looks.objects import Holder, ObjectInfo

from .contents import command_of, contents_of, contents_text

COUNTS: Final = (
    ("mappings", "mapping", "mappings"),
    ("pins", "pin", "pins"),
    ("io_pins", "I/O pin", "I/O pins"),
    ("hands", "in hand", "in hand"),
    ("loans", "loan", "loans"),
)
HEAD: Final = ("NAME", "CONTENTS", "SIZE", "REFS", "HELD BY")
RIGHT: Final = frozenset(("SIZE", "REFS", "FRAMES", "RUNS", "OBJECT", "AGE"))
HOLDERS_WIDTH_MIN: Final = 28
INDENT: Final = "    "
GAP: Final = "  "


def holder_text(holder: Holder) -> str:
    """Say who holds an object, and how."""
    if holder.kind == "area":
        return f"name {printable(holder.name)}"
    parts = [
        counted(count, thing, things)
        for field, thing, things in COUNTS
        if (count := getattr(holder, field))
    ]
    if holder.kind == "transit":
        return f"transit: {', '.join(parts)}"
    if holder.kind != "member":
        return holder.kind
    command = command_of(holder.pid)
    who = f"pid {holder.pid}" + (f" {command}" if command else "")
    return f"{who}: {', '.join(parts) or 'nothing now'}"


def age_of(info: ObjectInfo) -> str:
    """Return how long ago an object was published, "-" if it has no name."""
    ages = [holder.age_s for holder in info.holders if holder.kind == "area"]
    return ago(max(ages)) if ages else "-"


def object_lines(found: Sequence[ObjectInfo], *, long: bool = False) -> Iterator[str]:
    """Yield a heading and the lines of each object.

    `long`: also frames, runs, number, state and age.
    """
    more = ("AGE", "FRAMES", "RUNS", "OBJECT", "STATE") if long else ()
    head = (*HEAD[:-1], *more, HEAD[-1])
    return table_lines(head, (_cells(info, long=long) for info in found))


def _cells(info: ObjectInfo, *, long: bool) -> tuple[str, ...]:
    more = (
        (age_of(info), f"{info.nr:,}", f"{info.runs:,}", str(info.index), info.state)
        if long
        else ()
    )
    return (
        ", ".join(map(printable, info.names)) or "-",
        contents_text(contents_of(info)),
        sized(info.nbytes),
        f"{info.refcount:,}",
        *more,
        "; ".join(holder_text(one) for one in info.holders if one.count and one.kind != "area")
        or "its name",
    )


def table_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table as lines. The last column has no limit.

    In a terminal that is too narrow, it follows below each line, indented.
    """
    cells = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head) - 1)]
    left = sum(widths) + len(GAP) * len(widths)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    below = columns and columns - left < HOLDERS_WIDTH_MIN
    for number, row in enumerate(cells):
        line = GAP.join(
            text.rjust(width) if title in RIGHT else text.ljust(width)
            for title, text, width in zip(head, row[:-1], widths, strict=False)
        )
        if not below:
            yield (line + GAP + row[-1]).rstrip()
            continue
        yield line.rstrip()
        if row[-1] and number:
            yield from (INDENT + part for part in row[-1].split("; "))
