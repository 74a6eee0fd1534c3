"""`scamem designs`: the designs of the thread, side by side."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..designs import booted
from ..designs.axes import grid
from ..designs.catalogue import ArenaLayout, design, designs
from ..designs.comparison import QUICK_SIZES, Comparison, compare
from ..designs.costs import Cost
from ..designs.design import Design
from ..designs.kernel.snapshot import Snapshot, find, read_live
from ..designs.remedies import remedies, side_effects
from ..designs.report.html import MACHINE_FIGURES, page
from ..designs.report.summary import QUESTION, findings, survivors
from ..designs.rules import parse_flip, questions
from ..designs.scenarios import SCENARIOS, scenario, verdicts
from ..designs.timing import OBJECT_SIZES
from ..designs.verdicts import Verdict, legend

HEAD_COLUMNS = 12
CELLS = {"pass": "[green]pass[/]", "fail": "[bold red]FAIL[/]", "n/a": "[dim]n/a[/]"}

OPTIONS = (
    click.option(
        "--why", nargs=2, metavar="DESIGN SCENARIO", help="Print the trace of one verdict."
    ),
    click.option(
        "--remedies", "mend", metavar="DESIGN", help="Which other answers mend its failures."
    ),
    click.option("--axes", is_flag=True, help="Every object layout under every page word."),
    click.option("--structs", is_flag=True, help="Print each design's structs as pahole would."),
    click.option(
        "--rules", "asked", is_flag=True, help="Every question, its answers, and who gives which."
    ),
    click.option(
        "--set",
        "answers",
        multiple=True,
        metavar="DESIGN.RULE=VALUE",
        help="Change an answer of a design and see what changes; may be repeated.",
    ),
    click.option("--arena", is_flag=True, help="Add this library's own layout as a column."),
    click.option(
        "--snapshot",
        "source",
        metavar="NAME|FILE",
        help="Count on a recorded machine (two are shipped) instead of this one.",
    ),
    click.option("--time", "full", is_flag=True, help="Measure objects of 1 to 1,048,576 pages."),
    click.option(
        "--html",
        "html_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write everything as one HTML page.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print verdicts and costs as JSON."),
    click.option(
        "--booted",
        "booted_table",
        is_flag=True,
        help="What a booted kernel did in each scenario, beside the model.",
    ),
)


Command = Callable[..., None]
Option = Callable[[Command], Command]


def with_options(options: Sequence[Option]) -> Option:
    """Add options to a command, the first one first in its help."""

    def add(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@click.command("designs")
@with_options(OPTIONS)
def designs_command(
    why: tuple[str, str] | None,
    mend: str | None,
    axes: bool,
    structs: bool,
    asked: bool,
    answers: tuple[str, ...],
    arena: bool,
    source: str | None,
    full: bool,
    html_file: Path | None,
    as_json: bool,
    booted_table: bool,
) -> None:
    """Compare the kernel designs for scattered memory: what breaks, and what each costs."""
    console = Console(highlight=False)
    kinds = _designs(answers, arena)
    if why:
        _print_why(console, kinds, *why)
        return
    if mend:
        _print_remedies(console, _named(kinds, mend))
        return
    if structs:
        _print_structs(console, kinds)
        return
    if asked:
        _print_rules(console, kinds)
        return
    if axes:
        _print_axes(console, kinds)
        return
    if booted_table:
        _print_booted(console)
        return
    snapshot = _snapshot(source)
    if not as_json:
        _print_summary(console, kinds)
    found = compare(kinds, snapshot, OBJECT_SIZES if full else QUICK_SIZES)
    if html_file:
        html_file.write_text(page(found))
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=1))
        return
    _print_verdicts(console, found)
    _print_costs(console, found)
    _print_times(console, found)
    if html_file:
        console.print(f"written: {html_file}")


def _designs(answers: tuple[str, ...], arena: bool) -> list[Design]:
    kinds: list[Design] = [*designs(), ArenaLayout()] if arena else designs()
    for text in answers:
        name, dot, flip = text.partition(".")
        try:
            rule, value = parse_flip(flip) if dot else parse_flip(text)
            old = _named(kinds, name)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--set") from error
        new = old.with_rules(**{rule: value})
        new.name = old.name  # the column keeps its name; the command line says what changed
        kinds[kinds.index(old)] = new
    return kinds


def _named(kinds: list[Design], name: str) -> Design:
    for kind in kinds:
        if kind.name == name:
            return kind
    try:
        return design(name)
    except LookupError as error:
        raise click.BadParameter(str(error.args[0])) from error


def _snapshot(source: str | None) -> Snapshot:
    if source is None:
        return read_live()
    try:
        return find(source)
    except (LookupError, ValueError) as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--snapshot") from error


def _print_summary(console: Console, kinds: list[Design]) -> None:
    """One screen: the question, what a booted kernel showed, which design survives what."""
    console.print("\n".join(QUESTION), soft_wrap=True)
    console.print()
    for path in booted.shipped().values():
        for line in findings(booted.load(path)):
            console.print(line, soft_wrap=True, markup=False)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in ("design", "what", "pass", "harms on", "refuses, or keeps too much, on"):
        table.add_column(head, overflow="fold")
    for row in survivors(kinds, verdicts(kinds)):
        table.add_row(*row)
    console.print(table)
    console.print(
        "a kernel beside the model: --booted (docs/kernel.md); one verdict: --why; every answer: "
        "--rules; what mends a design: --remedies",
        soft_wrap=True,
    )


def _print_booted(console: Console) -> None:
    for path in booted.shipped().values():
        run = booted.load(path)
        cells = booted.compare(run)
        console.print(f"{run.kernel} ({run.accelerator})", soft_wrap=True, markup=False)
        console.print("model and kernel, boot by boot; ! where they differ", markup=False)
        for line in [*booted.table(cells), *booted.reasons(cells)]:
            console.print(line, soft_wrap=True, markup=False)
        for name, why in booted.NOT_ACTED_OUT.items():
            console.print(f"- {name}: not acted out: {why}", soft_wrap=True, markup=False)


def _print_why(console: Console, kinds: list[Design], name: str, wanted: str) -> None:
    try:
        play = scenario(wanted)
    except LookupError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--why") from error
    kind = _named(kinds, name)
    verdict = play.play(kind)
    console.print(f"[bold]{kind.name}[/] ({escape(kind.title)}), {play.path} {play.name}")
    console.print(f"{escape(play.title)}\n")
    for line in verdict.trace:
        console.print(escape(line), soft_wrap=True)
    console.print(f"\nverdict: {CELLS[verdict.verdict]}")
    if verdict.verdict == "fail":
        found = remedies(play, kind, changes=2)
        console.print("mended by any of: " + ("; ".join(map(str, found)) or "nothing in the model"))


def _print_remedies(console: Console, kind: Design) -> None:
    table = Table(title=f"{kind.name}: what mends each failure", box=SIMPLE_HEAD)
    for head in ("path", "scenario", "what fails", "one other answer that passes"):
        table.add_column(head, overflow="fold")
    mending = {}
    for play in SCENARIOS:
        verdict = play.play(kind)
        if verdict.verdict != "fail":
            continue
        found = remedies(play, kind)
        mending.update({str(item): item for item in found})
        told = "\n".join(map(str, found)) or "[dim]none[/]"
        table.add_row(play.path, play.name, escape(f"{verdict.kind}: {verdict.reason}"), told)
    console.print(table)
    effects = Table(title="what those answers change in all", box=SIMPLE_HEAD)
    for head in ("answer", "mends", "breaks"):
        effects.add_column(head, overflow="fold")
    for item in side_effects(kind, mending.values()):
        effects.add_row(str(item), ", ".join(item.mends), "[red]" + ", ".join(item.breaks) + "[/]")
    console.print(effects)


def _print_structs(console: Console, kinds: list[Design]) -> None:
    for kind in kinds:
        console.print(f"/* {kind.name}: {kind.title} */", markup=False)
        for struct in kind.structs():
            console.print(struct.pahole().replace("\t", "        "), markup=False, soft_wrap=True)
        console.print()


def _print_rules(console: Console, kinds: list[Design]) -> None:
    for question in questions():
        console.print(f"[bold]{question.rule}[/]: {escape(question.text)}", soft_wrap=True)
        for text, value in question.spelled().items():
            names = [k.name for k in kinds if getattr(k.rules, question.rule) == value]
            console.print(f"    {text:<16} [dim]{', '.join(names)}[/]", soft_wrap=True)


def _print_axes(console: Console, kinds: list[Design]) -> None:
    table = Table(title="object layout x page word", box=SIMPLE_HEAD)
    for head in ("object", "word", "bytes a page", "pass", "fail", "paths that fail"):
        table.add_column(head, overflow="fold")
    for point in grid(kinds):
        mark = " *" if point.own else ""
        table.add_row(
            point.design,
            point.word + mark,
            str(point.word_bytes),
            str(point.passed),
            str(point.failed),
            " ".join(point.failing_paths),
        )
    console.print(table)
    console.print("* as the design was written")


def _print_verdicts(console: Console, found: Comparison) -> None:
    names = [kind.name for kind in found.designs]
    table = Table(
        title="verdicts (scamem designs --why DESIGN SCENARIO says why)",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("path")
    table.add_column("scenario", no_wrap=True)
    for name in names:
        table.add_column(name, no_wrap=True)
    for play in SCENARIOS:
        cells = [_cell(found.verdict(play.name, name)) for name in names]
        table.add_row(play.path, play.name, *cells)
    table.add_section()
    for outcome in ("pass", "fail", "n/a"):
        counts = [str(found.tally(name)[outcome]) for name in names]
        table.add_row("", f"{outcome}, in all", *counts)
    print_wide(console, table)
    for line in legend(found.verdicts):
        console.print(line)


def _cell(verdict: Verdict) -> str:
    failing = "bold red" if verdict.harms else "yellow"
    style = {"pass": "green", "fail": failing, "n/a": "dim"}[verdict.verdict]
    return f"[{style}]{verdict.mark}[/]"


def _print_costs(console: Console, found: Comparison) -> None:
    snapshot = found.snapshot
    made_up = ", made up" if snapshot.made_up else ""
    areas = snapshot.area_sizes()
    table = Table(
        title=f"costs on {snapshot.name} ({snapshot.kernel}{made_up}): {len(areas)} areas, "
        f"{sum(area.pages for area in areas):,} pages",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    add_costs(table, found.designs, MACHINE_FIGURES, found.costs)
    print_wide(console, table)
    for line in snapshot.unseen:
        console.print(f"[dim]not seen: {escape(line)}[/]", soft_wrap=True)


def add_costs(
    table: Table, kinds: Sequence[Design], figures: Sequence[tuple[str, str]], costs: Sequence[Cost]
) -> None:
    """A row a design and a column a figure; heads of several lines keep it narrow."""
    values: dict[tuple[str, str, str], float] = {}
    for cost in costs:  # the machine's own figures come first; later ones are of other sizes
        values.setdefault((cost.design, cost.quantity, cost.unit), cost.value)
    table.add_column("design")
    for quantity, unit in figures:
        table.add_column(
            "\n".join(textwrap.wrap(f"{quantity}, {unit}", HEAD_COLUMNS)), justify="right"
        )
    for kind in kinds:
        cells = (values.get((kind.name, quantity, unit)) for quantity, unit in figures)
        table.add_row(kind.name, *map(_figure, cells))


def _print_times(console: Console, found: Comparison) -> None:
    timed = [cost for cost in found.costs if cost.unit == "ns a page"]
    table = Table(
        title="ns a page, NumPy over the designs' layouts (compare columns)",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    for kind in found.designs:
        table.add_column(kind.name, justify="right", no_wrap=True)
    names = {kind.name for kind in found.designs}
    heads = dict.fromkeys((c.quantity, c.of) for c in timed if c.design in names)
    for quantity, of in heads:
        row = {c.design: c.value for c in timed if (c.quantity, c.of) == (quantity, of)}
        table.add_row(f"{quantity}, {of}", *(_figure(row.get(k.name)) for k in found.designs))
    print_wide(console, table)
    others = [cost for cost in timed if cost.design not in names]
    for of in dict.fromkeys(cost.of for cost in others):
        told = ", ".join(f"{c.design} {c.value:.1f}" for c in others if c.of == of)
        console.print(f"lookup by pfn, ns a page, {of}: {told}", soft_wrap=True)


def print_wide(console: Console, table: Table) -> None:
    """A table that is not squeezed: its lines may be longer than the terminal."""
    title, table.title = table.title, None
    console.print(f"\n[bold]{title}[/]", soft_wrap=True)
    options = console.options.update(width=400)
    width = max(console.width, console.measure(table, options=options).maximum)
    Console(highlight=False, width=width).print(table)


def _figure(value: float | None) -> str:
    if value is None:
        return "[dim]-[/]"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
