# cython: boundscheck=True, wraparound=True, annotation_typing=False, show_performance_hints=False
"""The rules of an arena at rest: I1 to I8, one function each.

They read a copy of the control file, made under the arena's lock; its words may be damaged in any
way. Nothing is stored, nothing is trusted unchecked, and each walk has an end (walk.py).

I1  every online frame is in exactly one free run or in exactly one object; a frame without memory
    (offline or absent) is in neither
I2  an object's holder records are on its list and each on one slot's; their number is its count
I3  an object lives exactly while that number is not 0
I4  `nr` equals the sum of its runs
I5  the memdescs of its frames, and no others, lead to it
I6  nothing is held by a dead member after a reap
I7  the journal is empty
I8  each item is in one place of one queue, and the counts of queues agree (check_queues.py)
"""

import cython

from . import walk
from .check_lists import check_lists, unaccounted
from .check_queues import check_queues
from .walk import LIVING, USABLE, WITH_RUNS, Finding, Image, high, low, objects_in, runs_of

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L

AT_REST = (L.SECTION_STATE_OFFLINE, L.SECTION_STATE_ONLINE)
FINDINGS_MAX = 64  # per rule: a torn list makes many; the first ones are enough
STATE_NAMES = ("FREE", "ALLOCATING", "LIVE", "DYING", "RETIRED", "MOVING")


@cython.locals(mine=cython.ulonglong[:], owners=cython.uchar[:], k=cython.Py_ssize_t)
def mark(mine: Image, owners: bytearray, start: int, frames: int) -> str:
    """Count a run's frames in `owners`; say what is wrong with its place."""
    if frames == 0 or start + frames > mine[L.MINE_FRAMES]:
        return f"frames {start} to {start + frames - 1} are not all in the arena"
    for k in range(start, start + frames):
        if owners[k] != 0:
            without = ("also used elsewhere", "offline", "absent")
            return f"frame {k} is " + without[owners[k] - 1]
        owners[k] = 1
    return ""


def check_sections(arena: Image, mine: Image) -> tuple[bytearray, list[Finding]]:
    """Return per frame 0 (unowned so far), 2 (offline) or 3 (absent); and findings on sections."""
    found = []
    owners = bytearray()
    size = 1 << mine[L.MINE_BLOCK_SHIFT]
    blocks = 1 << (mine[L.MINE_SECTION_SHIFT] - mine[L.MINE_BLOCK_SHIFT])
    for section in range(mine[L.MINE_SECTIONS]):
        word = arena[mine[L.MINE_SECTIONS_AT] + section * L.SECTION_WORDS]
        state = word & L.MASK_8
        absent = word >> L.SECTION_ABSENT_SHIFT & L.MASK_16
        unpunched = word >> L.SECTION_UNPUNCHED_SHIFT
        wrong = ""
        if state > L.SECTION_STATE_POPULATING:
            wrong = f"is in the unknown state {state}"
        elif (absent | unpunched) >> blocks:
            wrong = f"has more than {blocks} blocks"
        elif state in USABLE and (unpunched & ~absent or not word & L.SECTION_BACKED):
            wrong = "has unpunched blocks that are not absent, or no memory for its memdescs"
        elif state not in USABLE and absent:
            wrong = "has absent blocks but is not online"
        if wrong:
            found.append(Finding("I1", f"section {section}", wrong))
        for block in range(blocks):
            owner = (b"\3" if absent >> block & 1 else b"\0") if state in USABLE else b"\2"
            owners += owner * size
    return owners, found


def check_frames(arena: Image, mine: Image) -> list[Finding]:
    """I1: every online frame is in exactly one free run or in exactly one object."""
    owners, found = check_sections(arena, mine)
    runs, wrong = walk.free_runs(arena, mine)
    found += [Finding("I1", "free frames", text) for text in wrong]
    for start, frames in runs:
        text = mark(mine, owners, start, frames)
        if text:
            found.append(Finding("I1", f"free run {start}", text))
    for obj, at in objects_in(arena, mine, WITH_RUNS):
        for start, frames in runs_of(arena, mine, at)[0]:
            text = mark(mine, owners, start, frames)
            if text:
                found.append(Finding("I1", f"object {obj}", text))
    if 0 in owners:
        nobody = f"is neither free nor in an object; other such frames: {owners.count(0) - 1}"
        found.append(Finding("I1", f"frame {owners.index(0)}", nobody))
    for zone in range(mine[L.MINE_ZONES]):
        found += check_zone(arena, mine, zone, runs)
    return found


def check_zone(arena: Image, mine: Image, zone: int, runs: list[tuple[int, int]]) -> list[Finding]:
    """I1, in numbers: a zone's counts of its free, promised and online frames."""
    first = mine[walk.about_zone(zone) + L.MINE_ZONE_FIRST]
    end = first + mine[walk.about_zone(zone) + L.MINE_ZONE_FRAMES]
    shift = mine[L.MINE_SECTION_SHIFT]
    at = mine[L.MINE_SECTIONS_AT]
    reserved = 0
    for _, place in objects_in(arena, mine, (L.OBJECT_STATE_ALLOCATING,)):
        if (arena[place + L.OBJECT_STATE] & L.OBJECT_ZONE_MASK) >> L.OBJECT_ZONE_SHIFT == zone:
            reserved += high(arena[place + L.OBJECT_LINK])
    states = [arena[at + k] & L.MASK_8 for k in range(first >> shift, end >> shift)]
    said = (
        ("free", L.ZONE_FREE, sum(count for start, count in runs if first <= start < end)),
        ("reserved", L.ZONE_RESERVED, reserved),
        ("online sections", L.ZONE_ONLINE, sum(state in USABLE for state in states)),
    )
    return [
        Finding("I1", f"zone {zone}", f"{name}: recorded {value}, counted {counted}")
        for name, word, counted in said
        if (value := arena[L.ZONES + L.ZONE_WORDS * zone + word]) != counted
    ]


def check_lives(arena: Image, mine: Image) -> list[Finding]:
    """I3: an object is ALLOCATING or LIVE exactly while it has holder records."""
    found = []
    dying, wrong = walk.chain(arena, mine, L.TABLE_OBJECTS, arena[L.DYING_HEAD], L.OBJECT_LINK)
    if wrong:
        found.append(Finding("I3", "dying objects", wrong))
    unclean, wrong = walk.unclean(arena, mine)
    if wrong:
        found.append(Finding("I3", "objects to clean", wrong))
    used = set()
    for obj, at in objects_in(arena, mine, tuple(range(L.OBJECT_STATE_MASK + 1))):
        value = arena[at + L.OBJECT_STATE]
        state = value & L.OBJECT_STATE_MASK
        count = high(arena[at + L.OBJECT_NR])
        queue = value & L.OBJECT_QUEUE  # emptied first: I8
        wrong = ""
        if state > L.OBJECT_STATE_MOVING:
            wrong = f"is in the unknown state {state}"
        elif (state in LIVING) != (count != 0) and state != L.OBJECT_STATE_FREE:
            wrong = f"is {STATE_NAMES[state]} with {count} holder records"
        elif (obj in dying) + (obj in unclean) != (state == L.OBJECT_STATE_DYING and not queue):
            lists = f"{'' if obj in dying else 'not '}on the dying list, "
            lists += f"{'' if obj in unclean else 'not '}on the list of objects to clean"
            wrong = f"is {STATE_NAMES[state]}, {lists}"
        elif obj in dying and value & L.OBJECT_UNCLEAN:
            wrong = "is on the dying list, but its frames were not cleaned"
        elif state in (L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_MOVING):
            wrong = owner_wrong(
                arena, mine, value >> L.OBJECT_OWNER_SHIFT & L.MASK_16, value >> L.SHIFT_32
            )
        if state != L.OBJECT_STATE_FREE:
            used.add(obj)
        if wrong:
            found.append(Finding("I3", f"object {obj}", wrong))
    count = len(objects_in(arena, mine, LIVING))
    if count != arena[L.OBJECTS_COUNT]:
        wrong = f"recorded {arena[L.OBJECTS_COUNT]}, counted {count}"
        found.append(Finding("I3", "objects", wrong))
    return found + unaccounted(arena, mine, L.TABLE_OBJECTS, used, "I3")


def owner_wrong(arena: Image, mine: Image, slot: int, incarnation: int) -> str:
    """Say what is wrong with the owner of a state; empty if the owner can still finish it."""
    if not L.SLOT_FIRST <= slot < mine[L.MINE_SLOTS_MAX]:
        return f"its owner has the invalid slot {slot}"
    at = L.SLOTS + L.SLOT_WORDS * slot
    if arena[at + L.SLOT_STATE] & L.MASK_8 == L.SLOT_STATE_FREE:
        return f"the slot of its owner, {slot}, is free"
    if low(arena[at + L.SLOT_INCARNATION]) != low(incarnation):
        return f"the slot of its owner, {slot}, belongs to another member now"
    return ""


def check_sizes(arena: Image, mine: Image) -> list[Finding]:
    """I4: an object's `nr` equals the sum of its runs."""
    found = []
    used: set[int] = set()
    for obj, at in objects_in(arena, mine, WITH_RUNS):
        runs, records, wrong = runs_of(arena, mine, at)
        frames = sum(frames for _, frames in runs)
        if not wrong and frames != low(arena[at + L.OBJECT_NR]):
            wrong = f"nr is {low(arena[at + L.OBJECT_NR])}, but its runs have {frames} frames"
        if not wrong and not used.isdisjoint(records):
            wrong = "contains a run record of another object"
        used.update(records)
        if wrong:
            found.append(Finding("I4", f"object {obj}", wrong))
    return found + unaccounted(arena, mine, L.TABLE_RUNS, used, "I4")


@cython.locals(
    arena=cython.ulonglong[:],
    mine=cython.ulonglong[:],
    k=cython.Py_ssize_t,
    at=cython.ulonglong,
    value=cython.ulonglong,
)
def check_memdescs(arena: Image, mine: Image) -> list[Finding]:
    """I5: page_to_scamem(pfn) leads from each frame of an object to it, and from no other."""
    found: list[Finding] = []
    names: dict[int, int] = {}  # the memdesc of a LIVE object -> the object
    owned: dict[int, int] = {}  # and how many of its frames have it
    at = mine[L.MINE_MEMDESCS_AT]
    for obj, place in objects_in(arena, mine, (L.OBJECT_STATE_LIVE,)):
        value = L.MEMDESC_SCAMEM | obj << L.MEMDESC_OBJECT_SHIFT
        value |= low(arena[place + L.OBJECT_GENERATION]) << L.MEMDESC_GENERATION_SHIFT
        names[int(value)] = obj
        owned[obj] = 0
        for start, frames in runs_of(arena, mine, place)[0]:
            for k in range(start, min(start + frames, mine[L.MINE_FRAMES])):
                owned[obj] += 1
                if arena[at + k] != value and len(found) < FINDINGS_MAX:
                    text = f"belongs to object {obj}, but its memdesc does not lead there"
                    found.append(Finding("I5", f"frame {k}", text))
    for section in range(mine[L.MINE_SECTIONS]):
        if arena[mine[L.MINE_SECTIONS_AT] + section] & L.MASK_8 not in USABLE:
            continue
        start = section << mine[L.MINE_SECTION_SHIFT]
        for k in range(start, start + (1 << mine[L.MINE_SECTION_SHIFT])):
            value = arena[at + k]
            if value in names:
                owned[names[value]] -= 1
    # Frames on their way from one object to another may lead to either; neither owns them yet.
    for _, place in objects_in(arena, mine, (L.OBJECT_STATE_MOVING, L.OBJECT_STATE_DYING)):
        if not arena[place + L.OBJECT_STATE] & L.OBJECT_MOVED:
            continue
        for start, frames in runs_of(arena, mine, place)[0]:
            for k in range(start, min(start + frames, mine[L.MINE_FRAMES])):
                if arena[at + k] in names:
                    owned[names[arena[at + k]]] += 1
    for obj, left in owned.items():
        if left < 0:
            text = f"has memdescs of other frames that lead to it: {-left}"
            found.append(Finding("I5", f"object {obj}", text))
    return found


def check_members(arena: Image, mine: Image, dead: tuple[int, ...] = ()) -> list[Finding]:
    """I6: a free slot holds nothing; nothing is left of the dead members, which were reaped."""
    found: list[Finding] = []
    used = arena[L.SLOTS_NEXT]
    if not L.SLOT_FIRST <= used <= mine[L.MINE_SLOTS_MAX]:
        found.append(Finding("I6", "slots", f"the first unused slot cannot be {used}"))
    for slot in range(mine[L.MINE_SLOTS_MAX]):
        at = L.SLOTS + L.SLOT_WORDS * slot
        state = arena[at + L.SLOT_STATE] & L.MASK_8
        wrong = ""
        if state > L.SLOT_STATE_REAPING or (state and (slot < L.SLOT_FIRST or slot >= used)):
            wrong = f"has the invalid state {state}"
        elif state and slot in dead:
            wrong = "is not free, although its member died and was reaped"
        elif state == L.SLOT_STATE_FREE and slot >= L.SLOT_FIRST:
            held = arena[at + L.SLOT_HOLDERS] | arena[at + L.SLOT_HOLDERS_COUNT]
            if held | low(arena[at + L.SLOT_DROPS]):
                wrong = "is free but has holder records"
        if wrong:
            found.append(Finding("I6", f"slot {slot}", wrong))
    for section in range(mine[L.MINE_SECTIONS]):
        state = arena[mine[L.MINE_SECTIONS_AT] + section] & L.MASK_8
        if (state not in AT_REST) != (low(arena[L.CHANGING]) == section + 1):
            text = f"is in state {state}, which does not fit the section that is changing"
            found.append(Finding("I6", f"section {section}", text))
    if arena[L.CLEANING]:
        wrong = owner_wrong(arena, mine, high(arena[L.CLEANING]), arena[L.CLEANING_INCARNATION])
        if wrong:
            found.append(Finding("I6", "object being cleaned", wrong))
    if arena[L.CHANGING]:
        wrong = owner_wrong(arena, mine, high(arena[L.CHANGING]), arena[L.CHANGING_INCARNATION])
        if wrong or low(arena[L.CHANGING]) > mine[L.MINE_SECTIONS]:
            found.append(Finding("I6", "section being changed", wrong or "does not exist"))
    return found


def check_journal(arena: Image, mine: Image) -> list[Finding]:
    """I7: outside a critical section the journal is empty, and no damage was found."""
    words = (
        (L.JOURNAL_LENGTH, "has entries of an unfinished transaction"),
        (L.JOURNAL_FAILED, "has a failed transaction that was not undone"),
        (L.JOURNAL_DAMAGED, "is marked as damaged: a transaction found a damaged word"),
    )
    return [Finding("I7", "journal", text) for at, text in words if arena[at] != 0]


def check(arena: Image, mine: Image, dead: tuple[int, ...] = ()) -> list[Finding]:
    """Return where an arena at rest breaks I1 to I8; an empty list if all of them hold.

    Parameters
    ----------
    arena : the control file's words, copied under the arena's lock: a writable buffer of unsigned
        64-bit words, MINE_CONTROL_WORDS long. It is not changed.
    mine : a member's private words, whose places are trusted.
    dead : slots of members that were dead, and have been reaped since.

    Any words may be given: damage leads to findings, never to an exception.
    """
    found: list[Finding] = []
    for rule in (check_frames, check_lists, check_lives, check_sizes, check_memdescs, check_queues):
        found += rule(arena, mine)[:FINDINGS_MAX]
    found += check_members(arena, mine, dead)[:FINDINGS_MAX]
    return found + check_journal(arena, mine)
