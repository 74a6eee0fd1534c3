"""Faults of migration, as in faults.py: why a copy is trusted, and what is isolated."""

from __future__ import annotations

from tests.explore import refusals
from tests.explore.faults import Fault, crash, order
from tests.explore.migration_steps import migrated

FAULTS = (
    Fault(
        "a thread's look is not noted", "transactions/hold",
        "        note_look(mine, obj)\n", "        pass\n",
        order(migrated), "lost: ",
    ),
    Fault(
        "exchanged although a thread looked at it", "transactions/move",
        " or is_looked_at(mine, obj):", ":",
        order(migrated), "lost: ",
    ),
    Fault(
        "a change does not count as a look", "objects",
        "    note_look(mine, obj)\n    place", "    place",
        refusals.migrated_as_it_is, "damage: ",
    ),
    Fault(
        "moved again under a view", "transactions/move",
        "    if not begun and not objects.is_live(arena, mine, obj, generation):\n",
        "    if begun:\n        return L.OK\n"
        "    if not objects.is_live(arena, mine, obj, generation):\n",
        refusals.moved_again, "move, mapped since: ",
    ),
    Fault(
        "promised frames isolated", "transactions/isolate",
        "    if count > zones.unpromised(arena, zone):\n        return L.IN_USE\n", "",
        refusals.isolation, "isolate what is promised: ",
    ),
    Fault(
        "frames of a changing section isolated", "transactions/isolate",
        "    if sections.state(arena, mine, section) != L.SECTION_STATE_ONLINE:\n"
        "        return L.WRONG_STATE\n", "",
        refusals.isolation, "isolate of what goes offline: |damage: |hang",
    ),
    Fault(
        "isolated frames still counted as free", "transactions/isolate",
        "    zones.subtract_free(arena, zone, count)\n", "",
        crash("isolate.take"), "I1 ",
    ),
)  # fmt: skip
