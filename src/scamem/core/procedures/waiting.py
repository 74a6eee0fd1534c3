"""Wait for an arena's lock: naps, looks, the take-over from a dead holder, and an end.

State. A wait has its own `watch` (layout.WATCH_*): which acquisition of the lock it saw last, how
long it saw that one, and how long it has waited.

Steps. look, with the local lock: counts the time since the last look, and tries the lock. If the
word is the one seen at the last look, it asks whether the holder is alive, and takes over from a
dead one; else it sets WAITERS. nap, without any lock: waits on the word, at most NAP_NS. Between a
nap and the next look, the caller may check for signals.

Why it ends, and who is blamed. Time counts only as it was seen: from one look to the next, at most
LAPSE_NS. So a waiter that was stopped itself, or had no processor, has seen nothing, and blames
nobody for that time. STUCK: the same acquisition, by its ticket, was there at each look for the
whole limit; its holder lives, and is perhaps stopped. STARVED: the lock changed hands all the time,
for several limits, and nobody is to blame. Each look tries a dead holder's lock, however late: a
look that returns OK has both locks, whatever the time is.

Why no waiter sleeps beside a free lock: lock.py has the argument. A look that has waited takes the
lock by try_again, and a waiter that stops without the lock passes its wake on (look does; give_up).

Tried and failed. Looking at the clock alone: a waiter that was stopped for longer than the limit
blamed the member that had the lock when it continued. Looking at the clock after the look: the lock
was taken, and the caller was told that it was not.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import queues
    from ..store import journal, lock
    from ..store import layout as L
    from ..store.words import Words, futex_wait, monotonic_ns, word
    from ..transactions import hold
    from . import entering, letting_go, local_lock
    from .host import table


def begin(watch: Words, limit_ns: word) -> None:
    """Begin a wait in which one acquisition may last at most `limit_ns`."""
    watch[L.WATCH_SEEN] = 0
    watch[L.WATCH_HELD_NS] = 0
    watch[L.WATCH_SPENT_NS] = 0
    watch[L.WATCH_LAST_NS] = monotonic_ns()
    watch[L.WATCH_LIMIT_NS] = limit_ns
    watch[L.WATCH_NAP] = 0


def spend(watch: Words) -> word:
    """Count the time since the last call, as far as it was seen; return that time."""
    now: word = monotonic_ns()
    lapse: word = now - watch[L.WATCH_LAST_NS]
    if lapse > L.LAPSE_NS:
        lapse = L.LAPSE_NS
    watch[L.WATCH_LAST_NS] = now
    watch[L.WATCH_SPENT_NS] = watch[L.WATCH_SPENT_NS] + lapse
    return lapse


def acquisition(value: word) -> word:
    """Return a value of the lock word without its flags: the holder and its ticket."""
    flags: word = L.LOCK_FLAGS
    return value & ~flags


def attempt(arena: Words, mine: Words, watch: Words) -> word:
    """Try to take the arena's lock once: OK, BUSY or DAMAGED. Needs: the local lock held.

    It is taken over from a dead holder that had it at this watch's last attempt as well.
    """
    before: word = watch[L.WATCH_SEEN]
    lapse: word = spend(watch)
    seen: word
    status: word
    if before == 0:
        status = lock.try_lock(arena, mine[L.MINE_SLOT])
    else:
        status = lock.try_again(arena, mine[L.MINE_SLOT])
    if status != L.BUSY:
        return status
    seen = arena[L.LOCK]
    watch[L.WATCH_NAP] = 0
    watch[L.WATCH_SEEN] = acquisition(seen)
    if lock.held_by(seen) == 0 or acquisition(seen) != before:
        watch[L.WATCH_HELD_NS] = 0
    else:
        watch[L.WATCH_HELD_NS] = watch[L.WATCH_HELD_NS] + lapse
        status = take_over(arena, mine, seen)
    if status == L.BUSY and lock.held_by(seen) != 0 and lock.announce_wait(arena, seen):
        watch[L.WATCH_NAP] = seen | L.LOCK_WAITERS
    return status


def take_over(arena: Words, mine: Words, seen: word) -> word:
    """Take the arena's lock over if its holder is dead: OK (it is held), BUSY or DAMAGED.

    Needs: the local lock held. `seen` was read before the probe, and is compared whole after it.
    """
    slot: word = lock.held_by(seen)
    status: word
    # Its own slot in the word: left there by the slot's last member, since this one has the byte.
    if slot != mine[L.MINE_SLOT] and table.probe(mine, slot) != 0:
        return L.BUSY
    if not journal.can_roll_back(arena, mine[L.MINE_CONTROL_WORDS]):
        return L.DAMAGED
    status = lock.take_over(arena, mine[L.MINE_SLOT], seen)
    if status == L.OK:
        hold.recover_drain(arena, mine)
        queues.recover(arena, mine)
    return status


def verdict(watch: Words) -> word:
    """Tell whether a wait is over: BUSY (not yet), STUCK or STARVED."""
    if watch[L.WATCH_HELD_NS] >= watch[L.WATCH_LIMIT_NS]:
        return L.STUCK
    if watch[L.WATCH_SPENT_NS] >= L.STARVED_TIMES * watch[L.WATCH_LIMIT_NS]:
        return L.STARVED
    return L.BUSY


def look(arena: Words, mine: Words, watch: Words) -> word:
    """Look once. OK: both locks are held. Else neither is. BUSY: nap, then look again.

    STUCK: the acquisition in the watch lasts too long. STARVED: the wait does. DAMAGED. NOT_HELD.
    """
    status: word
    local_lock.lock()
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        letting_go.release()
        return L.NOT_HELD
    status = attempt(arena, mine, watch)
    if status == L.OK:
        entering.arrive(arena, mine)
        return status
    if status == L.BUSY:
        status = verdict(watch)
        if status != L.BUSY:
            lock.pass_on(arena)
    letting_go.release()
    return status


def nap(arena: Words, watch: Words) -> None:
    """Wait until the lock is given up, at most NAP_NS. Needs no lock and no GIL."""
    if watch[L.WATCH_NAP] != 0:
        futex_wait(arena, L.LOCK, watch[L.WATCH_NAP], L.NAP_NS)


def give_up(arena: Words, mine: Words) -> None:
    """Stop a wait that no look has ended: another waiter gets the wake that was for this one."""
    local_lock.lock()
    if mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
        lock.pass_on(arena)
    letting_go.release()


def come_back(arena: Words, mine: Words, watch: Words) -> word:
    """Wait for both locks, to continue work that must end: as `look`, but never BUSY."""
    status: word
    watch[L.WATCH_SEEN] = 0
    status = look(arena, mine, watch)
    while status == L.BUSY:  # bound: the watch's limit
        nap(arena, watch)
        status = look(arena, mine, watch)
    return status


def enter_patiently(arena: Words, mine: Words, watch: Words) -> word:
    """Wait for the arena's lock, keeping the local lock: OK, BUSY (too late) or DAMAGED.

    Only for fork's prepare. The watch's limit covers all that prepare does.
    """
    status: word = lock.try_lock(arena, mine[L.MINE_SLOT])  # usually free: no clock needed
    watch[L.WATCH_SEEN] = 0
    if status == L.BUSY:
        status = attempt(arena, mine, watch)
    while status == L.BUSY:  # bound: the watch's limit
        if watch[L.WATCH_SPENT_NS] >= watch[L.WATCH_LIMIT_NS]:
            lock.pass_on(arena)
            return L.BUSY
        nap(arena, watch)
        status = attempt(arena, mine, watch)
    return status
