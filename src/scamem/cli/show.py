"""What the commands print: tables for people, and JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scamem.backing.text import counted, sized
from scamem.looks.objects import Holder, ObjectInfo
from scamem.looks.stats import Stats

RUNS_MAX = 20
COUNTS = (
    ("mappings", "mapping", "mappings"),
    ("pins", "pin", "pins"),
    ("io_pins", "I/O pin", "I/O pins"),
    ("hands", "in hand", "in hand"),
    ("loans", "loan", "loans"),
)


def console() -> Console:
    """Return the console for results. Lines that go to a pipe are not folded."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=max(made.width, 160))


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1))


def holder_text(holder: Holder) -> str:
    """Say who holds an object, and how."""
    if holder.kind == "area":
        return f"area {holder.name}"
    parts = [
        counted(count, thing, things)
        for field, thing, things in COUNTS
        if (count := getattr(holder, field))
    ]
    if holder.kind == "transit":
        return f"transit: {', '.join(parts)}"
    return f"pid {holder.pid}: {', '.join(parts) or 'nothing now'}"


def object_json(found: ObjectInfo) -> dict[str, Any]:
    """Return an object as JSON."""
    made = dataclasses.asdict(found)
    made["refcount"] = found.refcount
    made["names"] = list(found.names)
    for holder, text in zip(found.holders, made["holders"], strict=True):
        text["count"] = holder.count
    return made


def print_objects(found: list[ObjectInfo]) -> None:
    """Print objects as a table."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("names", overflow="fold")
    for name in ("size", "frames", "runs", "refcount"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("object", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("held by", overflow="fold")
    for info in found:
        others = [holder_text(holder) for holder in info.holders if holder.count]
        table.add_row(
            escape(", ".join(info.names)) or "-",
            sized(info.nbytes),
            f"{info.nr:,}",
            f"{info.runs:,}",
            f"{info.refcount:,}",
            str(info.index),
            info.state,
            escape("; ".join(others)) or "nobody",
        )
    console().print(table)


def print_stats(stats: Stats) -> None:
    """Print the figures of an arena."""
    frame = stats.frame_bytes
    used = stats.frames_online - stats.frames_free
    free = f"{sized(stats.frames_free * frame)} ({counted(stats.frames_free, 'frame')}"
    if stats.frames_reserved:
        free += f", {stats.frames_reserved:,} of them reserved"
    members = [f"pid {found.pid} ({counted(found.objects, 'object')})" for found in stats.members]
    sections = counted(stats.sections_online, "section")
    reaped = counted(stats.reaped_members, "member"), counted(stats.reaped_holders, "record")
    words = counted(stats.rollbacks, "word")
    rows = (
        ("arena", stats.path or f"anonymous {stats.arena_id}"),
        ("capacity", sized(stats.capacity_bytes)),
        ("online", f"{sized(stats.frames_online * frame)} in {sections}"),
        ("in use", f"{sized(used * frame)} ({counted(used, 'frame')})"),
        ("free", f"{free})"),
        ("longest free run", sized(stats.longest_free_run * frame)),
        ("objects", f"{stats.objects:,}"),
        ("names", f"{stats.areas:,}"),
        ("loans in transit", f"{stats.loans:,}"),
        ("members", ", ".join(members)),
        ("reaped so far", ", ".join(reaped)),
        ("locks taken over", f"{stats.takeovers:,} ({words} restored)"),
        ("control file", sized(stats.control_bytes)),
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(name, escape(text))
    console().print(table)


def print_runs(runs: list[tuple[int, int]]) -> None:
    """Print the first runs of an object, and the number of the others."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("run", "first pfn", "frames"):
        table.add_column(name, justify="right")
    for number, (start, frames) in enumerate(runs[:RUNS_MAX], 1):
        table.add_row(str(number), f"{start:,}", f"{frames:,}")
    console().print(table)
    if len(runs) > RUNS_MAX:
        click.echo(f"and {counted(len(runs) - RUNS_MAX, 'more run')}")
