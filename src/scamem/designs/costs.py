"""What each design costs, counted: bytes and allocations for given vmalloc areas and memory.

Everything is counted from the structs of `Design`; times are measured in `timing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .design import Design
from .structs import PAGE_SIZE
from .topology import MemoryRange, Topology, table

GIB = 1 << 30
MACHINE_SIZES_GIB = (24, 256, 2048, 16384, 65536)
OBJECT_PAGES = tuple(4**power for power in range(11))


@dataclass(frozen=True, slots=True)
class AreaSize:
    """What a cost needs of a vmalloc area: its pages, and in how many runs (None: unknown)."""

    pages: int
    runs: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure, with its unit and what it was counted or measured on."""

    design: str
    quantity: str
    value: float
    unit: str
    of: str

    def as_json(self) -> dict[str, str | float]:
        """The figure as the command line writes it with --json."""
        return {
            "design": self.design,
            "quantity": self.quantity,
            "value": self.value,
            "unit": self.unit,
            "of": self.of,
        }


@dataclass(frozen=True, slots=True)
class AreaCosts:
    """A design's metadata for a set of areas, in bytes and allocations."""

    areas: int
    pages: int
    raw_bytes: int
    taken_bytes: int
    allocations: int
    nested: int
    word_bytes: int

    @property
    def allocations_each(self) -> float:
        """Metadata allocations a vmalloc."""
        return self.allocations / self.areas if self.areas else 0.0


def area_costs(design: Design, areas: Iterable[AreaSize]) -> AreaCosts:
    """Sum a design's metadata over areas."""
    count = pages = raw = taken = allocations = nested = 0
    for area in areas:
        count += 1
        pages += area.pages
        for item in design.metadata(area.pages, area.runs):
            raw += item.nbytes * item.count
            taken += item.taken * item.count
            allocations += item.count
            nested += item.nested
    word = design.page_struct().size()
    return AreaCosts(count, pages, raw, taken, allocations, nested, word * pages)


def object_bytes(design: Design, areas: Sequence[AreaSize]) -> tuple[int, int]:
    """Bytes taken by the objects that a design adds: all of them, and net of pages[] dropped.

    vm_struct and vmap_area are not in it: what designs add to vm_struct (72 bytes) stays in
    its kmalloc-96 and costs nothing.
    """
    gross = dropped = 0
    for area in areas:
        items = design.metadata(area.pages, area.runs)
        kept = any(item.what == "pages[]" for item in items)
        own = [i for i in items if i.what not in ("vm_struct", "vmap_area", "pages[]")]
        gross += sum(item.taken * item.count for item in own)
        if not kept:
            dropped += today_list_bytes(area.pages)
    return gross, gross - dropped


def today_list_bytes(pages: int) -> int:
    """Bytes of today's pages[] as the allocator rounds them."""
    from .catalogue import Today

    return next(m.taken for m in Today().metadata(pages) if m.what == "pages[]")


def needs_table(design: Design) -> bool:
    """Whether the design finds node and zone by pfn."""
    return design.rules.word == "pointer" and design.rules.flags == "pfn"


def table_bytes(design: Design, topology: Topology) -> int:
    """Bytes of the lookup by pfn, 0 where the design has none."""
    return table(topology, design.rules.table).nbytes if needs_table(design) else 0


def machine_costs(
    designs: Iterable[Design], areas: Sequence[AreaSize], topology: Topology, of: str
) -> list[Cost]:
    """Every counted figure of a machine; of its areas only where they were seen."""
    from .catalogue import Today

    before = area_costs(Today(), areas)
    rows: list[Cost] = []
    for design in designs:
        sums = area_costs(design, areas)
        gross, net = object_bytes(design, areas)
        word = design.page_struct().size()
        memmap = word * topology.memmap_frames + table_bytes(design, topology)
        rows += [
            Cost(design.name, "page word", word, "bytes a page", of),
            Cost(design.name, "memmap and lookup table", memmap, "bytes", of),
            Cost(design.name, "lookup table", table_bytes(design, topology), "bytes", of),
        ]
        if not areas:  # not seen, which is not the same as none
            continue
        figures: tuple[tuple[str, float, str], ...] = (
            ("words of vmalloc pages", sums.word_bytes, "bytes"),
            ("objects", gross, "bytes"),
            ("objects, net of pages[] replaced", net, "bytes"),
            ("all metadata of areas", sums.taken_bytes, "bytes"),
            ("all metadata, more than today", sums.taken_bytes - before.taken_bytes, "bytes"),
            ("objects", gross / sums.pages if sums.pages else 0.0, "bytes a page"),
            ("metadata allocations", sums.allocations_each, "a vmalloc"),
            ("nested vmallocs", sums.nested, "in all"),
        )
        rows += [Cost(design.name, what, value, unit, of) for what, value, unit in figures]
    return rows


def growth_by_object(design: Design) -> list[Cost]:
    """Metadata a page as an object grows from one page to 1,048,576, fully scattered."""
    rows = []
    for pages in OBJECT_PAGES:
        sums = area_costs(design, [AreaSize(pages)])
        total = sums.taken_bytes + sums.word_bytes
        of = f"an object of {pages:,} pages"
        rows.append(Cost(design.name, "word and metadata", total / pages, "bytes a page", of))
        rows.append(Cost(design.name, "nested vmallocs", sums.nested, "an object", of))
    return rows


def growth_by_memory(design: Design) -> list[Cost]:
    """Memmap and lookup table as memory grows from 24 GiB to 64 TiB."""
    rows = []
    for size in MACHINE_SIZES_GIB:
        topology = big_machine(size)
        of = f"{size:,} GiB, {len(topology.nodes)} nodes"
        word = design.page_struct().size()
        rows.append(Cost(design.name, "memmap", word * topology.memmap_frames / GIB, "GiB", of))
        if needs_table(design):
            rows.append(
                Cost(design.name, "lookup table", table_bytes(design, topology), "bytes", of)
            )
    return rows


def table_sizes(topology: Topology, of: str) -> list[Cost]:
    """The three tables that can answer by pfn, with how many entries answer wrongly."""
    rows = []
    for name in ("range", "pageblock", "section"):
        found = table(topology, name)
        rows.append(Cost(f"{name} table", "size", found.nbytes, "bytes", of))
        rows.append(Cost(f"{name} table", "ambiguous entries", found.ambiguous, "entries", of))
    return rows


def big_machine(gib: int) -> Topology:
    """A PC-like machine of so many GiB: DMA, DMA32, a hole, then one span a node."""
    frames = gib * GIB // PAGE_SIZE
    nodes = next(
        n for limit, n in ((64, 1), (512, 2), (4096, 4), (32768, 8), (1 << 30, 16)) if gib <= limit
    )
    below = 786432  # 3 GiB below the hole for devices
    rows = [MemoryRange(1, 159, 0, "DMA"), MemoryRange(256, 4096, 0, "DMA")]
    rows.append(MemoryRange(4096, below, 0, "DMA32"))
    start, share = 1048576, (frames - below) // nodes // 32768 * 32768
    for node in range(nodes):
        rows.append(MemoryRange(start, start + share, node, "Normal"))
        start += share
    return Topology(tuple(rows))
