"""`scamem ls` and `scamem stat`: what is in an arena, and who holds it."""

from __future__ import annotations

import dataclasses

import click

import scamem

from .looking import Look, looked_at
from .options import arena_option, json_option
from .picture import caption, draw
from .show import console, object_json, print_json, print_objects, print_runs, print_stats

PICTURE_WIDTH_MAX = 96


@click.command("ls")
@arena_option
@json_option
def ls_command(arena_name: str, as_json: bool) -> None:
    """List the arena's objects: names, size, scatter, references, and who holds them.

    "held by" says for each holder what it holds by: areas (names), mappings, pins, objects in hand,
    and loans, that is handles on their way.
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
@click.option("--frames", is_flag=True, help="Draw the frames that are in use.")
def stat_command(name: str | None, arena_name: str, as_json: bool, frames: bool) -> None:
    """Show the arena's numbers; with NAME those of the object under it, and its runs."""
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
        count = look.stats().areas
        raise scamem.NameNotFoundError(f"no object named {name!r} ({count} names exist)")
    info = infos[0]
    runs = look.runs(info.index)
    if as_json:
        print_json({**object_json(info), "frames": [list(run) for run in runs]})
        return
    print_objects([info])
    print_runs(runs)
