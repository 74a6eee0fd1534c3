"""The machine's NUMA nodes: how much memory each has, and how far they are from each other."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .huge_pages import HUGE_PAGE_BYTES, pool

NODES: Final = Path("/sys/devices/system/node")
KIB: Final = 1024


@dataclass(frozen=True)
class MachineNode:
    """A node of a machine: the bytes of 4 KiB frames and of 2 MiB frames that it can provide.

    >>> scamem.MachineNode(normal_bytes=32 << 20)
    MachineNode(normal_bytes=33554432, huge_bytes=0)
    """

    normal_bytes: int
    huge_bytes: int = 0


@dataclass(frozen=True)
class Machine:
    """The machine that an arena is laid out for: its nodes, numbered in the given order.

    >>> one = scamem.MachineNode(normal_bytes=32 << 20)
    >>> arena = scamem.Arena.create(machine=scamem.Machine((one, one)))
    >>> arena.page_to_nid(arena.alloc("4K", node=1).pages).tolist()
    [1]

    Pass one to `Arena.create(machine=...)` to have more nodes than the real machine. Nodes that do
    not exist use the memory of real node 0.
    """

    nodes: tuple[MachineNode, ...]

    def __post_init__(self) -> None:
        if not self.nodes or any(
            node.normal_bytes < 0 or node.huge_bytes < 0 for node in self.nodes
        ):
            raise ValueError(
                f"asked for a machine of {self.nodes!r}; at least one node, and no negative sizes"
            )
        if self.nodes[0].normal_bytes == 0:
            raise ValueError("node 0 of a machine needs frames of 4 KiB (normal_bytes)")

    @classmethod
    def real(cls, capacity: int, huge: int | None = None) -> Machine:
        """Return this machine with `capacity` bytes, divided among its nodes by their memory.

        Parameters
        ----------
        huge : bytes of huge pages, divided likewise; None: what the pool has or may have, at most
            `capacity`.
        """
        totals = memory_of_nodes()
        if huge is None:
            huge = min(pool()[0] * HUGE_PAGE_BYTES, capacity)
        whole = sum(totals.values())
        nodes = [
            MachineNode(capacity * total // whole, huge * total // whole)
            for total in (totals.get(number, 0) for number in range(max(totals) + 1))
        ]
        # The remainder of the division goes to node 0, so that the sum is what was asked for.
        rest = capacity - sum(node.normal_bytes for node in nodes)
        more = huge - sum(node.huge_bytes for node in nodes)
        nodes[0] = MachineNode(nodes[0].normal_bytes + rest, nodes[0].huge_bytes + more)
        if nodes[0].normal_bytes == 0:
            nodes[0] = MachineNode(1, nodes[0].huge_bytes)  # a node without its own memory
        return cls(tuple(nodes))


def memory_of_nodes(nodes: Path = NODES) -> dict[int, int]:
    """Return the bytes of each node that has memory; only node 0 if the kernel has no NUMA."""
    found = {}
    for directory in nodes.glob("node[0-9]*"):
        with contextlib.suppress(OSError):
            match = re.search(r"MemTotal:\s+(\d+) kB", (directory / "meminfo").read_text())
            if match and int(match[1]):
                found[int(directory.name.removeprefix("node"))] = int(match[1]) * KIB
    return found or {0: KIB}


def distances(node: int, nodes: Path = NODES) -> dict[int, int]:
    """Return the distance from a node to each node, from the firmware; empty if unknown."""
    try:
        texts = (nodes / f"node{node}" / "distance").read_text().split()
    except OSError:
        return {}
    numbers = sorted(int(path.name.removeprefix("node")) for path in nodes.glob("node[0-9]*"))
    return dict(zip(numbers, map(int, texts), strict=False))
