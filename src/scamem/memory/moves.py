"""Move frames between objects: splice, shrink and migrate, in the order of core's move.py.

Each function takes and releases both locks, as Member's methods do. Before anything else, a
reference that is given away gets the index 0, so that no other thread makes a view through it.
"""

import cython
from cython.cimports.scamem.address_space import copying
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import high, low, word
from cython.cimports.scamem.core.transactions import isolate as isolation
from cython.cimports.scamem.core.transactions import move
from cython.cimports.scamem.membership.member import Hold, Member

from scamem.errors import ClosedError


def splice(member: Member, target: Hold, source: Hold, expected: word) -> word:
    """Append the frames of `source` to `target`; return OK, NOT_ALONE, AGAIN or STALE.

    Parameters
    ----------
    expected : frames that the target must still have; 0 for any number.

    Ownership: after OK the reference `source` is closed, and its object is gone; otherwise it is
    unchanged. An object whose move was begun can be spliced again, or released.
    """
    index: word = source.index
    if index == 0 or target.index == 0:
        raise ClosedError("this reference was closed")
    source.index = 0
    moved: cython.bint = False
    try:
        member.begin()
        status: word = move.begin(member.arena, member.mine, index, source.generation)
        member.end()
        if status == L.OK:
            status = move.describe(member.arena, member.mine, index, target.index)
        if status == L.OK:
            member.begin()  # may fail: the lock's holder is stopped, or a signal arrives
            status = move.graft(member.arena, member.mine, index, target.index, expected)
            member.end()
            moved = status == L.OK
    finally:
        if not moved:
            source.index = index
    return status


def cut(member: Member, held: Hold, tail: Hold, left: word) -> word:
    """Move all but the first `left` frames of an object to `tail`: OK, NOT_ALONE, NO_RECORDS.

    `tail` refers to an object just reserved, without frames; releasing it frees the moved ones.
    AGAIN: the object changed meanwhile. DAMAGED: its runs are shorter than it says.
    """
    if held.index == 0 or tail.index == 0:
        raise ClosedError("this reference was closed")
    status: word = L.AGAIN
    member.begin()
    takeovers: word = member.arena[L.LOCK_TAKEOVERS]
    changes: word = objects.changes(member.arena, member.mine, held.index)
    member.end()
    about: word = tables.place(member.mine, L.TABLE_OBJECTS, held.index)
    run: word = low(member.arena[about + L.OBJECT_RUNS])
    frames: word = 0
    before: word = 0
    while tables.valid(member.arena, member.mine, L.TABLE_RUNS, run):  # bound: `left`
        place: word = tables.place(member.mine, L.TABLE_RUNS, run)
        frames = high(member.arena[place + L.RUN_FRAMES])
        if before + frames >= left or frames == 0:
            break
        before += frames
        run = low(member.arena[place + L.RUN_LINK])
    member.begin()
    if takeovers == member.arena[L.LOCK_TAKEOVERS] and run != 0:
        status = move.cut(
            member.arena,
            member.mine,
            held.index,
            tail.index,
            run,
            left - before,
            left,
            changes,
        )
    elif takeovers == member.arena[L.LOCK_TAKEOVERS]:
        if changes == objects.changes(member.arena, member.mine, held.index):
            status = L.DAMAGED  # its runs have fewer frames than it says
    member.end()
    return status


def begin_migration(member: Member, held: Hold, copy: Hold) -> word:
    """Announce that `copy`, which only this process holds, will replace an object's frames.

    Returns OK, NOT_ALONE (the object may be in use), or STALE. Needs: no other thread of this
    process migrates (turns.in_turn). `copy` is in hand once, and so is `held`, beside the user's
    references.
    """
    if held.index == 0 or copy.index == 0:
        raise ClosedError("this reference was closed")
    member.begin()
    status: word = move.begin(member.arena, member.mine, copy.index, copy.generation)
    if status == L.OK:
        status = move.mark(member.arena, member.mine, held.index, held.generation)
    member.end()
    return status


def finish_migration(member: Member, held: Hold, copy: Hold) -> word:
    """Give an object the frames of its copy: OK, or NOT_ALONE if another holder has appeared.

    Releasing `copy` then frees the old frames after OK, and the new ones otherwise.
    """
    if held.index == 0 or copy.index == 0:
        raise ClosedError("this reference was closed")
    status: word = move.describe(member.arena, member.mine, copy.index, held.index)
    if status != L.OK:
        return status
    member.begin()
    status = move.exchange(member.arena, member.mine, held.index, copy.index)
    member.end()
    return status


def isolate(member: Member, plug: Hold, section: int) -> word:
    """Take one run of a section's free frames into an object just reserved; see isolate.take."""
    which: word = section
    if plug.index == 0:
        raise ClosedError("this reference was closed")
    member.begin()
    status: word = isolation.take(member.arena, member.mine, plug.index, which)
    member.end()
    return status


def copy_frames(member: Member, source: Hold, target: Hold) -> bool:
    """Copy the bytes of one object to another, run by run, without the GIL.

    Returns False if their sizes differ; then nothing was copied.
    """
    pieces = member.runs(source)
    into = member.runs(target)
    start: word
    count: word
    to: word
    room: word
    part: word
    if sum([n for _, n in pieces]) != sum([n for _, n in into]):
        return False
    where, space = into.pop(0)
    to = where
    room = space
    for first, frames in pieces:
        start = first
        count = frames
        while count > 0:
            if room == 0:
                where, space = into.pop(0)
                to = where
                room = space
            part = min(count, room)
            with cython.nogil:
                copying.copy(
                    cython.cast(cython.p_void, member.direct_address + to * L.FRAME_BYTES),
                    cython.cast(cython.p_void, member.direct_address + start * L.FRAME_BYTES),
                    part * L.FRAME_BYTES,
                )
            start += part
            count -= part
            to += part
            room -= part
    return True
