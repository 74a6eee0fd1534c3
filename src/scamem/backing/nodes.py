"""The machine that an arena is laid out for, as users describe it."""

from __future__ import annotations

from dataclasses import dataclass

from .numa import divided


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
        """Return this machine with `capacity` bytes, divided among its nodes; see `divided`."""
        return cls(tuple(MachineNode(*sizes) for sizes in divided(capacity, huge)))
