"""A drgn plugin: `%scamem areas`, `%scamem page ADDR`, `%scamem designs`.

drgn loads it by the entry point group `drgn.plugins`. It works on whatever drgn has opened
that has vmap areas: a live kernel, a crash dump, or a program with the same structures (the
tests use one). Nothing is assumed about members: each is looked up, and what is absent is
said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drgn import FaultError, Object, Program
from drgn.commands import argument, command
from drgn.helpers.linux.mm import for_each_vmap_area

from .catalogue import design, designs
from .costs import AreaSize, area_costs, object_bytes
from .kernel.pages import runs
from .report.text import verdict_table
from .scenarios import verdicts

LISTED_PAGES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class ProgramArea:
    """A vmap area of the program that is being debugged."""

    vmap_area: int
    vm_struct: int
    start: int
    end: int
    caller: str
    pages: tuple[int, ...]
    """Addresses of its struct pages, in mapping order; empty where vm_struct lists none."""
    page_bytes: int

    @property
    def runs(self) -> int:
        """Runs of pages that are neighbours in the memmap, so with vmemmap in memory too."""
        return len(runs([page // self.page_bytes for page in self.pages]))

    def format(self) -> str:
        """The columns of `kmem -v`, then pages, runs and caller."""
        listed = f"  {len(self.pages):>6}  {self.runs:>6}  {self.caller}" if self.pages else ""
        return (
            f"{self.vmap_area:016x}  {self.vm_struct:016x}  "
            f"{self.start:016x} - {self.end:016x}  {self.end - self.start:>7}{listed}"
        )


HEADER = (
    "   VMAP_AREA         VM_STRUCT                 ADDRESS RANGE                SIZE"
    "   PAGES    RUNS  CALLER"
)


def program_areas(prog: Program) -> Iterator[ProgramArea]:
    """Every area that has a vm_struct.

    Raises
    ------
    LookupError : the program has no vmap areas.
    """
    page_bytes = int(prog.type("struct page").size or 0)
    for area in for_each_vmap_area(prog):
        if not area.vm:
            continue
        yield ProgramArea(
            area.value_(),
            area.vm.value_(),
            area.va_start.value_(),
            area.va_end.value_(),
            _caller(prog, area.vm),
            tuple(_pages(area.vm)),
            page_bytes,
        )


def _pages(vm: Object) -> Iterator[int]:
    """vm_struct->pages, as far as it is there and can be read."""
    if not _has(vm, "pages") or not _has(vm, "nr_pages") or not vm.pages:
        return
    for index in range(min(vm.nr_pages.value_(), LISTED_PAGES_MAX)):
        try:
            yield vm.pages[index].value_()
        except FaultError:
            return


def _caller(prog: Program, vm: Object) -> str:
    if not _has(vm, "caller"):
        return ""
    address = vm.caller.value_()
    try:
        return str(prog.symbol(address).name)
    except LookupError:
        return f"{address:#x}"


def _has(found: Object, member: str) -> bool:
    try:
        found.member_(member)
    except (LookupError, TypeError):  # no such member; no struct at all
        return False
    return True


def page_lines(prog: Program, address: int) -> Iterator[str]:
    """Whose a struct page is, found as today's kernel has to: through every area's list."""
    page = Object(prog, "struct page *", value=address)
    yield f"struct page {address:#x}"
    flags = page.flags if _has(page, "flags") else None
    if flags is not None:
        word = flags.f if _has(flags, "f") else flags  # memdesc_flags_t since 6.18
        try:
            yield f"flags {word.value_():#018x}"
        except FaultError:
            yield "flags cannot be read: no memory there"
    searched = entries = 0
    owner = None
    for area in program_areas(prog):
        searched += 1
        entries += len(area.pages)
        if address in area.pages:
            owner = area
            break
    if owner is None:
        yield f"no area lists it ({searched} areas, {entries} entries searched)"
        return
    slot = owner.pages.index(address)
    yield f"page {slot} of {len(owner.pages)} of area {owner.start:#x} ({owner.caller})"
    yield f"found after {searched} areas and {entries - len(owner.pages) + slot + 1} entries"
    yield "with page->memdesc (3, 4a, 4c, 4d, choir) it would be one load"


def design_lines(prog: Program) -> Iterator[str]:
    """The verdict table, and what each design would cost for this program's areas."""
    yield from verdict_table(verdicts(designs()))
    try:
        areas = [area for area in program_areas(prog) if area.pages]
    except LookupError as error:
        yield f"no areas to count costs on: {error}"
        return
    sizes = [AreaSize(len(area.pages), area.runs) for area in areas]
    pages = sum(size.pages for size in sizes)
    yield f"{len(sizes)} areas, {pages} pages, {sum(size.runs or 0 for size in sizes)} runs"
    for kind in designs():
        sums = area_costs(kind, sizes)
        _, net = object_bytes(kind, sizes)
        yield (
            f"{kind.name:>8}: words {sums.word_bytes:,} B, objects (net) {net:,} B, "
            f"{sums.allocations_each:.1f} allocations a vmalloc"
        )
    by_runs = design("4d").with_rules(entries="run")
    yield f"4d with runs instead of pages[]: objects (net) {object_bytes(by_runs, sizes)[1]:,} B"


def run_command(prog: Program, _name: str, args: argparse.Namespace, **_: Any) -> None:
    """%scamem: what drgn calls."""
    if args.what == "areas":
        lines: Iterator[str] = iter([HEADER, *(area.format() for area in program_areas(prog))])
    elif args.what == "page":
        if args.address is None:
            raise ValueError("%scamem page needs the address of a struct page")
        lines = page_lines(prog, args.address)
    else:
        lines = design_lines(prog)
    for line in lines:
        sys.stdout.write(f"{line}\n")


command(
    name="scamem",
    description="scattered memory: areas, whose page it is, and what the designs would cost",
    arguments=(
        argument("what", choices=("areas", "page", "designs")),
        argument("address", nargs="?", type=lambda text: int(text, 16), help="a struct page"),
    ),
)(run_command)
