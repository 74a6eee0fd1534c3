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
from scamem.looks.objects import ObjectInfo
from scamem.looks.stats import Stats

RUNS_MAX = 20
METRICS = {  # field of Stats: what Prometheus shows as its help
    "capacity_bytes": "Bytes in all frames.",
    "control_bytes": "Bytes of memory that the control file takes.",
    "frames_online": "Frames with memory.",
    "frames_free": "Frames in free runs.",
    "frames_reserved": "Free frames that are promised to large allocations.",
    "longest_free_run": "Frames in the longest free run.",
    "objects": "Objects.",
    "areas": "Published names.",
    "loans": "Handles that were sent and not loaded yet.",
}
COUNTERS = {
    "takeovers": "Locks taken over from a dead holder.",
    "rollbacks": "Words restored by takeovers.",
    "reaped_members": "Dead members reaped.",
    "reaped_holders": "Holder records of dead members released.",
}


def console() -> Console:
    """Return the console for results. Lines that go to a pipe are not folded."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=max(made.width, 160))


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=1))


def object_json(found: ObjectInfo, contents: dict[str, Any]) -> dict[str, Any]:
    """Return an object and its contents (see `contents_of`) as JSON."""
    made = dataclasses.asdict(found)
    made["contents"] = (
        {**contents, "dtype": str(contents["dtype"])} if "dtype" in contents else (contents)
    )
    made["refcount"] = found.refcount
    made["names"] = list(found.names)
    for holder, text in zip(found.holders, made["holders"], strict=True):
        text["count"] = holder.count
        del text["description"], text["published_ns"]
        if holder.kind == "area":
            text["age_s"] = round(holder.age_s, 3)
    return made


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


def print_prometheus(arena: str, stats: Stats) -> None:
    """Print the figures of an arena in Prometheus's text format, version 0.0.4."""
    label = "".join({"\\": r"\\", '"': r"\"", "\n": r"\n"}.get(one, one) for one in arena)
    for fields, kind, ending in ((METRICS, "gauge", ""), (COUNTERS, "counter", "_total")):
        for field, text in fields.items():
            name = f"scamem_{field}{ending}"
            click.echo(f"# HELP {name} {text}\n# TYPE {name} {kind}")
            click.echo(f'{name}{{arena="{label}"}} {getattr(stats, field)}')
    click.echo("# HELP scamem_members Processes that have joined.\n# TYPE scamem_members gauge")
    click.echo(f'scamem_members{{arena="{label}"}} {len(stats.members)}')


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
