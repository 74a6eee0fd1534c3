"""Faults put into the core's source, in memory, and the check that must catch each.

A fault is a change of one place in one module. If it is in what a caller must do first, it is a
flag of the scenario that does it. A check is a scenario of the explorers. `rule` is the beginning
of the violation's message. `docs/reliability.md` lists all faults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.explore import fork_scenarios as F
from tests.explore import refusals
from tests.explore import step_scenarios as T
from tests.explore.crash import Explorer, Report
from tests.explore.interleave import Exploration
from tests.explore.interpreted import Core
from tests.explore.loan_scenarios import SCENARIOS as LOANS
from tests.explore.move_scenarios import EARLY
from tests.explore.move_scenarios import SCENARIOS as MOVES
from tests.explore.queue_scenarios import SCENARIOS as QUEUES
from tests.explore.scenarios import SCENARIOS
from tests.explore.section_scenarios import SCENARIOS as SECTIONS
from tests.explore.steps import Interleaver
from tests.explore.weak_scenarios import SCENARIOS as WEAK

ALL = (*SCENARIOS, *WEAK, *LOANS, *MOVES, EARLY, *QUEUES, *SECTIONS)


@dataclass(frozen=True)
class Fault:
    """One fault: its place, the change, the check that catches it, and the rule."""

    name: str
    module: str
    old: str
    new: str
    check: Callable[[Core], object]
    rule: str
    also: tuple[tuple[str, str], ...] = ()  # further changes of the same module

    def changes(self) -> dict[str, list[tuple[str, str]]]:
        """Return the changes in the form that `Core` takes."""
        return {self.module: [(self.old, self.new), *self.also]} if self.module else {}


def crash(name: str, nested: int = 0) -> Callable[[Core], object]:
    """Crash one scenario after each store."""
    (scenario,) = (one for one in ALL if one.name == name)
    return lambda core: Explorer(core, scenario, Report(), nested).explore()


def model(depth: int, deaths: int = 0) -> Callable[[Core], object]:
    """Compare with the reference model, in every order to a depth."""
    return lambda core: Exploration(core, deaths=deaths).explore(depth, 100_000)


def order(function: Callable[..., Interleaver], **flags: int) -> Callable[[Core], object]:
    """Interleave accesses in every order."""
    return lambda core: function(core, **flags).explore()


FAULTS = (
    Fault(
        "journal entry after its store", "store/journal",
        "    store(arena, entry, at)\n",
        "    store(arena, at, value)\n    store(arena, entry, at)\n",
        crash("alloc.small"), "journal: word .* stored before its old value was logged",
    ),
    Fault(
        "length before the entry", "store/journal",
        "    store(arena, entry, at)\n    store(arena, entry + 1, arena[at])\n"
        "    store(arena, L.JOURNAL_LENGTH, length + 1)\n",
        "    store(arena, L.JOURNAL_LENGTH, length + 1)\n    store(arena, entry, at)\n"
        "    store(arena, entry + 1, arena[at])\n",
        crash("alloc.small"), "journal: ",
    ),
    Fault(
        "new value logged", "store/journal",
        "store(arena, entry + 1, arena[at])", "store(arena, entry + 1, value)",
        crash("alloc.small"), "journal: the old value of word .* was logged wrong",
    ),
    Fault(
        "one word not logged", "holders",
        "    put(arena, about + L.SLOT_HOLDERS_COUNT, arena[about + L.SLOT_HOLDERS_COUNT] + 1)",
        "    store(arena, about + L.SLOT_HOLDERS_COUNT, arena[about + L.SLOT_HOLDERS_COUNT] + 1)",
        crash("hold.first"), "journal: word .* stored before its old value was logged",
    ),
    Fault(
        "roll-back in the order of logging", "store/journal",
        "        length -= 1\n        entry = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length\n",
        "        length -= 1\n        entry = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * done\n",
        crash("alloc.small"), "atomicity: ",
    ),
    Fault(
        "commit before the last store", "transactions/alloc",
        "    objects.set_state(arena, mine, obj, L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_LIVE)\n"
        "    return journal.commit(arena)",
        "    status: word = journal.commit(arena)\n"
        "    objects.set_state(arena, mine, obj, L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_LIVE)\n"
        "    return status",
        crash("alloc.finish"), "I7: ",
    ),
    Fault(
        "no roll-back at a take-over", "store/lock",
        "undone = journal.roll_back(arena)", "undone = 0",
        crash("hold.first"), "atomicity: |damage: ",
    ),
    Fault(
        "no ticket in the lock word", "store/lock",
        "(seen + L.LOCK_TICKET_ONE) | flags | slot", "seen | flags | slot",
        order(T.stolen), "lock: |journal: ",
        (("(seen + L.LOCK_TICKET_ONE) & ~", "seen & ~"),),
    ),
    Fault(
        "take-over of any word", "store/lock",
        "    if not compare_exchange(arena, L.LOCK, seen, taken | L.LOCK_FLAGS | slot):",
        "    if not compare_exchange(arena, L.LOCK, arena[L.LOCK], taken | L.LOCK_FLAGS | slot):",
        order(T.handed_on), "lock: |journal: ",
    ),
    Fault(
        "take-over without checking the stacks of drops", "store/lock",
        "taken | L.LOCK_FLAGS | slot", "taken | slot",
        crash("hold.leave", 1), "atomicity: |drops: |I",
    ),
    Fault(
        "flag for drops cleared after the stacks were checked", "transactions/hold",
        "    if lock.clear_drops(arena) != 0:\n        status = drain(arena, mine)\n",
        "    if arena[L.LOCK] & L.LOCK_DROPS != 0:\n        status = drain(arena, mine)\n"
        "    lock.clear_drops(arena)\n",
        order(T.drops), "drops: ",
    ),
    Fault(
        "record popped without noting it first", "transactions/hold",
        "    store(arena, L.DRAINING, pair(holder, slot) | high(seen) << L.DRAINING_POPS_SHIFT)\n",
        "",
        crash("hold.leave"), "atomicity: |I2 |drops: ",
    ),
    Fault(
        "a push mistaken for a pop", "transactions/hold",
        "    if holder != 0 and pops != arena[L.DRAINING] >> L.DRAINING_POPS_SHIFT:",
        "    top: word = low(arena[tables.slot_at(mine, slot) + L.SLOT_DROPS])\n"
        "    if holder != 0 and top != holder:",
        order(T.pushed_meanwhile), "drops: |I2 ",
    ),
    Fault(
        "a record revived on the stack of drops", "transactions/hold",
        "    if holder != 0 and arena[holders.at(arena, mine, holder) + L.HOLDER_DROPS] == 0:",
        "    if holder != 0:",
        crash("hold.first revived"), "I2 .* drops holder record",
    ),
    Fault(
        "a record given back while on the stack of drops", "holders",
        "    if arena[place + L.HOLDER_DROPS] != 0:",
        "    if arena[place + L.HOLDER_DROPS] == 1 << 40:",
        crash("hold.first revived"), "I2 .* drops holder record",
    ),
    Fault(
        "record not put on the member's list", "holders",
        "    link_to_slot(arena, mine, holder, slot, obj | kind << L.HOLDER_KIND_SHIFT)\n", "",
        crash("hold.first"), "I2 ",
    ),
    Fault(
        "record left on the object's list", "holders",
        "    ensure(arena, high(arena[obj_at + L.OBJECT_NR]) > 0)\n"
        "    put(arena, obj_at + L.OBJECT_NR, arena[obj_at + L.OBJECT_NR] - pair(0, 1))\n",
        "",
        crash("hold.put_holder shared"), "I2 ",
    ),
    Fault(
        "records in transit not counted", "holders",
        "arena[obj_at + L.OBJECT_HOLDERS] + pair(0, 1))", "arena[obj_at + L.OBJECT_HOLDERS])",
        crash("hold.put_holder lent"), "I2 .* in transit",
    ),
    Fault(
        "a dead lender's counts left in transit", "holders",
        "    store(arena, place + L.HOLDER_COUNTS, 0)\n    store(arena, place + L.HOLDER_PINS, 0)\n"
        "    unlink_from_slot", "    unlink_from_slot",
        crash("lend.load its own"), "atomicity: ",
    ),
    Fault(
        "generation not increased", "transactions/free",
        "arena[place + L.OBJECT_GENERATION] + 1", "arena[place + L.OBJECT_GENERATION] + 0",
        refusals.stale, "stale: ",
    ),
    Fault(
        "freed while another member holds it", "transactions/free",
        "    if objects.count(arena, mine, obj) != 0:\n        return\n", "",
        crash("hold.put_holder shared"), "I[23] ",
    ),
    Fault(
        "reservation not returned", "transactions/free",
        "arena[about + L.ZONE_RESERVED] - left)", "arena[about + L.ZONE_RESERVED])",
        crash("alloc.reserve"), "I1 .* reserved",
    ),
    Fault(
        "reservation ignored by small allocations", "transactions/alloc",
        "    if zones.unpromised(arena, zone) < frames:",
        "    if arena[about + L.ZONE_FREE] < frames:",
        refusals.reserved, "reserved: ",
    ),
    Fault(
        "runs given back without being marked free", "transactions/free",
        "    free_runs.set_run(arena, mine, zone, low(run) - zones.first(mine, zone), "
        "high(run), 1)",
        "    pass", crash("hold.put_holder last"), "I1 ",
    ),
    Fault(
        "the tree not renewed above a run", "frames/free_runs",
        "    renew_above(arena, mine, zone, start, end)\n\n\ndef cover", "\n\ndef cover",
        crash("alloc.small"), "I1 .* does not agree",
    ),
    Fault(
        "a run not counted in nr", "objects",
        "    put(arena, place + L.OBJECT_NR, arena[place + L.OBJECT_NR] + frames)  # I4\n", "",
        crash("alloc.small"), "I4 ",
    ),
    Fault(
        "LIVE before its frames are described", "transactions/alloc",
        "if describe(arena, mine, obj) != L.OK or finish", "if finish",
        crash("alloc.small"), "I5 ",
    ),
    Fault(
        "LIVE of a later use mistaken for this one's", "objects",
        "    value: word = load_acquire(arena, place + L.OBJECT_STATE)\n"
        "    if value & L.OBJECT_STATE_MASK != L.OBJECT_STATE_LIVE:\n        return False\n"
        "    return arena[place + L.OBJECT_GENERATION] == generation\n",
        "    if arena[place + L.OBJECT_GENERATION] != generation:\n        return False\n"
        "    value: word = load_acquire(arena, place + L.OBJECT_STATE)\n"
        "    return value & L.OBJECT_STATE_MASK == L.OBJECT_STATE_LIVE\n",
        order(T.pages), "pages: ",
    ),
    Fault(
        "a replaced name shows nothing for a moment", "transactions/publish",
        "        old = end_holding(arena, mine, area)\n",
        "        old = end_holding(arena, mine, area)\n"
        "        free.let_go(arena, mine, old)\n        journal.commit(arena)\n        old = 0\n",
        crash("publish.publish instead"), "I[1-7] |atomicity: |damage: ",
    ),
    Fault(
        "a name's reference left behind", "transactions/publish",
        "    areas.unlink(arena, mine, area)\n    free.let_go(arena, mine, holder)\n",
        "    areas.unlink(arena, mine, area)\n",
        crash("publish.unpublish"), "I2 ",
    ),
    Fault(
        "a dead member's section left ONLINING", "transactions/reap",
        "        online.reset(arena, mine)\n", "        pass\n",
        crash("reap.step"), "I6 ",
    ),
    Fault(
        "a trimmed block left in the tree", "transactions/trim",
        "                free_runs.set_run(arena, mine, zone, start, size, 0)\n"
        "                zones.subtract_free(arena, zone, size)\n", "",
        crash("trim.begin"), "I1 ",
    ),
    Fault(
        "populate finished before the memory is allocated", "transactions/populate",
        "    if journal.commit(arena) != L.OK:\n        return L.DAMAGED\n    return chosen\n",
        "    finish(arena, mine, chosen)\n    return chosen\n",
        crash("populate.finish"), "result: ",
    ),
    Fault(
        "populate without an owner", "transactions/populate",
        "    sections.take(arena, mine, section, L.SECTION_STATE_ONLINE,"
        " L.SECTION_STATE_POPULATING)\n",
        "    sections.set_state(arena, mine, section, L.SECTION_STATE_ONLINE,"
        " L.SECTION_STATE_POPULATING)\n",
        crash("populate.begin"), "I6 ",
    ),
    Fault(
        "a dead trimmer's blocks forgotten", "transactions/trim",
        "    left: word = sections.unpunched(arena, mine, section) | taken\n",
        "    left: word = taken\n",
        crash("trim.begin again"), "result: ",
    ),
    Fault(
        "offline with a frame in use", "transactions/offline",
        "                return L.IN_USE\n            found",
        "                found = 0\n            found",
        refusals.offline, "offline: |I1 |damage: ",
    ),
    Fault(
        "offline ignores promised frames", "transactions/offline",
        "present >= L.STATUS or zones.unpromised(arena, zone) < present",
        "present >= L.STATUS",
        refusals.offline, "offline: ",
    ),
    Fault(
        "slot freed with records on its list", "transactions/reap",
        "    if holder != 0:\n", "    if holder != 0 and arena[L.REAPED_HOLDERS] == 0:\n",
        crash("reap.step"), "damage: |I6 |I2 ",
    ),
    Fault(
        "another's object finished without checking the owner", "objects",
        "        and value >> L.OBJECT_OWNER_SHIFT & L.MASK_16 == mine[L.MINE_SLOT]\n"
        "        and value >> L.SHIFT_32 == mine[L.MINE_INCARNATION] & L.MASK_32\n", "",
        refusals.owner, "owner: ",
    ),
    Fault(
        "another's section finished without checking the owner", "frames/sections",
        "    if arena[L.CHANGING] >> L.SHIFT_32 != mine[L.MINE_SLOT]:\n        return L.NOT_OWNER\n"
        "    if arena[L.CHANGING_INCARNATION] != mine[L.MINE_INCARNATION]:\n"
        "        return L.NOT_OWNER\n", "",
        refusals.owner, "owner: |damage: ",
    ),
    Fault(
        "fork copies a record without its counts", "transactions/fork",
        "    store(arena, new + L.HOLDER_COUNTS, arena[place + L.HOLDER_COUNTS])\n", "",
        order(F.fork, thread=False, reaper=False), "fork: the child does not hold",
    ),
    Fault(
        "damage noticed and forgotten", "store/tables",
        "            ensure(arena, False)\n            return L.DAMAGED",
        "            return L.DAMAGED",
        refusals.damaged, "damage: ",
    ),
    Fault(
        "the byte unlocked before the slot is free", "", "", "",
        order(T.left, unlock_first=True), "own: |lock: |journal: |leave: |I6 ",
    ),
    Fault(
        "left although records belong to the slot", "transactions/leave",
        "    if arena[about + L.SLOT_HOLDERS] != 0 or arena[about + L.SLOT_HOLDERS_COUNT] != 0:\n",
        "    if False:\n",
        refusals.leaving, "leaving",
    ),
    Fault(
        "left while it changes a section", "transactions/leave",
        "    if arena[L.CHANGING] != 0 and arena[L.CHANGING] >> L.SHIFT_32 == slot:\n",
        "    if False:\n",
        refusals.leaving, "leaving",
    ),
    Fault(
        "an invalid record given back", "store/tables",
        "        ensure(arena, False)\n        return\n", "        ensure(arena, False)\n",
        refusals.damaged, "damage: |bounds: ",
    ),
    Fault(
        "a damaged root level trusted", "frames/nodes",
        "    if level > highest:", "    if level == L.ALL_ONES:",
        refusals.damaged, "damage: |bounds: ",
    ),
    Fault(
        "more promised than free not reported as damage", "transactions/alloc",
        "        journal.ensure(arena, False)  # each", "        return L.NO_FRAMES  # each",
        refusals.damaged, "damage: ",
    ),
    Fault(
        "search for the own record stops too early", "holders",
        "    left: word = high(arena[tables.at(arena, mine, L.TABLE_OBJECTS, obj) + L.OBJECT_NR])",
        "    left: word = mine[L.MINE_SLOTS_MAX] + arena[L.AREAS_COUNT]",
        refusals.many_in_transit, "own record: ",
    ),
    Fault(
        "unclean frames freed", "transactions/free",
        "    if objects.flags(arena, mine, obj) & L.OBJECT_UNCLEAN != 0:",
        "    if objects.flags(arena, mine, obj) & L.OBJECT_MIGRATING != 0:",
        crash("clean.begin"), "I[35] ",
    ),
    Fault(
        "taint set by the transaction that clears the counts", "transactions/reap",
        "L.OBJECT_TAINTED)\n"
        "            return L.MORE if journal.commit(arena) == L.OK else L.DAMAGED\n",
        "L.OBJECT_TAINTED)\n",
        crash("reap.step with I/O"), "atomicity: ",
    ),
    Fault(
        "a dead member's I/O leaves no taint", "transactions/reap",
        "    if not holders.has_io(arena, mine, holder):", "    if True:",
        refusals.taint_stays, "taint: ",
    ),
    Fault(
        "taint cleared by another's unpin", "transactions/hold",
        "    drop_record(arena, mine, holder)\n    return journal.commit(arena)",
        "    objects.clear_flags(\n"
        "        arena, mine, holders.object_of(arena, mine, holder), L.OBJECT_TAINTED)\n"
        "    drop_record(arena, mine, holder)\n    return journal.commit(arena)",
        refusals.taint_stays, "taint, after another's I/O",
    ),
    Fault(
        "taint not passed on to the object that gets the frames", "transactions/move",
        "        objects.set_flag(arena, mine, tail, L.OBJECT_TAINTED)\n", "        pass\n",
        refusals.taint_goes_with_frames, "taint, of what was cut off",
    ),
    Fault(
        "taint lost in a splice", "transactions/move",
        "        objects.set_flag(arena, mine, target, L.OBJECT_TAINTED)\n", "        pass\n",
        refusals.taint_goes_with_frames, "taint, of what was spliced",
    ),
    Fault(
        "an object that others hold is moved", "transactions/move",
        "    if not is_alone(arena, mine, obj):\n        return L.NOT_ALONE\n    if arena[holders",
        "    if arena[holders",
        refusals.moved_alone, "move: ",
    ),
    Fault(
        "taint lost in an exchange", "transactions/move",
        "    if tainted != 0:\n        objects.set_flag(arena, mine, obj, L.OBJECT_TAINTED)\n", "",
        refusals.taint_goes_with_frames, "taint, of an exchanged copy's frames",
    ),
    Fault(
        "a new holder does not clear the mark of migration", "holders",
        "        put(arena, obj_at + L.OBJECT_STATE, "
        "arena[obj_at + L.OBJECT_STATE] - L.OBJECT_MIGRATING)\n", "        pass\n",
        crash("move.exchange refused"), "result: ",
    ),
    Fault(
        "cleaning finished without checking the owner", "transactions/clean",
        'Needs: they are clean."""\n'
        "    if not is_owner(arena, mine):\n        return L.NOT_OWNER\n",
        'Needs: they are clean."""\n',
        refusals.cleaning_has_an_owner, "cleaning: another finishes",
    ),
    Fault(
        "a dead cleaner's object not put back", "transactions/clean",
        "    journal.put(arena, L.CLEANING_HEAD, obj)\n    journal.put(arena, L.CLEANING, 0)\n",
        "    journal.put(arena, L.CLEANING, 0)\n",
        crash("clean.undescribe"), "I3 |atomicity: ",
    ),
    Fault(
        "frames cut off an object that others hold", "transactions/move",
        "    if not is_alone(arena, mine, obj):\n        return L.NOT_ALONE\n"
        "    if objects.changes", "    if objects.changes",
        refusals.cut_alone, "cut: ",
    ),
    Fault(
        "frames cut off an object that has views", "transactions/move",
        "        and counts & L.MASK_24 == 0\n", "",
        refusals.cut_alone, "cut: ",
    ),
    Fault(
        "a tail without the flag MOVED", "transactions/move",
        "    objects.set_flag(arena, mine, tail, L.OBJECT_MOVED)\n", "",
        crash("move.cut inside a run"), "I5 ",
    ),
    Fault(
        "a change not counted", "transactions/move",
        "    objects.note_change(arena, mine, target)\n", "",
        order(T.grafted), "reader: ",
    ),
    # What a caller of the procedures must do first is done by the scenarios.
    Fault("readers compare only the changes", "", "", "",
          order(T.grafted, takeovers=False), "reader: "),
    Fault("readers compare only the takeovers", "", "", "",
          order(T.grafted, changes=False), "reader: "),
    Fault("frames appended before they are described", "", "", "",
          crash("move.graft early"), "I5 "),
    Fault("reap without the lock", "", "", "",
          order(T.handed_on, inside=False, lock=False), "lock: "),
    Fault("probe before the lock", "", "", "",
          order(T.handed_on, inside=False, probe_first=True), "I6: slot .* is alive|lock: |join: "),
    Fault("control file kept by a raw child", "", "", "",
          order(F.raw_child), "own: "),
)  # fmt: skip
