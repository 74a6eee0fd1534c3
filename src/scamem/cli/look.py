"""`scamem ls`, `who`, `stat` and `arenas`: what is there, and who holds it."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import click

import scamem
from scamem.backing import places
from scamem.backing.text import counted, existing, sized
from scamem.looks.objects import ObjectInfo

from .contents import contents_of
from .listing import holder_text, object_lines, table_lines
from .looking import Copied, Look, looked_at
from .options import arena_option, json_option
from .picture import caption, draw
from .show import console, object_json, print_json, print_prometheus, print_runs, print_stats

PICTURE_WIDTH_MAX = 96


@click.command("ls")
@arena_option
@json_option
@click.option("-l", "--long", is_flag=True, help="Also show age, frames, runs, number and state.")
def ls_command(arena_name: str, as_json: bool, long: bool) -> None:
    """List the objects of the arena: name, contents, size, references, and who holds them.

    The column HELD BY has, for each process, its mappings, pins (arrays), objects in hand, and
    loans (handles that were sent and not loaded yet). A name is one reference.
    """
    with looked_at(arena_name) as look:
        found = look.objects()
    if as_json:
        print_json([object_json(info, contents_of(info)) for info in found])
        return
    if not found:
        click.echo("no objects")
        return
    for line in object_lines(found, long=long):
        click.echo(line)


@click.command("who")
@click.argument("name", metavar="NAME")
@arena_option
@json_option
def who_command(name: str, arena_name: str, as_json: bool) -> None:
    """Show who holds the object NAME, one holder on each line.

    NAME is a published name, or the number of an object (see `scamem ls -l`).
    """
    with looked_at(arena_name) as look:
        info = _find(look, name)
    if as_json:
        print_json(object_json(info, contents_of(info)))
        return
    click.echo(f"object {info.index}: {sized(info.nbytes)}, {counted(info.refcount, 'reference')}")
    for holder in info.holders:
        if holder.count:
            click.echo(f"  {holder_text(holder)}")


@click.command("stat")
@click.argument("name", required=False)
@arena_option
@json_option
@click.option("--frames", is_flag=True, help="Draw the frames in use.")
@click.option("--prometheus", is_flag=True, help="Print metrics in Prometheus's text format.")
def stat_command(
    name: str | None, arena_name: str, as_json: bool, frames: bool, prometheus: bool
) -> None:
    """Show the figures of the arena. With NAME, show that object and its runs."""
    with looked_at(arena_name) as look:
        if name is not None:
            _stat_object(look, name, as_json)
            return
        stats = look.stats()
        free = look.free_bitmap() if frames else None
    if as_json:
        print_json(dataclasses.asdict(stats))
        return
    if prometheus:
        print_prometheus(arena_name, stats)
        return
    print_stats(stats)
    if free is not None:
        output = console()
        width = max(20, min(output.width, PICTURE_WIDTH_MAX))
        output.print(draw(free, width))
        click.echo(caption(free, width, stats.frame_bytes))


def _stat_object(look: Look, name: str, as_json: bool) -> None:
    info = _find(look, name)
    runs = look.runs(info.index)
    if as_json:
        print_json({**object_json(info, contents_of(info)), "frames": [list(run) for run in runs]})
        return
    for line in object_lines([info], long=True):
        click.echo(line)
    print_runs(runs)


def _find(look: Look, name: str) -> ObjectInfo:
    """Return the object of a name or a number."""
    there = look.objects()
    for info in there:
        if name in info.names:
            return info
    for info in there:
        if name == str(info.index):
            return info
    names = sum(len(info.names) for info in there)
    raise scamem.NameNotFoundError(
        f"no object named {name!r} ({existing(names, 'name')}; see scamem ls)"
    )


@click.command("arenas")
@json_option
def arenas_command(as_json: bool) -> None:
    """List your named arenas: size, objects, processes, and where they lie."""
    found = [about for name in places.list_arenas() if (about := _about(name))]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("no arenas")
        return
    rows = (
        (
            about["name"],
            sized(about["bytes_in_use"]),
            sized(about["capacity_bytes"]),
            f"{about['objects']:,}",
            f"{len(about['pids']):,}",
            about["path"],
        )
        for about in found
    )
    for line in table_lines(("ARENA", "IN USE", "CAPACITY", "OBJECTS", "PROCESSES", "PATH"), rows):
        click.echo(line)


def _about(name: str) -> dict[str, Any] | None:
    """Return what the list says of an arena, without joining it.

    None if it is gone, or cannot be read: a line on stderr says why, and the others are listed.
    """
    try:
        stats = Copied(name).stats()
    except scamem.ArenaNotFoundError:
        return None
    except (scamem.ScamemError, OSError) as error:
        click.echo(f"scamem: the arena {name!r} is not listed: {error}", err=True)
        return None
    used = stats.frames_online - stats.frames_free
    return {
        "name": name,
        "path": stats.path,
        "capacity_bytes": stats.capacity_bytes,
        "bytes_in_use": used * stats.frame_bytes,
        "objects": stats.objects,
        "names": stats.areas,
        "pids": [one.pid for one in stats.members if os.path.exists(f"/proc/{one.pid}")],
    }
