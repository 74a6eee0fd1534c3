"""Let go of an object, from any thread and at any time: a deallocation waits for nobody.

Steps. let_go: tries the local lock. If it is taken, the reference is left to its holder
(local_lock.py). put, with the local lock: takes one off the count. At the last one, it tries the
arena's lock, drops the record and frees what that ended; or it defers the record to the holder of
that lock (transactions/hold.py). release: gives up the local lock, and comes back for references
that were left meanwhile.

Objects that need cleaning are not cleaned here, since that takes long. They are noted in
MINE_SURPLUS, and a thread that can run Python cleans them (cleaning.py).

Why safe, and who finishes: each step is argued where it runs. A death between two steps leaves a
count too many, which goes with the member's slot, or a record without counts, which its reaper or
the holder of the arena's lock drops.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..frames import zones
    from ..store import layout as L
    from ..store import lock
    from ..store.words import Words, exchange, load_acquire, low, word
    from ..transactions import end, hold
    from . import local_lock
    from .host import table


def unlock_arena(arena: Words, mine: Words) -> word:
    """Give up the arena's lock, after dropping the records that others left to its holder."""
    status: word = hold.leave(arena, mine)
    rounds: word = mine[L.MINE_SLOTS_MAX]
    while status == L.MORE and rounds > 0:  # more records were left than one unlock drops
        rounds -= 1
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            break  # its holder finds the flag
        status = hold.leave(arena, mine)
    return status


def note_surplus(arena: Words, mine: Words) -> None:
    """Note that there is more free memory than should be kept, or something to clean."""
    one: word = 1
    kept: word = arena[L.RETENTION_FRAMES] + (one << mine[L.MINE_BLOCK_SHIFT])
    if mine[L.MINE_SURPLUS] != 0:
        return
    if arena[L.CLEANING_HEAD] != 0 or zones.count_free(arena, mine) >= kept:
        mine[L.MINE_SURPLUS] = 1


def free_runs(arena: Words, mine: Words) -> None:
    """Give back the runs of DYING objects, one per transaction, then give up the arena's lock.

    A member that takes the lock in between continues this; the next one does what is left over.
    """
    while end.has_work(arena):
        end.end_some(arena, mine)
        hold.leave(arena, mine)
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            return
    note_surplus(arena, mine)
    unlock_arena(arena, mine)


def put(arena: Words, mine: Words, obj: word, by: word) -> None:
    """Let go of an object once. Needs: the local lock held; it stays held."""
    spins: word = L.SPINS
    holder: word
    status: word
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return
    holder = hold.subtract(arena, mine, obj, by)
    if holder == 0:
        return
    status = lock.try_lock(arena, mine[L.MINE_SLOT])
    while status == L.BUSY and spins > 0:
        spins -= 1
        status = lock.try_lock(arena, mine[L.MINE_SLOT])
    if status == L.OK:
        hold.put_holder(arena, mine, holder)
        free_runs(arena, mine)
    elif status == L.BUSY:
        hold.defer(arena, mine, holder)
        if lock.try_lock(arena, mine[L.MINE_SLOT]) == L.OK:  # it was unlocked meanwhile
            unlock_arena(arena, mine)


def drain() -> None:
    """Release what other threads left behind. Needs: the local lock held, but no arena's lock."""
    local: Words = table.local
    at: word = L.LOCAL_LEFT_AT
    entry: word
    number: word
    exchange(local, L.LOCAL_LEFT, 0)  # before the look: what comes later sets it again
    while at < L.LOCAL_LEFT_AT + L.LOCAL_LEFT_MAX:
        entry = load_acquire(local, at)
        if entry != 0:
            exchange(local, at, 0)
            number = entry >> L.LOCAL_LEFT_NUMBER_SHIFT & L.MASK_24
            put(
                table.arena_of(number),
                table.mine_of(number),
                low(entry),
                entry >> L.LOCAL_LEFT_BY_SHIFT,
            )
        at += 1


def release() -> None:
    """Give up the local lock, and release what other threads left behind meanwhile."""
    local: Words = table.local
    local_lock.unlock()
    while load_acquire(local, L.LOCAL_LEFT) != 0 and local_lock.try_lock():
        drain()  # bound: a round only after another thread left something
        local_lock.unlock()


def let_go(arena: Words, mine: Words, obj: word, by: word) -> None:
    """Let go of an object once, from a deallocation: no wait, no Python, cannot fail."""
    if not local_lock.try_lock():
        if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            return
        if local_lock.leave_behind(mine[L.MINE_NUMBER], obj, by):
            if local_lock.try_lock():  # it was unlocked meanwhile
                release_left()
            return
        local_lock.lock()  # no room for one more: its holder is soon done
    put(arena, mine, obj, by)
    release()


def release_left() -> None:
    """Release what was left behind, then give up the local lock. Needs: the local lock held."""
    drain()
    release()
