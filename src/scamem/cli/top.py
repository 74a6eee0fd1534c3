"""`scamem top`: the objects and processes of an arena, refreshed until a key ends it.

Rates come from two copies of the control file. The generation of an object's record grows by one
whenever an object in it ends, so their sum counts frees. The ticket of the lock counts
transactions.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scamem.backing.text import counted, printable, sized
from scamem.core.store import layout as L
from scamem.looks.image import Image
from scamem.looks.objects import ObjectInfo
from scamem.looks.stats import Stats

from .contents import command_of, contents_of, contents_text
from .listing import age_of, holder_text
from .looking import Look, looked_at
from .options import arena_option

KEYS: Final = "s size  r references  n name  p processes  up/down select  Enter open  q quit"
LINES_ABOVE: Final = 8
LINES: Final = 40  # without a terminal
SORTS: Final = {"s": "size", "r": "references", "n": "name"}
ESCAPE: Final = "\x1b"


@dataclass
class Sample:
    """An arena at one moment, and what counts since it was created."""

    at_s: float
    stats: Stats
    objects: list[ObjectInfo]
    allocations: int
    transactions: int


@dataclass
class Screen:
    """What the user chose to see."""

    sort: str = "s"
    processes: bool = False
    selected: int = 0
    opened: int | None = None  # number of the object whose holders are shown
    rows: list[int] = field(default_factory=list)  # numbers of the objects shown


def sample(look: Look) -> Sample:
    """Look at an arena once."""
    command_of.cache_clear()
    with look.image() as image:
        return Sample(
            time.monotonic(),
            image.stats(),
            list(image.objects()),
            _allocations(image),
            image.words[L.LOCK] >> L.LOCK_TICKET_SHIFT,
        )


def _allocations(image: Image) -> int:
    """Return how many objects were ever allocated: those that ended, and those that live."""
    start = image.geometry.regions()["objects_max"].start
    used = image.words[L.TABLES + L.TABLE_WORDS * L.TABLE_OBJECTS + L.TABLE_NEXT]
    most = min(used, image.geometry.objects_max)
    words = image.words[start : start + most * L.OBJECT_WORDS]
    return sum(words[L.OBJECT_GENERATION :: L.OBJECT_WORDS]) + int(image.words[L.OBJECTS_COUNT])


@click.command("top")
@arena_option
@click.option(
    "-d",
    "--delay",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("-n", "--count", type=click.IntRange(min=1), help="Number of looks, then end.")
def top_command(arena_name: str, delay: float, count: int | None) -> None:
    """Watch an arena: its objects and who holds them, rates, free memory.

    Keys: s, r, n sort by size, references or name; p shows processes; up and down select an object,
    Enter shows its holders; q ends. Without a terminal, the output is one look, or --count of them.
    """
    output = Console(highlight=False)
    with looked_at(arena_name) as look:
        if not (output.is_terminal and sys.stdin is not None and sys.stdin.isatty()):
            _print_looks(output, look, delay, count or 1)
            return
        _watch(output, look, delay, count)


def _print_looks(output: Console, look: Look, delay: float, count: int) -> None:
    before = None
    for number in range(count):
        if number:
            time.sleep(delay)
        now = sample(look)
        output.print(picture(before, now, Screen(), lines=LINES))
        before = now


def _watch(output: Console, look: Look, delay: float, count: int | None) -> None:
    screen = Screen()
    before, now = None, sample(look)
    with _raw_keys(), Live(console=output, screen=True, auto_refresh=False) as live:
        while True:
            live.update(picture(before, now, screen, lines=output.height), refresh=True)
            key = _key(max(0.0, now.at_s + delay - time.monotonic()))
            if key == "q":
                return
            if key:
                _press(screen, key)
                continue
            if count is not None:
                count -= 1
                if count <= 0:
                    return
            before, now = now, sample(look)


@contextlib.contextmanager
def _raw_keys() -> Iterator[None]:
    """Read keys without Enter and without an echo; Ctrl-C still interrupts."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _key(timeout_s: float) -> str:
    """Return the next key within a time, "" if none came: "up", "down", "enter" or a character."""
    descriptor = sys.stdin.fileno()
    if not select.select([descriptor], [], [], timeout_s)[0]:
        return ""
    text = os.read(descriptor, 8).decode("utf-8", "replace")
    if text == "":
        return "q"  # the terminal is gone
    return {f"{ESCAPE}[A": "up", f"{ESCAPE}[B": "down", "\n": "enter", "\r": "enter"}.get(
        text, text[0]
    )


def _press(screen: Screen, key: str) -> None:
    if key in SORTS:
        screen.sort, screen.processes, screen.opened = key, False, None
    elif key == "p":
        screen.processes = not screen.processes
    elif key in ("up", "down"):
        last = max(0, len(screen.rows) - 1)
        screen.selected = min(last, max(0, screen.selected + (1 if key == "down" else -1)))
    elif key == "enter":
        closed = screen.opened is None and bool(screen.rows)
        screen.opened = screen.rows[screen.selected] if closed else None
    elif key == ESCAPE:
        screen.opened = None


def picture(before: Sample | None, now: Sample, screen: Screen, lines: int) -> Group:
    """Return what one look shows, in at most `lines` lines."""
    room = max(1, lines - LINES_ABOVE)
    opened = next((info for info in now.objects if info.index == screen.opened), None)
    if screen.processes:
        body = _processes(now, room)
    elif opened is not None:
        body = _holders(opened, room)
    else:
        body = _objects(now, screen, room)
    return Group(_head(before, now), Text(KEYS, style="dim", no_wrap=True), body)


def _head(before: Sample | None, now: Sample) -> Text:
    stats = now.stats
    frame = stats.frame_bytes
    used = (stats.frames_online - stats.frames_free) * frame
    text = Text(no_wrap=True)
    text.append(f"{stats.path or stats.arena_id}\n", "bold")
    text.append(
        f"{sized(used)} in use, {sized(stats.frames_free * frame)} free (longest run "
        f"{sized(stats.longest_free_run * frame)}), capacity {sized(stats.capacity_bytes)}\n"
    )
    text.append(
        f"{counted(stats.objects, 'object')}, {counted(stats.areas, 'name')}, "
        f"{counted(stats.loans, 'loan')}, {counted(len(stats.members), 'process', 'processes')}\n"
    )
    if before is None:
        return text.append("rates: after the next look\n", "dim")
    seconds = now.at_s - before.at_s
    made = now.allocations - before.allocations
    freed = made - (stats.objects - before.stats.objects)
    return text.append(
        f"{made / seconds:,.0f} allocations/s, {freed / seconds:,.0f} frees/s, "
        f"{(now.transactions - before.transactions) / seconds:,.0f} transactions/s, "
        f"{stats.takeovers - before.stats.takeovers:,} takeovers of the lock\n"
    )


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        right = title in ("size", "refs", "age", "objects")
        table.add_column(Text(title), justify="right" if right else "left", no_wrap=True)
    return table


def _add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of texts as they are: names and commands may contain what rich takes for markup."""
    table.add_row(*map(Text, cells), style=style)


def _objects(now: Sample, screen: Screen, room: int) -> Table:
    keys = {
        "s": lambda info: (-info.nbytes, info.index),
        "r": lambda info: (-info.refcount, info.index),
        "n": lambda info: (not info.names, info.names, info.index),
    }
    found = sorted(now.objects, key=keys[screen.sort])
    screen.rows = [info.index for info in found]
    screen.selected = min(screen.selected, max(0, len(found) - 1))
    first = max(0, screen.selected - room + 1)
    table = _table("name", "contents", "size", "refs", "age", "held by")
    for number, info in enumerate(found[first : first + room], first):
        members = [one for one in info.holders if one.kind == "member" and one.count]
        _add_row(
            table,
            ", ".join(map(printable, info.names)) or f"({info.index})",
            contents_text(contents_of(info)),
            sized(info.nbytes),
            f"{info.refcount:,}",
            age_of(info),
            ", ".join(f"{one.pid} {command_of(one.pid)}".strip() for one in members),
            style="reverse" if number == screen.selected else "",
        )
    return table


def _processes(now: Sample, room: int) -> Table:
    held: dict[int, list[ObjectInfo]] = {one.pid: [] for one in now.stats.members}
    for info in now.objects:
        for holder in info.holders:
            if holder.kind == "member" and holder.count:
                held.setdefault(holder.pid, []).append(info)
    table = _table("pid", "objects", "size", "command")
    by_size = sorted(held.items(), key=lambda item: -sum(info.nbytes for info in item[1]))
    for pid, infos in by_size[:room]:
        size = sized(sum(info.nbytes for info in infos))
        _add_row(table, str(pid), f"{len(infos):,}", size, command_of(pid))
    return table


def _holders(info: ObjectInfo, room: int) -> Table:
    name = ", ".join(map(printable, info.names)) or f"object {info.index}"
    table = _table(f"{name}: {sized(info.nbytes)}, {counted(info.runs, 'run')}; held by")
    for holder in [one for one in info.holders if one.count][:room]:
        _add_row(table, holder_text(holder))
    return table
