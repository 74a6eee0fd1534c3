"""`scamem rm`, `scamem gc` and `scamem check`."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape
from rich.table import Table

import scamem
from scamem.backing import places
from scamem.backing.text import counted, existing, sized
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.membership.image import private_words

from . import snapshot
from .options import arena_option, json_option
from .repair import Repaired, repair
from .show import console, print_json
from .transfer import MEMBER

CONSISTENT = "OK: the arena is consistent (8 checks passed)"


@click.command("rm")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@arena_option
@click.option("-r", "--members", is_flag=True, help="Also remove all names NAME/member.")
@click.option("--whole", is_flag=True, help="Remove the arena itself.")
@click.option("--force", is_flag=True, help="With --whole: remove it even if processes use it.")
@json_option
def rm_command(
    names: tuple[str, ...], arena_name: str, members: bool, whole: bool, force: bool, as_json: bool
) -> None:
    """Remove NAMEs. An object is freed when its last reference is dropped, so processes that use
    it are not disturbed.

    With --whole, the files of the arena are removed. No process can join it any more. Processes
    that have joined can still use it, and its memory is freed when the last of them exits.
    """
    if whole:
        if names:
            raise click.UsageError("--whole removes the arena with all its names; give no NAME")
        _remove_arena(arena_name, force)
        if as_json:
            print_json({"arena": arena_name, "removed": True})
        return
    if not names:
        raise click.UsageError("give a NAME, or --whole to remove the arena itself")
    with scamem.Arena.join(arena_name) as arena:
        wanted = _with_members(arena, names) if members else list(names)
        missing = [name for name in wanted if name not in arena]
        if missing:
            raise scamem.NameNotFoundError(
                f"no object named {missing[0]!r} ({existing(len(arena), 'name')}; `scamem ls` "
                f"lists them){_below(arena, missing[0])}; nothing was removed"
            )
        for name in wanted:
            arena.unpublish(name)
    if as_json:
        print_json({"arena": arena_name, "removed": wanted})


def _below(arena: scamem.Arena, name: str) -> str:
    """Say how to remove the members of a name that is only their prefix."""
    below = [other for other in arena if other.startswith(name + MEMBER)]
    return f". {below[0]!r} is there: `scamem rm -r {name}` removes all of it" if below else ""


def _with_members(arena: scamem.Arena, names: tuple[str, ...]) -> list[str]:
    """Return names and their members. A name may exist only as the prefix of its members."""
    found: list[str] = []
    there = list(arena)
    for name in names:
        below = [other for other in there if other.startswith(name + MEMBER)]
        if name in there or not below:
            found.append(name)
        found += below
    return list(dict.fromkeys(found))


def _remove_arena(name: str, force: bool) -> None:
    if not force:
        with scamem.Arena.join(name) as arena:
            others = [
                member.pid
                for member in arena.stats().members
                if member.slot != arena._seat.member.my_word(L.MINE_SLOT)
            ]
        if others:
            raise click.ClickException(
                f"the arena {name!r} is in use by pid {', '.join(map(str, others[:5]))}"
                f"{' and others' if len(others) > 5 else ''}; they would keep it, and "
                "no other process could join. End them first, or add --force"
            )
    places.remove(name)


@click.command("gc")
@arena_option
@click.option(
    "--loans",
    is_flag=True,
    help="Also drop unloaded handles whose sender died or released the object, of any age.",
)
@json_option
def gc_command(arena_name: str, loans: bool, as_json: bool) -> None:
    """Free memory left by dead processes: drop what they held, and finish what they had begun.

    The arena does this by itself when it runs short of memory. This command does it now.
    """
    with scamem.Arena.join(arena_name) as arena:  # a full arena is reaped here first
        reaped = arena.reap()
        before = arena.stats()
        if loans:
            reaped += arena.reap(loans=True)
        after = arena.stats()
    given_up = before.loans - after.loans
    if as_json:
        print_json(
            {
                "members_reaped": reaped,
                "loans_given_up": given_up,
                "frames_free": after.frames_free,
                "frames_online": after.frames_online,
                "objects": after.objects,
            }
        )
        return
    free = after.frames_free * after.frame_bytes
    online = after.frames_online * after.frame_bytes
    click.echo(
        f"reaped {counted(reaped, 'dead process', 'dead processes')}, dropped "
        f"{counted(given_up, 'unloaded handle')}; {sized(free)} of {sized(online)} free, "
        f"{counted(after.objects, 'object')} left"
    )


@click.command("check")
@arena_option
@click.option(
    "--repair",
    "repairing",
    is_flag=True,
    help="Rebuild what can be rebuilt; needs an arena that no process has joined.",
)
@json_option
def check_command(arena_name: str, repairing: bool, as_json: bool) -> None:
    """Check that the arena is consistent: every frame, object, reference and name is accounted for.

    The command tests eight rules (I1 to I8 in docs/architecture.md) on a copy of the control file.
    It does not join, lock or change the arena. The exit code is 1 if a rule is broken.

    With --repair, derived data (the tree of free frames, lists, counts) is rebuilt from the rest
    (the runs of each object, its holders, names). The contents of objects are not touched. If the
    rest is not enough, the command says so and changes nothing.
    """
    if repairing:
        _print_repair(repair(arena_name), as_json)
        return
    taken = snapshot.take(arena_name)
    found = check(taken.words, private_words(taken.geometry))
    if as_json:
        print_json(_check_json(taken, found))
    else:
        _print_check(taken, found)
    if found:
        raise click.exceptions.Exit(1)


def _print_repair(done: Repaired, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "arena": done.path,
                "findings": [finding._asdict() for finding in done.found],
                "words_put_back": done.put_back,
                "changed": done.changed,
            }
        )
        return
    if not done.changed:
        click.echo(f"{CONSISTENT}; nothing was changed")
        return
    if done.put_back:
        click.echo(f"undid the unfinished work of a dead member ({counted(done.put_back, 'word')})")
    for text in done.changed:
        click.echo(text)
    click.echo(f"{counted(len(done.found), 'problem')} repaired. {CONSISTENT}")


def _check_json(taken: snapshot.Snapshot, found: list[Any]) -> dict[str, Any]:
    return {
        "arena": taken.path,
        "findings": [finding._asdict() for finding in found],
        "inside": taken.pid(taken.inside) if taken.inside else None,
        "words_put_back": taken.put_back,
    }


def _print_check(taken: snapshot.Snapshot, found: list[Any]) -> None:
    if taken.inside:
        click.echo(
            f"process {taken.pid(taken.inside)} died or stopped inside a transaction. Its changes "
            f"({counted(taken.put_back, 'word')}) were undone in the copy; the next member will "
            "undo them in the arena"
        )
    if not found:
        click.echo(CONSISTENT)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "where", "problem"):
        table.add_column(name, overflow="fold")
    for finding in found:
        table.add_row(finding.rule, escape(finding.place), escape(finding.message))
    console().print(table)
    click.echo(f"{counted(len(found), 'problem')}; docs/architecture.md explains the rules")
