"""`scamem ls` and `scamem stat`: the objects of an arena, and their holders."""

from __future__ import annotations

import dataclasses

import click

import scamem
from scamem.backing.text import existing

from .looking import Look, looked_at
from .options import arena_option, json_option
from .picture import caption, draw
from .show import console, object_json, print_json, print_objects, print_runs, print_stats

PICTURE_WIDTH_MAX = 96


@click.command("ls")
@arena_option
@json_option
def ls_command(arena_name: str, as_json: bool) -> None:
    """List the objects of the arena: names, size, number of runs, references, and holders.

    The column "held by" lists areas (names). For each process it lists mappings, pins (arrays),
    objects in hand, and loans (handles that were sent and not loaded yet).
    """
    with looked_at(arena_name) as look:
        found = look.objects()
    if as_json:
        print_json([object_json(info) for info in found])
        return
    if not found:
        click.echo("no objects")
        return
    print_objects(found)


@click.command("stat")
@click.argument("name", required=False)
@arena_option
@json_option
@click.option("--frames", is_flag=True, help="Draw the frames in use.")
def stat_command(name: str | None, arena_name: str, as_json: bool, frames: bool) -> None:
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
    print_stats(stats)
    if free is not None:
        output = console()
        width = max(20, min(output.width, PICTURE_WIDTH_MAX))
        output.print(draw(free, width))
        click.echo(caption(free, width, stats.frame_bytes))


def _stat_object(look: Look, name: str, as_json: bool) -> None:
    infos = [info for info in look.objects() if name in info.names]
    if not infos:
        there = existing(look.stats().areas, "name")
        raise scamem.NameNotFoundError(f"no object named {name!r} ({there}; see scamem ls)")
    info = infos[0]
    runs = look.runs(info.index)
    if as_json:
        print_json({**object_json(info), "frames": [list(run) for run in runs]})
        return
    print_objects([info])
    print_runs(runs)
