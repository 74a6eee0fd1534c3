"""Faults that show only in an order of operations, compared with the reference model."""

from __future__ import annotations

from collections.abc import Callable

from tests.explore import families
from tests.explore.faults import Fault
from tests.explore.interleave import Exploration, replay
from tests.explore.interpreted import Core


def family(name: str, depth: int, deaths: int = 0) -> Callable[[Core], object]:
    """Explore every order of one family to a depth."""
    moves = getattr(families, name)
    return lambda core: Exploration(core, 2, deaths, moves).explore(depth, 100_000)


def trace(way: str) -> Callable[[Core], object]:
    """Run one trace, which is too long to be found here."""
    return lambda core: replay(core, way)


FAULTS = (
    Fault(
        "a trim does not note the blocks that it takes", "transactions/trim",
        "sections.absent(arena, mine, section) | taken, left)",
        "sections.absent(arena, mine, section) | taken, 0)",
        family("sections", 1, deaths=1), r"model: .*memory of frames \[0, 1, 2, 3\] is lost",
    ),
    Fault(
        "going offline does not note the memory", "transactions/offline",
        "        sections.set_blocks(arena, mine, section, 0, sections.all_blocks(mine))\n", "",
        family("sections", 1, deaths=1), r"model: .*memory of frames \[0, 1, 2, 3\] is lost",
    ),
    Fault(
        "populate does not note the memory to come", "transactions/populate",
        "    sections.set_blocks(arena, mine, section, missing, left)\n", "",
        family("sections", 2, deaths=1), r"model: .*memory of frames \[0, 1, 2, 3\] is lost",
    ),
    Fault(
        "onlining does not note the memory to come", "transactions/online",
        "    sections.set_blocks(arena, mine, section, 0, "
        "blocks & sections.all_blocks(mine))\n", "",
        family("sections", 1, deaths=1), r"model: .*memory of frames \[4, 5, 6, 7\] is lost",
    ),
    Fault(
        "a trim takes promised frames", "transactions/trim",
        "zones.unpromised(arena, zone) >= size", "size > 0",
        trace("3 alloc1; 3 alloc1; 3 alloc1; 3 drop2hand; 4 alloc2 dies@90; 3 drop3hand; 3 trim0"),
        r"frames \[2, 3\] lose their memory in use",
    ),
    Fault(
        "marked for migration while another may look", "transactions/move",
        "    if not is_unwatched(arena, mine, obj):\n        return L.NOT_ALONE\n"
        "    objects.set_flag(arena, mine, obj, L.OBJECT_MIGRATING)\n",
        "    objects.set_flag(arena, mine, obj, L.OBJECT_MIGRATING)\n",
        family("moving", 3), "model: the mark of migration gave 0x0",
    ),
    Fault(
        "left with an object in hand", "transactions/leave",
        "if arena[about + L.SLOT_HOLDERS] != 0 or arena[about + L.SLOT_HOLDERS_COUNT] != 0:",
        "if arena[about + L.SLOT_HOLDERS] == L.ALL_ONES:",
        family("areas", 2), "model: leaving gave 0x0",
    ),
)  # fmt: skip
