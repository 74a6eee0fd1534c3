"""What the kernel says of this process's mappings, and arenas whose free frames are scattered."""

from __future__ import annotations

from pathlib import Path

import scamem

PAGE = 4096


def frames_mapped_at(address: int) -> str:
    """The access of the mapping of frames that has an address: "rw-s", ""; by /proc/self/maps."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, access = line.split()[:2]
        first, last = (int(number, 16) for number in place.split("-"))
        if first <= address < last:
            return access if "scamem" in line else ""
    return ""


def is_mapped(address: int, pages: int) -> bool:
    """Whether all of so many pages are mappings of frames."""
    return all(frames_mapped_at(address + k * PAGE) for k in range(pages))


def is_unmapped(address: int, pages: int) -> bool:
    """Whether none of so many pages is."""
    return not any(frames_mapped_at(address + k * PAGE) for k in range(pages))


def scatter(arena: scamem.Arena) -> list[scamem.Scamem]:
    """Take all of an arena but every second run of four frames; who keeps the list keeps it so."""
    kept = []
    try:
        while True:
            kept.append(arena.alloc(4 * PAGE))
    except scamem.OutOfMemoryError:
        del kept[::2]
    return kept
