"""/proc/zoneinfo, /proc/iomem and /sys/devices/system/memory: which frames are of which zone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..structs import PAGE_SIZE
from ..topology import MemoryRange

Span = tuple[int, int]

_ZONE = re.compile(r"^Node (\d+), zone +(\w+)$")
_FIELD = re.compile(r"^\s+(spanned|present|managed|start_pfn:?)\s+(\d+)$")
_RAM = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM$")


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of /proc/zoneinfo, in frames."""

    node: int
    name: str
    start: int
    spanned: int
    present: int
    managed: int

    @property
    def end(self) -> int:
        """One more than its highest pfn."""
        return self.start + self.spanned


@dataclass(frozen=True, slots=True)
class MemoryBlock:
    """memoryK of sysfs: a block that goes on- and offline as one."""

    number: int
    state: str
    valid_zones: str
    node: int | None


def parse_zoneinfo(lines: Iterable[str]) -> list[Zone]:
    """Zones with memory, in the order in which the kernel prints them."""
    found: list[tuple[int, str, dict[str, int]]] = []
    for line in lines:
        head = _ZONE.match(line.rstrip())
        if head:
            found.append((int(head[1]), head[2], {}))
            continue
        entry = _FIELD.match(line.rstrip())
        if entry and found:
            found[-1][2].setdefault(entry[1].rstrip(":"), int(entry[2]))
    return [
        Zone(node, name, v.get("start_pfn", 0), v["spanned"], v["present"], v["managed"])
        for node, name, v in found
        if v.get("spanned")
    ]


def parse_iomem(lines: Iterable[str]) -> list[Span]:
    """System RAM as [first, end) frames; empty where the addresses are hidden (no root)."""
    spans = []
    for line in lines:
        match = _RAM.match(line.rstrip())
        if match:
            first = -(-int(match[1], 16) // PAGE_SIZE)
            end = (int(match[2], 16) + 1) // PAGE_SIZE
            if end > first:
                spans.append((first, end))
    return spans


def read_blocks(root: Path) -> tuple[int, list[MemoryBlock]]:
    """Frames of a memory block, and the blocks; (0, []) where sysfs has none."""
    try:
        size = int((root / "block_size_bytes").read_text(), 16) // PAGE_SIZE
    except OSError:
        return 0, []
    blocks = []
    for path in root.glob("memory[0-9]*"):
        nodes = [int(item.name[4:]) for item in path.glob("node[0-9]*")]
        blocks.append(
            MemoryBlock(
                int(path.name[6:]),
                _read(path / "state"),
                _read(path / "valid_zones"),
                nodes[0] if len(nodes) == 1 else None,
            )
        )
    return size, sorted(blocks, key=lambda block: block.number)


def ranges(
    zones: Sequence[Zone], ram: Sequence[Span], block_frames: int, blocks: Sequence[MemoryBlock]
) -> list[MemoryRange]:
    """Ranges of one node and zone: zone spans, cut by RAM and by each node's blocks if known.

    Spans of zones may overlap between nodes; where the blocks name their nodes that decides.
    """
    by_node: dict[int, list[Span]] = {}
    for block in blocks:
        if block.node is not None and block.state == "online":
            start = block.number * block_frames
            by_node.setdefault(block.node, []).append((start, start + block_frames))
    found = []
    several = len({zone.node for zone in zones}) > 1
    for zone in zones:
        spans: list[Span] = [(zone.start, zone.end)]
        if ram:
            spans = intersect(spans, ram)
        if several and zone.node in by_node:
            spans = intersect(spans, _joined(by_node[zone.node]))
        found += [MemoryRange(start, end, zone.node, zone.name) for start, end in spans]
    return sorted(found)


def intersect(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """What lies in both."""
    both = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return sorted((start, end) for start, end in both if start < end)


def _joined(spans: Iterable[Span]) -> list[Span]:
    rows: list[Span] = []
    for start, end in sorted(spans):
        if rows and rows[-1][1] == start:
            rows[-1] = (rows[-1][0], end)
        else:
            rows.append((start, end))
    return rows


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
