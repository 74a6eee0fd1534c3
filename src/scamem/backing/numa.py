"""The machine's NUMA nodes: how much memory each has, and how far they are from each other."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from .huge_pages import HUGE_PAGE_BYTES, pool
from .system import StrPath, read_text

NODES: Final = "/sys/devices/system/node"
KIB: Final = 1024


def divided(capacity: int, huge: int | None = None) -> list[tuple[int, int]]:
    """Return {bytes of 4 KiB frames, bytes of 2 MiB frames} of each node, for an arena's capacity.

    Parameters
    ----------
    capacity, huge : bytes, divided among the nodes by their memory. `huge` of None: what the pool
        of huge pages has or may have, at most `capacity`.
    """
    totals = memory_of_nodes()
    if huge is None:
        huge = min(pool()[0] * HUGE_PAGE_BYTES, capacity)
    whole = sum(totals.values())
    found = [
        (capacity * total // whole, huge * total // whole)
        for total in (totals.get(number, 0) for number in range(max(totals) + 1))
    ]
    # The remainder of the division goes to node 0, so that the sum is what was asked for.
    rest = capacity - sum(normal for normal, _ in found)
    more = huge - sum(nbytes for _, nbytes in found)
    normal = found[0][0] + rest or 1  # 1: a node without memory of its own
    return [(normal, found[0][1] + more), *found[1:]]


def numbers_of(nodes: StrPath = NODES) -> list[int]:
    """Return the numbers of the nodes, smallest first; [] if the kernel has no NUMA."""
    try:
        names = os.listdir(nodes)
    except OSError:
        return []
    numbers = (name.removeprefix("node") for name in names if name.startswith("node"))
    return sorted(int(number) for number in numbers if number.isdigit())


def memory_of_nodes(nodes: StrPath = NODES) -> dict[int, int]:
    """Return the bytes of each node that has memory; only node 0 if the kernel has no NUMA."""
    found = {}
    for number in numbers_of(nodes):
        with contextlib.suppress(OSError):
            _, _, after = read_text(nodes, f"node{number}", "meminfo").partition("MemTotal:")
            total = after.split(maxsplit=1)[:1]
            if total and int(total[0]):
                found[number] = int(total[0]) * KIB
    return found or {0: KIB}


def distances(node: int, nodes: StrPath = NODES) -> dict[int, int]:
    """Return the distance from a node to each node, from the firmware; empty if unknown."""
    try:
        texts = read_text(nodes, f"node{node}", "distance").split()
    except OSError:
        return {}
    return dict(zip(numbers_of(nodes), map(int, texts), strict=False))
