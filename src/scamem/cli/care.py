"""`scamem rm`, `scamem gc` and `scamem check`."""

from __future__ import annotations

from array import array
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

import scamem
from scamem.backing import places
from scamem.backing.text import sized
from scamem.core.check import check
from scamem.core.store import layout as L

from . import snapshot
from .options import arena_option, json_option
from .repair import Repaired, repair
from .show import console, counted, print_json
from .transfer import MEMBER


@click.command("rm")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@arena_option
@click.option("-r", "--members", is_flag=True, help="Also take away all names NAME/member.")
@click.option("--whole", is_flag=True, help="Remove the arena itself.")
@click.option("--force", is_flag=True, help="With --whole: also while processes use it.")
@json_option
def rm_command(
    names: tuple[str, ...], arena_name: str, members: bool, whole: bool, force: bool, as_json: bool
) -> None:
    """Take NAMEs away. An object is freed when its last reference goes, so whoever still uses it
    goes on undisturbed.

    With --whole the arena's files are removed: no process can join it any more, those that have
    joined go on, and the memory is free when the last of them has ended.
    """
    if whole:
        if names:
            raise click.UsageError("--whole removes the arena with all names; give none")
        _remove_arena(arena_name, force)
        if as_json:
            print_json({"arena": arena_name, "removed": True})
        return
    if not names:
        raise click.UsageError("give a NAME, or --whole for the arena itself")
    with scamem.Arena.join(arena_name) as arena:
        wanted = _with_members(arena, names) if members else list(names)
        missing = [name for name in wanted if name not in arena]
        if missing:
            raise scamem.NameNotFoundError(
                f"nothing is published as {missing[0]!r}; nothing was taken away. "
                f"{len(arena)} names are (scamem ls)"
            )
        for name in wanted:
            arena.unpublish(name)
    if as_json:
        print_json({"arena": arena_name, "removed": wanted})


def _with_members(arena: scamem.Arena, names: tuple[str, ...]) -> list[str]:
    """Return names and their members; a name that only has members stands for them."""
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
                f"{' and others' if len(others) > 5 else ''}; they would go on, unseen by others. "
                "End them first, or add --force"
            )
    places.remove(name)


@click.command("gc")
@arena_option
@click.option(
    "--loans",
    is_flag=True,
    help="Give up handles on their way whose sender let go or died, whatever their age.",
)
@json_option
def gc_command(arena_name: str, loans: bool, as_json: bool) -> None:
    """Reap dead members: give back what they held, finish what they had begun.

    The arena does so by itself when it runs short; this does it now.
    """
    with scamem.Arena.join(arena_name) as arena:  # which reaps, where it must, before it is busy
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
        f"reaped {counted(reaped, 'member')}, gave up {counted(given_up, 'loan')}; "
        f"{sized(free)} of {sized(online)} are free, {counted(after.objects, 'object')} left"
    )


@click.command("check")
@arena_option
@click.option(
    "--repair",
    "repairing",
    is_flag=True,
    help="Make anew what can be derived; needs an arena that no process is a member of.",
)
@json_option
def check_command(arena_name: str, repairing: bool, as_json: bool) -> None:
    """Prove that the arena is whole: every frame, object, reference and name is accounted for.

    The rules I1 to I7 of docs/architecture.md are tried on a copy of the control file; the arena is
    not joined, locked or changed. The exit code is 1 if something is wrong.

    With --repair, what can be derived (the tree of free frames, lists, counts) is made anew from
    what cannot (which runs an object has, who holds it, names); data is not touched. Where that is
    not enough, it says so and changes nothing.
    """
    if repairing:
        _print_repair(repair(arena_name), as_json)
        return
    taken = snapshot.take(arena_name)
    mine = array("Q", bytes(L.WORD_BYTES * taken.geometry.private_words))
    taken.geometry.describe_to(mine)
    found = check(taken.words, mine)
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
        click.echo("I1 to I7 hold: nothing to repair, nothing was changed")
        return
    if done.put_back:
        click.echo(f"put back {counted(done.put_back, 'word')} that a dead member had changed")
    for text in done.changed:
        click.echo(text)
    click.echo(f"{counted(len(done.found), 'finding')} before; now I1 to I7 hold")


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
            f"pid {taken.pid(taken.inside)} died or stopped inside a transaction; the "
            f"{counted(taken.put_back, 'word')} that it had changed were put back in the copy, as "
            "the next member will do in the arena"
        )
    if not found:
        click.echo("I1 to I7 hold: nothing is lost, nothing is held twice")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("rule", "where", "what is wrong"):
        table.add_column(name, overflow="fold")
    for finding in found:
        table.add_row(finding.rule, escape(finding.place), escape(finding.message))
    console().print(table)
    click.echo(f"{counted(len(found), 'finding')}; docs/architecture.md says what the rules are")
