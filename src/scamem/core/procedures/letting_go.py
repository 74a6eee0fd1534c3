"""Let go of an object, from any thread and at any time: a deallocation waits for nobody.

Steps. let_go: try the local lock. Not to be had: leave the reference to whoever has it
(local_lock.py). put, with the local lock: take one off the count; at the last one, try the arena's
lock, and drop the record and free what that ended; or defer the record to whoever has that lock
(transactions/hold.py). release: give the local lock up, and come back for what was left meanwhile.

What needs cleaning is not cleaned here, since that takes long: it is noted in MINE_SURPLUS, and
somebody with Python comes for it (cleaning.py).

Why safe, and who finishes: each step is argued where it runs; between two steps a death leaves a
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
    from ..transactions import free, hold
    from . import local_lock
    from .host import table


def unlock_arena(arena: Words, mine: Words) -> word:
    """Give the arena's lock up, dropping first what deallocations of others left to its holder."""
    status: word = hold.leave(arena, mine)
    rounds: word = mine[L.MINE_SLOTS_MAX]
    while status == L.MORE and rounds > 0:  # somebody left more than one unlock drops
        rounds -= 1
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            break  # whoever holds it now finds the flag
        status = hold.leave(arena, mine)
    return status


def note_surplus(arena: Words, mine: Words) -> None:
    """Note that there is more free memory than is to be kept, or something to clean."""
    one: word = 1
    kept: word = arena[L.RETENTION_FRAMES] + (one << mine[L.MINE_BLOCK_SHIFT])
    if mine[L.MINE_SURPLUS] != 0:
        return
    if arena[L.CLEANING_HEAD] != 0 or zones.count_free(arena, mine) >= kept:
        mine[L.MINE_SURPLUS] = 1


def free_runs(arena: Words, mine: Words) -> None:
    """Give the runs of DYING objects back, one a transaction, then give the arena's lock up.

    Whoever takes the lock in between goes on with it; what is left over is for the next one.
    """
    while arena[L.DYING_HEAD] != 0:
        free.free_some(arena, mine)
        hold.leave(arena, mine)
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            return
    note_surplus(arena, mine)
    unlock_arena(arena, mine)


def put(arena: Words, mine: Words, obj: word, by: word) -> None:
    """Let go of an object once. Needs: the local lock held, which is kept."""
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
    """Let go of what other threads left behind. Needs: the local lock, and no arena's, held."""
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
    """Give the local lock up, and let go of what other threads left behind meanwhile."""
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
        local_lock.lock()  # so many were left that there is no room: whoever has it is soon done
    put(arena, mine, obj, by)
    release()


def release_left() -> None:
    """Let go of what was left behind, then give the local lock up. Needs: the local lock held."""
    drain()
    release()
