"""Move frames from one object to another: splice, shrink, migrate. No byte is copied here.

State. MOVING objects have an owner, as ALLOCATING ones have (objects.py), and the flag MOVED: the
memdescs of their frames may already name another object. So whenever such an object ends, its
frames are cleaned before they are free (clean.py). A LIVE object counts its changes.

Steps. splice: begin makes the source MOVING (only this member holds it, once, and it has no view);
its frames are described as the target's, outside the lock; graft appends the runs to the target,
and the source is gone. shrink: cut makes the tail of an object that only this member holds, without
views, a new MOVING object, which its owner releases. migrate, for an object that only areas, loans
in transit and this member's objects in hand hold: begin (the copy's object becomes MOVING) and mark
(the object is MIGRATING); copy and describe outside the lock; exchange: the two swap their frames,
if nobody has come to hold the object or looked at it since.

Why safe, by where the owner dies. Before begin commits: nothing happened. Later: the MOVING object
has its one holder record on the dead member's list, so the reaper ends it, and it is cleaned:
memdescs that name the target are overwritten before its frames are free. After graft, cut or
exchange has committed: the frames are where they belong; a MOVING object that is left ends as
above. A mark that is left means nothing: the next holder clears it.

Why a copy can be trusted: other members reach an object through a record, and linking one clears
the mark; while the migrating member has a record, no other may mark. Its own threads need no
record. A thread that maps or pins the object, or changes its frames, notes it in a private word
(private.py), under the local lock, under which mark and exchange run too.

Why readers are safe: they walk an object's runs without the lock, and compare before and after,
under it, the count of changes and the count of takeovers (Member.runs); a roll-back is a takeover.
Frames leave an object only where no view, pin or holder of another member can be. All of these are
checked with both locks held, under which no count of this member can change.

Who finishes: the owner, or the member that reaps its slot.

Tried and failed. Appending before the memdescs are stored: if the owner dies, frames of a living
object lead to nothing. Comparing changes alone: a reader can see an uncommitted graft and, after
its roll-back, the count that it saw before. The mark alone: another thread mapped, wrote and
unmapped between mark and exchange.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders, objects
    from ..frames import memdesc
    from ..store import journal, tables
    from ..store import layout as L
    from ..store.private import await_looks, is_looked_at, record_of, set_record
    from ..store.words import Words, high, low, pair, word
    from . import alloc, free


def is_idle(arena: Words, mine: Words, holder: word) -> bool:
    """Tell whether a record is this member's, and counts only objects in hand."""
    place: word = holders.at(arena, mine, holder)
    counts: word = arena[place + L.HOLDER_COUNTS]
    return (
        holders.kind_of(arena, mine, holder) == L.HOLDER_MEMBER
        and holders.slot_of(arena, mine, holder) == mine[L.MINE_SLOT]
        and counts & L.MASK_24 == 0
        and counts >> L.COUNT_IO_SHIFT == 0
        and arena[place + L.HOLDER_PINS] == 0
    )


def is_alone(arena: Words, mine: Words, obj: word) -> bool:
    """Tell whether only this member holds an object, and has no view, pin or loan of it."""
    holder: word = record_of(mine, obj)
    if holder == 0 or objects.count(arena, mine, obj) != 1:
        return False
    if not is_idle(arena, mine, holder):
        return False
    return low(arena[holders.at(arena, mine, holder) + L.HOLDER_LOANS]) == 0


def begin(arena: Words, mine: Words, obj: word, generation: word) -> word:
    """Take an object that only this member holds, once: OK, STALE or NOT_ALONE.

    A call after an interruption checks again, since the object may have been mapped meanwhile.
    """
    begun: cython.bint = objects.is_owned(arena, mine, obj, L.OBJECT_STATE_MOVING)
    if not begun and not objects.is_live(arena, mine, obj, generation):
        return L.STALE
    if not is_alone(arena, mine, obj):
        return L.NOT_ALONE
    if arena[holders.at(arena, mine, record_of(mine, obj)) + L.HOLDER_COUNTS] != L.COUNT_HAND:
        return L.NOT_ALONE
    if begun:
        return L.OK
    objects.set_flag(arena, mine, obj, L.OBJECT_MOVED)
    objects.set_state(arena, mine, obj, L.OBJECT_STATE_LIVE, L.OBJECT_STATE_MOVING)
    return journal.commit(arena)


def describe(arena: Words, mine: Words, obj: word, target: word) -> word:
    """Describe a MOVING object's frames as the target's. Needs no lock: this member owns them."""
    if not objects.is_owned(arena, mine, obj, L.OBJECT_STATE_MOVING):
        return L.NOT_OWNER
    if not tables.valid(arena, mine, L.TABLE_OBJECTS, target):
        return L.DAMAGED
    value: word = memdesc.make(target, objects.generation(arena, mine, target))
    return alloc.describe_runs(arena, mine, obj, value)


def graft(arena: Words, mine: Words, source: word, target: word, expected: word) -> word:
    """Append a MOVING object's frames to the target; the source is gone afterwards.

    OK, or AGAIN if the target no longer has `expected` frames (0: any number will do). Needs:
    the source is described as the target's, and this member holds the target.
    """
    if not objects.is_owned(arena, mine, source, L.OBJECT_STATE_MOVING):
        return L.NOT_OWNER
    if record_of(mine, target) == 0:
        return L.NOT_HELD
    if expected != 0 and objects.nr(arena, mine, target) != expected:
        return L.AGAIN
    place: word = objects.at(arena, mine, source)
    target_at: word = objects.at(arena, mine, target)
    runs: word = arena[place + L.OBJECT_RUNS]
    frames: word = objects.nr(arena, mine, source)
    target_runs: word = arena[target_at + L.OBJECT_RUNS]
    last: word = tables.at(arena, mine, L.TABLE_RUNS, high(target_runs))
    journal.ensure(arena, objects.state(arena, mine, target) == L.OBJECT_STATE_LIVE)
    if objects.flags(arena, mine, source) & L.OBJECT_TAINTED != 0:
        objects.set_flag(arena, mine, target, L.OBJECT_TAINTED)
    objects.clear_flags(arena, mine, source, L.OBJECT_UNCLEAN)
    journal.put(arena, place + L.OBJECT_RUNS, 0)
    journal.put(arena, place + L.OBJECT_NR, arena[place + L.OBJECT_NR] - frames)
    free.let_go(arena, mine, record_of(mine, source))
    objects.note_change(arena, mine, target)
    journal.put(arena, last + L.RUN_LINK, low(runs))
    journal.put(arena, target_at + L.OBJECT_RUNS, pair(low(target_runs), high(runs)))
    journal.put(arena, target_at + L.OBJECT_NR, arena[target_at + L.OBJECT_NR] + frames)  # I4
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    set_record(mine, source, 0)
    return L.OK


def split_run(arena: Words, mine: Words, run: word, kept: word) -> word:
    """Cut a run after `kept` frames; return a new record with the others, or NO_RECORDS."""
    place: word = tables.at(arena, mine, L.TABLE_RUNS, run)
    frames: word = arena[place + L.RUN_FRAMES]
    made: word = tables.take(arena, mine, L.TABLE_RUNS)
    if made >= L.STATUS:
        return made
    made_at: word = tables.place(mine, L.TABLE_RUNS, made)
    journal.put(arena, made_at + L.RUN_FRAMES, pair(low(frames) + kept, high(frames) - kept))
    journal.put(arena, made_at + L.RUN_LINK, arena[place + L.RUN_LINK])
    journal.put(arena, place + L.RUN_FRAMES, pair(low(frames), kept))
    return made


def cut(
    arena: Words, mine: Words, obj: word, tail: word, run: word, kept: word, left: word, seen: word
) -> word:
    """Move the frames after an object's first `left` ones to `tail`, which becomes MOVING.

    Parameters: `run`, the run that is cut, and how many frames it keeps; `seen`, the object's
    count of changes when the caller walked its runs. `tail` is ALLOCATING, has no frames and is
    this member's. OK, NOT_ALONE, AGAIN (it changed: walk it again), NO_RECORDS.
    """
    if not objects.is_owned(arena, mine, tail, L.OBJECT_STATE_ALLOCATING):
        return L.NOT_OWNER
    if not is_alone(arena, mine, obj):
        return L.NOT_ALONE
    if objects.changes(arena, mine, obj) != seen:
        return L.AGAIN
    place: word = objects.at(arena, mine, obj)
    tail_at: word = objects.at(arena, mine, tail)
    runs: word = arena[place + L.OBJECT_RUNS]
    last: word = high(runs)
    record: word = tables.at(arena, mine, L.TABLE_RUNS, run)
    first: word = low(arena[record + L.RUN_LINK])
    if kept < high(arena[record + L.RUN_FRAMES]):
        first = split_run(arena, mine, run, kept)
        if first >= L.STATUS:
            return journal.cancel(arena, first)
        last = first if run == last else last
    frames: word = objects.nr(arena, mine, obj) - left
    journal.ensure(arena, left > 0 and left < objects.nr(arena, mine, obj) and first != 0)
    objects.note_change(arena, mine, obj)
    journal.put(arena, record + L.RUN_LINK, 0)
    journal.put(arena, place + L.OBJECT_RUNS, pair(low(runs), run))
    journal.put(arena, place + L.OBJECT_NR, arena[place + L.OBJECT_NR] - frames)  # I4
    journal.put(arena, tail_at + L.OBJECT_RUNS, pair(first, last))
    journal.put(arena, tail_at + L.OBJECT_NR, arena[tail_at + L.OBJECT_NR] + frames)
    objects.set_flag(arena, mine, tail, L.OBJECT_MOVED)
    if objects.flags(arena, mine, obj) & L.OBJECT_TAINTED != 0:
        objects.set_flag(arena, mine, tail, L.OBJECT_TAINTED)
    objects.set_state(arena, mine, tail, L.OBJECT_STATE_ALLOCATING, L.OBJECT_STATE_MOVING)
    return journal.commit(arena)


def is_unwatched(arena: Words, mine: Words, obj: word) -> bool:
    """Tell whether nobody looks at the frames: only areas, transit, own idle hands hold."""
    holder: word = low(arena[objects.at(arena, mine, obj) + L.OBJECT_HOLDERS])
    left: word = L.HOLDERS_LOOKED_AT_MAX
    while holder != 0 and left > 0:  # bound: HOLDERS_LOOKED_AT_MAX
        kind: word = holders.kind_of(arena, mine, holder)
        if kind == L.HOLDER_MEMBER and not is_idle(arena, mine, holder):
            return False
        holder = low(arena[holders.at(arena, mine, holder) + L.HOLDER_OBJECT_LINKS])
        left -= 1
    return holder == 0


def mark(arena: Words, mine: Words, obj: word, generation: word) -> word:
    """Note that an object is about to be copied: OK, STALE or NOT_ALONE.

    Needs: this member holds it, and no other thread of it is between a mark and an exchange.
    """
    if not objects.is_live(arena, mine, obj, generation):
        return L.STALE
    if not is_unwatched(arena, mine, obj):
        return L.NOT_ALONE
    objects.set_flag(arena, mine, obj, L.OBJECT_MIGRATING)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    await_looks(mine, obj)
    return L.OK


def exchange(arena: Words, mine: Words, obj: word, copy: word) -> word:
    """Give a marked object the frames of its copy, and the copy the old ones: OK or NOT_ALONE.

    Needs: the copy is MOVING, holds the same bytes, and its frames are described as the object's.
    """
    if not objects.is_owned(arena, mine, copy, L.OBJECT_STATE_MOVING):
        return L.NOT_OWNER
    if objects.flags(arena, mine, obj) & L.OBJECT_MIGRATING == 0 or is_looked_at(mine, obj):
        return L.NOT_ALONE
    if not is_unwatched(arena, mine, obj):
        return L.NOT_ALONE
    place: word = objects.at(arena, mine, obj)
    copy_at: word = objects.at(arena, mine, copy)
    runs: word = arena[place + L.OBJECT_RUNS]
    journal.ensure(arena, objects.nr(arena, mine, obj) == objects.nr(arena, mine, copy))
    journal.ensure(arena, objects.state(arena, mine, obj) == L.OBJECT_STATE_LIVE)
    tainted: word = objects.flags(arena, mine, copy) & L.OBJECT_TAINTED  # while others held it
    if objects.flags(arena, mine, obj) & L.OBJECT_TAINTED != 0:
        objects.set_flag(arena, mine, copy, L.OBJECT_TAINTED)
    objects.clear_flags(arena, mine, obj, L.OBJECT_TAINTED | L.OBJECT_MIGRATING)
    if tainted != 0:
        objects.set_flag(arena, mine, obj, L.OBJECT_TAINTED)
    objects.note_change(arena, mine, obj)
    journal.put(arena, place + L.OBJECT_RUNS, arena[copy_at + L.OBJECT_RUNS])
    journal.put(arena, copy_at + L.OBJECT_RUNS, runs)
    if journal.commit(arena) != L.OK:
        return L.DAMAGED
    await_looks(mine, 0)
    return L.OK
