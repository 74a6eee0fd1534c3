"""`scamem kernel`: what this machine's kernel (or a recorded one) tells of its scattered memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..designs.catalogue import designs
from ..designs.kernel.pages import page_states
from ..designs.kernel.report import KernelReport, as_json, flag_rows, report
from ..designs.kernel.snapshot import Snapshot, find, read_live, record
from ..designs.kernel.vmallocinfo import KMEM_HEADER, kmem_row
from ..designs.live.experiments import EXPERIMENTS
from .designs import add_costs, print_wide, with_options

FIGURES = (
    ("memmap and lookup table", "bytes"),
    ("words of vmalloc pages", "bytes"),
    ("objects, net of pages[] replaced", "bytes"),
    ("metadata allocations", "a vmalloc"),
    ("nested vmallocs", "in all"),
)


OPTIONS = (
    click.option(
        "--record",
        "record_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write what was read as a snapshot.",
    ),
    click.option(
        "--snapshot",
        "source",
        metavar="NAME|FILE",
        help="Read a snapshot (two are shipped) instead of this machine.",
    ),
    click.option("--areas", is_flag=True, help="Print the areas as /proc/vmallocinfo does."),
    click.option("--kmem", is_flag=True, help="Print the areas in the columns of kmem -v."),
    click.option(
        "--page",
        "pfns",
        type=str,
        multiple=True,
        metavar="PFN",
        help="Print a frame's flags in page-types' letters (root; hexadecimal).",
    ),
    click.option(
        "--live", is_flag=True, help="Run two harmless experiments on this kernel (root)."
    ),
    click.option("--json", "json_out", is_flag=True, help="Print the report, or --live, as JSON."),
)


@click.command("kernel")
@with_options(OPTIONS)
def kernel_command(
    record_file: Path | None,
    source: str | None,
    areas: bool,
    kmem: bool,
    pfns: tuple[str, ...],
    live: bool,
    json_out: bool,
) -> None:
    """Report vmalloc areas, their makers, and what each design would cost this machine.

    Works without root as far as /proc goes; what could not be seen is listed.
    """
    console = Console(highlight=False)
    if live:
        _run_experiments(json_out)
        return
    if pfns:
        _print_pages(pfns)
        return
    snapshot = _snapshot(source)
    if record_file:
        record(snapshot, record_file)
        click.echo(f"recorded: {record_file}, {len(snapshot.areas)} areas")
        return
    if areas or kmem:
        _print_areas(snapshot, kmem)
        return
    found = report(snapshot)
    if json_out:
        click.echo(json.dumps(as_json(found), indent=1))
        return
    _print_summary(console, found)
    _print_callers(console, found)
    _print_ranges(console, found)
    _print_flags(console, found)
    _print_costs(console, found)
    for line in snapshot.unseen:
        console.print(f"[dim]not seen: {escape(line)}[/]", soft_wrap=True)


def _snapshot(source: str | None) -> Snapshot:
    if source is None:
        return read_live()
    try:
        return find(source)
    except (LookupError, ValueError) as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--snapshot") from error


def _run_experiments(json_out: bool) -> None:
    done, failed = [], []
    for experiment in EXPERIMENTS:
        try:
            found = experiment()
        except OSError as error:
            failed.append(f"{experiment.__name__}: {error}; root and this feature are needed")
            continue
        done.append(found)
        if not json_out:
            click.echo("\n".join(found.format()))
    if json_out:
        click.echo(json.dumps([dataclasses.asdict(found) for found in done], indent=1))
    for line in failed:
        click.echo(line, err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _print_pages(pfns: tuple[str, ...]) -> None:
    try:
        numbers = [int(pfn, 16) for pfn in pfns]
    except ValueError as error:
        raise click.BadParameter(f"{error}", param_hint="--page") from error
    try:
        states = page_states(numbers)
    except OSError as error:
        raise click.ClickException(f"{error}; /proc/kpageflags is for root") from error
    except (IndexError, OverflowError) as error:
        told = f"{error}. This machine's memory has no such frame."
        raise click.BadParameter(told, param_hint="--page") from error
    for state in states:
        click.echo(str(state))


def _print_areas(snapshot: Snapshot, kmem: bool) -> None:
    if kmem:
        click.echo(KMEM_HEADER)
    for area in snapshot.areas:
        click.echo(kmem_row(area) if kmem else area.format())


def _print_summary(console: Console, found: KernelReport) -> None:
    snapshot = found.snapshot
    made_up = " [bold](made up)[/]" if snapshot.made_up else ""
    console.print(f"[bold]{escape(snapshot.name)}[/], kernel {escape(snapshot.kernel)}{made_up}")
    if snapshot.note:
        console.print(escape(snapshot.note), soft_wrap=True)
    layout = snapshot.layout
    console.print(
        f"struct page {layout.struct_page} bytes, vm_struct {layout.vm_struct}, "
        f"vmap_area {layout.vmap_area}; {layout.nr_pageflags} page flags, {layout.zones} zones, "
        f"NODES_SHIFT {layout.nodes_shift} (BTF and /proc/config.gz; None: not seen)"
    )
    if layout.places_in_flags():
        console.print(layout.places_in_flags())
    if not snapshot.vmallocinfo:
        console.print("vmalloc areas: not seen")
        return
    console.print(
        f"{found.areas} vmalloc areas, {found.areas_with_pages} with pages, {found.pages:,} pages "
        f"({found.pages * 4 / 1024:.1f} MiB); user-mappable {found.user_mappable}; "
        f"ioremap {found.ioremap}, vmap {found.vmap}, nested page lists {found.nested}; "
        f"unpurged lines {snapshot.unpurged}"
    )
    sizes = ", ".join(f"{pages} x{count}" for pages, count in found.sizes[:8])
    console.print(f"areas by pages: {sizes}")
    if snapshot.runs:
        known = [area for area in snapshot.areas if area.start in snapshot.runs]
        runs = sum(snapshot.runs[area.start] for area in known)
        pages = sum(area.pages or 0 for area in known)
        console.print(f"runs: {runs:,} of {pages:,} pages in {len(known)} areas")
    for row in snapshot.mappings:
        console.print(
            f"user mapping: pid {row['pid']} {escape(str(row['name']))}: {row['pages']} pages, "
            f"{row['present']} frames seen in {row['runs']} runs"
        )


def _print_callers(console: Console, found: KernelReport) -> None:
    table = Table(title="who made them", box=SIMPLE_HEAD)
    for head in ("caller", "file:line", "areas", "pages", "user-mappable"):
        table.add_column(head, justify="left" if head in ("caller", "file:line") else "right")
    for row in found.callers[:15]:
        place = found.places.get(row.caller, "")
        table.add_row(
            escape(row.caller), place, str(row.areas), f"{row.pages:,}", str(row.user_mappable)
        )
    print_wide(console, table)


def _print_ranges(console: Console, found: KernelReport) -> None:
    exact = found.exact_rows
    table = Table(
        title=f"(node, zone) of every pfn: {len(found.zone_rows)} rows by zone spans, "
        f"{len(exact)} exact ranges",
        box=SIMPLE_HEAD,
    )
    for head in ("first pfn", "end", "frames", "node", "zone"):
        table.add_column(head, justify="right")
    for row in exact:
        table.add_row(f"{row.start:x}", f"{row.end:x}", f"{row.frames:,}", str(row.node), row.zone)
    print_wide(console, table)
    if found.exact_rows:
        console.print(_mixed_sections(found.mixed_sections), soft_wrap=True)
    for first, second in found.overlapping_spans:
        console.print(f"spans of {first} and {second} overlap: a zone's span does not decide there")


def _mixed_sections(numbers: list[int]) -> str:
    if not numbers:
        return "no section holds several zones or nodes: a table by section is exact here"
    verb = "section holds" if len(numbers) == 1 else "sections hold"
    shown = ", ".join(f"number {number}" for number in numbers)
    return (
        f"{len(numbers)} {verb} several zones or nodes ({shown}); a table by section answers "
        "wrongly there"
    )


def _print_flags(console: Console, found: KernelReport) -> None:
    rows = flag_rows(found.snapshot)
    if not rows:
        return
    console.print("\n             flags      pages  symbolic-flags / long-symbolic-flags")
    for value, count, letters, names in rows:
        console.print(f"{value} {count:>10}  {letters}  {names}", soft_wrap=True, markup=False)


def _print_costs(console: Console, found: KernelReport) -> None:
    table = Table(title="under each design", box=SIMPLE_HEAD)
    add_costs(table, designs(), FIGURES, found.costs)
    print_wide(console, table)
    for cost in found.costs:
        if cost.design.endswith(" table"):
            console.print(
                f"lookup by pfn, {cost.design}: {cost.quantity} {cost.value:,.0f} {cost.unit}"
            )
