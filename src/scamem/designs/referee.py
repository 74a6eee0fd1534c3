"""The truth about every frame, which no design can see: who uses it, and when it is freed.

The referee stops a scenario at the first harm: a frame freed while something reaches it, or
freed twice, or put on the free list of the wrong node or zone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kernel_objects import Place
from .topology import ZONES, Topology
from .verdicts import BrokenError


@dataclass(frozen=True, slots=True)
class Use:
    """One way by which somebody reaches a frame."""

    kind: str  # "PTE", "TLB entry", "pin"
    who: str
    pfn: int

    def __str__(self) -> str:
        return f"{self.kind} of {self.who}"


class Referee:
    """Frames in use, and the uses of each."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.node, self.zone = topology.truth()
        self.owner = np.zeros(topology.end, dtype=np.int32)  # 0 free, else a serial number
        self.uses: list[Use] = []
        self.poisoned: set[int] = set()
        self.withheld: set[int] = set()
        self.freed: list[int] = []
        self._serial = 0

    def place(self, pfn: int) -> Place:
        """Where a frame really belongs."""
        zone = ZONES[int(self.zone[pfn])]
        return Place(int(self.node[pfn]), zone, pfn // self.topology.section_frames)

    def is_free(self, pfn: int) -> bool:
        """Whether a frame is on a free list (withheld frames are not)."""
        return not self.owner[pfn]

    def serial(self, pfn: int) -> int:
        """Which allocation a frame is of, 0 if none."""
        return int(self.owner[pfn])

    def same(self, pfn: int, serial: int, who: str) -> None:
        """A frame must still be of the allocation that it was of when it was looked up."""
        if self.owner[pfn] != serial:
            raise BrokenError(
                "use after free", f"{who} holds frame {pfn}, which has been freed and used again"
            )

    def in_use(self) -> list[int]:
        """Frames allocated and not withheld."""
        return [int(pfn) for pfn in np.flatnonzero(self.owner) if int(pfn) not in self.withheld]

    def allocate(self, frames: tuple[int, ...]) -> None:
        """Take frames off the free lists."""
        self._serial += 1
        for pfn in frames:
            if self.owner[pfn]:
                raise BrokenError("wrong answer", f"frame {pfn} is allocated twice")
            self.owner[pfn] = self._serial

    def pick(self, count: int, node: int, zone: str, stride: int = 2) -> list[int]:
        """Free frames of a node and zone, scattered: every other one."""
        wanted = (self.node == node) & (self.zone == ZONES.index(zone)) & (self.owner == 0)
        found = np.flatnonzero(wanted)[::stride][:count]
        return [int(pfn) for pfn in found]

    def hold(self, use: Use) -> None:
        """Somebody begins to reach a frame."""
        if not self.owner[use.pfn]:
            raise BrokenError("use after free", f"{use} reaches frame {use.pfn}, which is free")
        self.uses.append(use)

    def drop(self, use: Use) -> None:
        """Somebody stops reaching a frame."""
        self.uses.remove(use)

    def free(self, pfn: int, place: Place) -> None:
        """A frame goes to the free list of `place`."""
        self._check_unused(pfn)
        if pfn in self.poisoned:
            raise BrokenError("wrong answer", f"poisoned frame {pfn} goes back to the free list")
        truth = self.place(pfn)
        if place.node != truth.node:
            raise BrokenError(
                "wrong node", f"frame {pfn} of {truth} goes to the free list of {place}"
            )
        if place.zone != truth.zone:
            raise BrokenError(
                "wrong zone", f"frame {pfn} of {truth} goes to the free list of {place}"
            )
        self.owner[pfn] = 0
        self.freed.append(pfn)

    def withhold(self, pfn: int) -> None:
        """A poisoned frame is freed, and goes to no list."""
        self._check_unused(pfn)
        self.withheld.add(pfn)

    def _check_unused(self, pfn: int) -> None:
        if not self.owner[pfn] or pfn in self.withheld:
            raise BrokenError("double free", f"frame {pfn} is freed twice")
        left = [use for use in self.uses if use.pfn == pfn]
        if left:
            names = ", ".join(str(use) for use in left)
            raise BrokenError("use after free", f"frame {pfn} is freed under the {names}")
