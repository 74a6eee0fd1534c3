"""Scamem objects: `nr` frames in runs, a count of holder records, a generation, a state.

| from | to | function |
| --- | --- | --- |
| FREE | ALLOCATING | begin |
| ALLOCATING | LIVE | transactions.alloc.finish |
| LIVE | MOVING | transactions.move.begin |
| ALLOCATING | MOVING | transactions.move.cut |
| LIVE, ALLOCATING, MOVING | DYING | transactions.free.let_go, at the last holder record |
| DYING | FREE or RETIRED | transactions.free, with the last run given back |

ALLOCATING and MOVING are owned by the slot and incarnation in the state word: only that member
adds runs and stores memdescs. DYING has no owner: it consists of transactions only, and any member
can continue it. If its frames must be cleaned first (OBJECT_UNCLEAN), clean.py says who does it.
A record of the table whose 32-bit generation would repeat is RETIRED for good.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .store import layout as L
    from .store import tables
    from .store.journal import ensure, put
    from .store.private import note_look
    from .store.words import Words, high, load_acquire, low, pair, word


def at(arena: Words, mine: Words, obj: word) -> word:
    """Return the place of an object's record; that of record 0 for an invalid index."""
    return tables.at(arena, mine, L.TABLE_OBJECTS, obj)


def state(arena: Words, mine: Words, obj: word) -> word:
    """Return an object's state."""
    return arena[at(arena, mine, obj) + L.OBJECT_STATE] & L.OBJECT_STATE_MASK


def zone(arena: Words, mine: Words, obj: word) -> word:
    """Return the zone of an object's frames."""
    value: word = arena[at(arena, mine, obj) + L.OBJECT_STATE]
    found: word = (value & L.OBJECT_ZONE_MASK) >> L.OBJECT_ZONE_SHIFT
    ensure(arena, found < mine[L.MINE_ZONES])
    return found if found < mine[L.MINE_ZONES] else 0


def generation(arena: Words, mine: Words, obj: word) -> word:
    """Return the generation of an object: which use of its record it is."""
    return arena[at(arena, mine, obj) + L.OBJECT_GENERATION]


def count(arena: Words, mine: Words, obj: word) -> word:
    """Return how many holder records an object has."""
    return high(arena[at(arena, mine, obj) + L.OBJECT_NR])


def in_transit(arena: Words, mine: Words, obj: word) -> word:
    """Return how many of an object's holder records are the arena's, for loans in transit."""
    return high(arena[at(arena, mine, obj) + L.OBJECT_HOLDERS])


def is_left_to_loans(arena: Words, mine: Words, obj: word) -> bool:
    """Tell whether only loans in transit keep an object; a weak name does not."""
    weak: word = 1 if flags(arena, mine, obj) & L.OBJECT_WEAK != 0 else 0
    return count(arena, mine, obj) == in_transit(arena, mine, obj) + weak


def nr(arena: Words, mine: Words, obj: word) -> word:
    """Return how many frames an object has (while ALLOCATING: so far)."""
    return low(arena[at(arena, mine, obj) + L.OBJECT_NR])


def is_live(arena: Words, mine: Words, obj: word, generation: word) -> bool:
    """Tell whether exactly this object is LIVE; any index and generation may be passed."""
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, obj):
        return False
    place: word = tables.place(mine, L.TABLE_OBJECTS, obj)
    # The state first: a reader without the lock must not take a later use's LIVE for this one's.
    value: word = load_acquire(arena, place + L.OBJECT_STATE)
    if value & L.OBJECT_STATE_MASK != L.OBJECT_STATE_LIVE:
        return False
    return arena[place + L.OBJECT_GENERATION] == generation


def is_owned(arena: Words, mine: Words, obj: word, state: word) -> bool:
    """Tell whether an object is in `state` (ALLOCATING or MOVING) and owned by this member."""
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, obj):
        return False
    value: word = arena[tables.place(mine, L.TABLE_OBJECTS, obj) + L.OBJECT_STATE]
    return (
        value & L.OBJECT_STATE_MASK == state
        and value >> L.OBJECT_OWNER_SHIFT & L.MASK_16 == mine[L.MINE_SLOT]
        and value >> L.SHIFT_32 == mine[L.MINE_INCARNATION] & L.MASK_32
    )


def set_state(arena: Words, mine: Words, obj: word, old: word, new: word) -> None:
    """Move an object along one edge of the table above; owned states name this member."""
    place: word = at(arena, mine, obj) + L.OBJECT_STATE
    value: word = arena[place]
    kept: word = value & (L.OBJECT_ZONE_MASK | L.OBJECT_FLAGS_MASK)
    ensure(arena, value & L.OBJECT_STATE_MASK == old)
    if new == L.OBJECT_STATE_MOVING:
        kept |= mine[L.MINE_SLOT] << L.OBJECT_OWNER_SHIFT
        kept |= (mine[L.MINE_INCARNATION] & L.MASK_32) << L.SHIFT_32
    elif new == L.OBJECT_STATE_FREE or new == L.OBJECT_STATE_RETIRED:
        kept &= L.OBJECT_ZONE_MASK
    put(arena, place, kept | new)


def begin(arena: Words, mine: Words, obj: word, zone: word) -> None:
    """Make a record just taken an ALLOCATING object without frames or holders; no commit.

    A FREE record has no runs and no holders (I3), so nothing of them is stored here.
    """
    place: word = at(arena, mine, obj)
    ensure(arena, arena[place + L.OBJECT_STATE] & L.OBJECT_STATE_MASK == L.OBJECT_STATE_FREE)
    ensure(arena, arena[place + L.OBJECT_NR] | arena[place + L.OBJECT_RUNS] == 0)
    ensure(arena, arena[place + L.OBJECT_HOLDERS] == 0)
    put(
        arena,
        place + L.OBJECT_STATE,
        L.OBJECT_STATE_ALLOCATING
        | zone << L.OBJECT_ZONE_SHIFT
        | mine[L.MINE_SLOT] << L.OBJECT_OWNER_SHIFT
        | (mine[L.MINE_INCARNATION] & L.MASK_32) << L.SHIFT_32,
    )


def flags(arena: Words, mine: Words, obj: word) -> word:
    """Return an object's flags: those of OBJECT_FLAGS_MASK that are set."""
    return arena[at(arena, mine, obj) + L.OBJECT_STATE] & L.OBJECT_FLAGS_MASK


def set_flag(arena: Words, mine: Words, obj: word, flag: word) -> None:
    """Set one of an object's flags; no commit. Stores: at most 1 word."""
    place: word = at(arena, mine, obj) + L.OBJECT_STATE
    if arena[place] & flag == 0:
        put(arena, place, arena[place] | flag)


def clear_flags(arena: Words, mine: Words, obj: word, flags: word) -> None:
    """Clear some of an object's flags; no commit. Stores: at most 1 word."""
    place: word = at(arena, mine, obj) + L.OBJECT_STATE
    if arena[place] & flags != 0:
        put(arena, place, arena[place] & ~flags)


def changes(arena: Words, mine: Words, obj: word) -> word:
    """Return how often the frames of a LIVE object changed; readers of its runs compare it."""
    return high(arena[at(arena, mine, obj) + L.OBJECT_STATE])


def note_change(arena: Words, mine: Words, obj: word) -> None:
    """Note that a LIVE object's frames change; no commit. Stores: 1 word."""
    note_look(mine, obj)
    place: word = at(arena, mine, obj) + L.OBJECT_STATE
    put(arena, place, arena[place] + L.OBJECT_CHANGE_ONE)


def append_run(arena: Words, mine: Words, obj: word, start: word, frames: word) -> word:
    """Append a run to an object: OK, or NO_RECORDS. Stores: at most 6 words."""
    place: word = at(arena, mine, obj)
    run: word = tables.take(arena, mine, L.TABLE_RUNS)
    if run >= L.STATUS:
        return run
    record: word = tables.place(mine, L.TABLE_RUNS, run)
    first: word = low(arena[place + L.OBJECT_RUNS])
    last: word = high(arena[place + L.OBJECT_RUNS])
    put(arena, record + L.RUN_FRAMES, pair(start, frames))
    put(arena, record + L.RUN_LINK, 0)
    if first == 0:
        first = run
    else:
        put(arena, tables.at(arena, mine, L.TABLE_RUNS, last) + L.RUN_LINK, run)
    put(arena, place + L.OBJECT_RUNS, pair(first, run))
    put(arena, place + L.OBJECT_NR, arena[place + L.OBJECT_NR] + frames)  # I4
    return L.OK


def run_frames(arena: Words, mine: Words, run: word) -> word:
    """Return a run's {start 32, frames 32}; 0 for an invalid index or invalid frames.

    Stores nothing, so it needs no lock; it may read words of an unfinished transaction.
    """
    if not tables.valid(arena, mine, L.TABLE_RUNS, run):
        return 0
    frames: word = arena[tables.place(mine, L.TABLE_RUNS, run) + L.RUN_FRAMES]
    if high(frames) == 0 or low(frames) + high(frames) > mine[L.MINE_FRAMES]:
        return 0
    return frames


def next_run(arena: Words, mine: Words, run: word) -> word:
    """Return the run after this one, 0 at the end. Needs: run_frames() has found it valid."""
    return low(arena[tables.place(mine, L.TABLE_RUNS, run) + L.RUN_LINK])


def take_first_run(arena: Words, mine: Words, obj: word) -> word:
    """Remove an object's first run; return {start 32, frames 32}, 0 if it has none."""
    place: word = at(arena, mine, obj)
    first: word = low(arena[place + L.OBJECT_RUNS])
    last: word = high(arena[place + L.OBJECT_RUNS])
    if first == 0:
        return 0
    record: word = tables.at(arena, mine, L.TABLE_RUNS, first)
    frames: word = arena[record + L.RUN_FRAMES]
    following: word = low(arena[record + L.RUN_LINK])
    put(arena, place + L.OBJECT_RUNS, pair(following, last) if following != 0 else 0)
    put(arena, place + L.OBJECT_NR, arena[place + L.OBJECT_NR] - high(frames))  # I4
    tables.give(arena, mine, L.TABLE_RUNS, first)
    return frames
