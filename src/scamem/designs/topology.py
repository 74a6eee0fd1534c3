"""Physical memory as the kernel numbers it, and three tables that turn a pfn into node and zone.

A `Topology` is the truth. The tables are what design 4c would keep instead of the node,
zone and section bits of ``page->flags``; each says what it cannot answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

MemoryModel = Literal["vmemmap", "sparse", "flat"]
Pfns = NDArray[np.int64]

ZONES = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")
NOWHERE = -1


@dataclass(frozen=True, slots=True, order=True)
class MemoryRange:
    """Frames [start, end) that have memory, all of one node and zone."""

    start: int
    end: int
    node: int
    zone: str

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Topology:
    """Ranges of memory, and how the kernel cuts them into pageblocks and sections.

    `section_frames` and `pageblock_frames` are 32,768 and 512 on x86-64; scenarios use
    smaller ones so that a whole machine is a few hundred frames.
    """

    ranges: tuple[MemoryRange, ...]
    section_frames: int = 32768
    pageblock_frames: int = 512
    memory_model: MemoryModel = "vmemmap"
    word_bits: int = 64

    @property
    def end(self) -> int:
        """One more than the highest pfn."""
        return max(item.end for item in self.ranges)

    @property
    def frames(self) -> int:
        """Frames that have memory."""
        return sum(item.frames for item in self.ranges)

    @property
    def memmap_frames(self) -> int:
        """Frames that have a page word: a section with any memory has all of its memmap."""
        sections: set[int] = set()
        for item in self.ranges:
            last = (item.end - 1) // self.section_frames
            sections.update(range(item.start // self.section_frames, last + 1))
        return len(sections) * self.section_frames

    @property
    def nodes(self) -> tuple[int, ...]:
        """Node numbers, ascending."""
        return tuple(sorted({item.node for item in self.ranges}))

    def find(self, pfn: int) -> MemoryRange:
        """The range of a frame. Raises LookupError for a hole."""
        for item in self.ranges:
            if item.start <= pfn < item.end:
                return item
        raise LookupError(f"pfn {pfn} has no memory; it has {len(self.ranges)} ranges")

    def truth(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Node and zone of each pfn below `end`, NOWHERE for holes."""
        node = np.full(self.end, NOWHERE, dtype=np.int16)
        zone = np.full(self.end, NOWHERE, dtype=np.int16)
        for item in self.ranges:
            node[item.start : item.end] = item.node
            zone[item.start : item.end] = ZONES.index(item.zone)
        return node, zone


class PfnTable(Protocol):
    """What a lookup by pfn must offer."""

    name: str

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""

    @property
    def ambiguous(self) -> int:
        """Entries that cover frames of more than one node or zone."""

    def lookup(self, pfns: Pfns) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Node and zone (index into ZONES) of each pfn."""


class RangeTable:
    """Sorted ranges and a binary search: exact, a few rows on any real machine."""

    name = "range"
    ROW_BYTES = 24  # u64 start, u64 end, u16 node, u8 zone, padding

    def __init__(self, topology: Topology) -> None:
        rows = merge(topology.ranges)
        self.starts = np.array([row.start for row in rows], dtype=np.int64)
        self.nodes = np.array([row.node for row in rows], dtype=np.int16)
        self.zones = np.array([ZONES.index(row.zone) for row in rows], dtype=np.int16)

    @property
    def nbytes(self) -> int:
        """24 bytes a row."""
        return self.ROW_BYTES * len(self.starts)

    @property
    def ambiguous(self) -> int:
        """None: a range is of one node and zone by construction."""
        return 0

    def lookup(self, pfns: Pfns) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Binary search, O(log ranges)."""
        row = np.searchsorted(self.starts, pfns, side="right") - 1
        return self.nodes[row], self.zones[row]


class BlockTable:
    """One byte pair per aligned block of frames: one load, exact if no block is mixed."""

    def __init__(self, topology: Topology, name: str, block_frames: int, entry_bytes: int) -> None:
        self.name = name
        self.block_frames = block_frames
        self.entry_bytes = entry_bytes
        blocks = -(-topology.end // block_frames)
        self.nodes = np.full(blocks, NOWHERE, dtype=np.int16)
        self.zones = np.full(blocks, NOWHERE, dtype=np.int16)
        mixed = np.zeros(blocks, dtype=bool)
        for item in topology.ranges:
            zone = ZONES.index(item.zone)
            part = slice(item.start // block_frames, -(-item.end // block_frames))
            fresh = self.nodes[part] == NOWHERE
            clash = (self.nodes[part] != item.node) | (self.zones[part] != zone)
            mixed[part] |= ~fresh & clash
            # the first range of a block wins, as the first present section does in mm/sparse.c
            self.nodes[part] = np.where(fresh, item.node, self.nodes[part])
            self.zones[part] = np.where(fresh, zone, self.zones[part])
        self.mixed = np.flatnonzero(mixed)

    @property
    def nbytes(self) -> int:
        """Entry size times blocks up to the highest pfn."""
        return self.entry_bytes * len(self.nodes)

    @property
    def ambiguous(self) -> int:
        """Blocks that hold more than one node or zone: each answers wrongly for some frames."""
        return len(self.mixed)

    def lookup(self, pfns: Pfns) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """One shift and one load."""
        block = pfns // self.block_frames
        return self.nodes[block], self.zones[block]


def pageblock_table(topology: Topology) -> BlockTable:
    """A byte per pageblock: 5 bits would do for node and zone of small machines, two bytes here."""
    return BlockTable(topology, "pageblock", topology.pageblock_frames, 2)


def section_table(topology: Topology) -> BlockTable:
    """mm/sparse.c's section_to_node_table with a zone byte added.

    It cannot give the zone: a section is 128 MiB on x86-64, and the first one holds both
    DMA (below 16 MiB) and DMA32. `ambiguous` counts such sections.
    """
    return BlockTable(topology, "section", topology.section_frames, 2)


def table(topology: Topology, name: str) -> PfnTable:
    """A table by its name: range, pageblock or section."""
    if name == "range":
        return RangeTable(topology)
    return pageblock_table(topology) if name == "pageblock" else section_table(topology)


def merge(ranges: Iterable[MemoryRange]) -> list[MemoryRange]:
    """Sorted ranges, with neighbours of the same node and zone joined across no hole."""
    rows: list[MemoryRange] = []
    for item in sorted(ranges):
        last = rows[-1] if rows else None
        if last and (last.end, last.node, last.zone) == (item.start, item.node, item.zone):
            rows[-1] = MemoryRange(last.start, item.end, item.node, item.zone)
        else:
            rows.append(item)
    return rows


def rows_to_rebuild(ranges: Sequence[MemoryRange]) -> list[MemoryRange]:
    """The fewest rows that still give (node, zone) of every frame that has memory.

    Holes need no row of their own: nobody asks for a frame without memory.
    """
    rows: list[MemoryRange] = []
    for item in sorted(ranges):
        last = rows[-1] if rows else None
        if last and (last.node, last.zone) == (item.node, item.zone):
            rows[-1] = MemoryRange(last.start, item.end, item.node, item.zone)
        else:
            rows.append(item)
    return rows


def model_machine(memory_model: MemoryModel = "vmemmap") -> Topology:
    """The machine of the scenarios: 256 frames, two nodes with interleaved spans.

    Section 0 holds two zones as on every PC; node 0 continues behind node 1, so zone
    spans overlap; the last section is ZONE_MOVABLE.
    """
    return Topology(
        ranges=(
            MemoryRange(1, 8, 0, "DMA"),
            MemoryRange(8, 32, 0, "DMA32"),
            MemoryRange(32, 96, 0, "Normal"),
            MemoryRange(96, 160, 1, "Normal"),
            MemoryRange(160, 192, 0, "Normal"),
            MemoryRange(192, 256, 1, "Movable"),
        ),
        section_frames=32,
        pageblock_frames=8,
        memory_model=memory_model,
    )


def highmem_machine() -> Topology:
    """A 32-bit machine with HighMem and one flat memmap."""
    return Topology(
        ranges=(
            MemoryRange(1, 16, 0, "DMA"),
            MemoryRange(16, 64, 0, "Normal"),
            MemoryRange(64, 128, 0, "HighMem"),
        ),
        section_frames=32,
        pageblock_frames=8,
        memory_model="flat",
        word_bits=32,
    )


def pure_sections_machine() -> Topology:
    """Like `model_machine`, with every section of one node and zone by construction."""
    return Topology(
        ranges=(
            MemoryRange(0, 32, 0, "DMA32"),
            MemoryRange(32, 96, 0, "Normal"),
            MemoryRange(96, 160, 1, "Normal"),
            MemoryRange(160, 192, 0, "Normal"),
            MemoryRange(192, 256, 1, "Movable"),
        ),
        section_frames=32,
        pageblock_frames=8,
    )


def renumbered(topology: Topology) -> Topology:
    """The same memory after a reboot that numbers the nodes the other way round."""
    top = max(topology.nodes)
    return Topology(
        ranges=tuple(
            MemoryRange(item.start, item.end, top - item.node, item.zone)
            for item in topology.ranges
        ),
        section_frames=topology.section_frames,
        pageblock_frames=topology.pageblock_frames,
        memory_model=topology.memory_model,
        word_bits=topology.word_bits,
    )
