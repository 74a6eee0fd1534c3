"""Fork: the child is a member of each of its parent's arenas before it exists.

Steps in the parent's prepare handler. First, for each arena and with no lock kept: reap the dead,
so that there are slots and records. Then take the local lock, which is kept from here on. For each
arena: lock the child's byte and map its page (inherited); make the slot FORKING; copy the records,
one per transaction; open the mappings to children. In the parent's other handler: close the
mappings, and only then drop the parent's own hold on the child's page; give up the local lock. In
the child: close the mappings and become the new member; the local lock is free.

Why safe. A process that inherits a view inherits the page that keeps its records. All mappings are
closed to children at all other times, so children made another way (a raw clone, which runs no
handlers) inherit no mappings: they get SIGSEGV, not other processes' data. The local lock is held
from the first copy until both handlers have run, so no thread of the parent takes or drops a
reference between the copy and the fork. A reference that is deallocated meanwhile is left behind
(local_lock.py), in both processes alike.

Prepare cannot fail and does not wait long: FORK_NS in all. Without a slot, a record or the lock,
the mappings stay closed, and the child is not a member of that arena.

vfork and posix_spawn run no handlers, and share or drop the address space: nothing to do.

Tried and failed: os.register_at_fork does not run for a C library's fork(). A raw child that kept
the control file mapped dropped its parent's references.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from .. import holders
    from ..store import layout as L
    from ..store.words import Words, store, word
    from ..transactions import fork, join, online
    from . import entering, letting_go, local_lock, reaping, waiting
    from .host import table


def find_child_slot(arena: Words, mine: Words) -> word:
    """Lock a FREE slot's byte for the child and map its page: slot or 0. Needs: both locks held."""
    slot: word = join.find_free(arena, mine, 0)
    status: word
    while slot != 0:
        status = table.lock_child(mine, slot)
        if status == L.OK:
            return slot
        slot = join.find_free(arena, mine, slot) if status == L.BUSY else 0
    return 0


def grow_holders(arena: Words, mine: Words) -> bool:
    """Give memory to more holder records, for a child that needs as many as its parent.

    The few bytes per record are not checked against the head room. False: there is no memory.
    """
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * L.TABLE_HOLDERS
    backed: word = arena[L.TABLES + L.TABLE_WORDS * L.TABLE_HOLDERS + L.TABLE_BACKED]
    wanted: word = 2 * backed
    if wanted > mine[about + L.MINE_TABLE_MAX]:
        wanted = mine[about + L.MINE_TABLE_MAX]
    if wanted <= backed or not table.back_table(mine, L.TABLE_HOLDERS, wanted):
        return False
    return online.extend_table(arena, mine, L.TABLE_HOLDERS, wanted) == L.OK


def copy_records(arena: Words, mine: Words, watch: Words) -> word:
    """Copy this member's records for the child: OK; BUSY: the arena's lock is lost; or an error.

    Needs: both locks held. Other members can run between two records.
    """
    slot: word = mine[L.MINE_CHILD_SLOT]
    holder: word = fork.oldest(arena, mine)
    left: word = L.COPY_LOOKS * (holders.count_of(arena, mine, mine[L.MINE_SLOT]) + 1)
    copied: word
    while holder != 0:  # bound: each record once, and some again after AGAIN
        if left == 0:
            return L.DAMAGED
        left -= 1
        copied = fork.copy(arena, mine, slot, holder)
        if copied == L.AGAIN:
            copied = fork.oldest(arena, mine)
        elif copied == L.NO_RECORDS + L.TABLE_HOLDERS and grow_holders(arena, mine):
            continue
        holder = copied
        if holder >= L.STATUS:
            return holder
        letting_go.unlock_arena(arena, mine)
        if waiting.enter_patiently(arena, mine, watch) != L.OK:
            return L.BUSY
        if left % L.COPIES_TIMED == 0:
            waiting.spend(watch)
            if watch[L.WATCH_SPENT_NS] >= watch[L.WATCH_LIMIT_NS]:
                return L.STARVED
    return L.OK


def prepare_one(arena: Words, mine: Words, watch: Words) -> None:
    """Make the child a member of one arena before it exists. Needs: the local lock held."""
    slot: word
    status: word
    mine[L.MINE_CHILD_READY] = 0
    mine[L.MINE_CHILD_PAGE] = 0
    mine[L.MINE_CHILD_SLOT] = 0
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        return
    if waiting.enter_patiently(arena, mine, watch) != L.OK:
        return
    slot = find_child_slot(arena, mine)
    if slot != 0 and fork.begin(arena, mine, slot) == L.OK:
        mine[L.MINE_CHILD_SLOT] = slot
        status = copy_records(arena, mine, watch)
        if status == L.BUSY:
            return
        if status == L.OK:
            mine[L.MINE_CHILD_READY] = 1
    letting_go.unlock_arena(arena, mine)
    if mine[L.MINE_CHILD_READY] != 0:
        table.open_mappings(mine)


def reap_before(number: word, watch: Words) -> None:
    """Reap the dead of one arena, so that the child finds a slot and records. No lock is held."""
    arena: Words
    mine: Words
    local_lock.lock()
    if not table.is_joined(number):
        letting_go.release()
        return
    arena = table.arena_of(number)
    mine = table.mine_of(number)
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or waiting.attempt(arena, mine, watch) != L.OK:
        letting_go.release()
        return
    if reaping.reap_all(arena, mine, watch) == L.OK:
        entering.leave(arena, mine)


def prepare(watch: Words) -> None:
    """pthread_atfork's first handler: in the parent, before the fork."""
    number: word = 0
    waiting.begin(watch, L.FORK_NS)
    while number < table.local[L.LOCAL_JOINED]:
        reap_before(number, watch)
        number += 1
    waiting.begin(watch, L.FORK_NS)
    local_lock.lock()
    number = 0
    while number < table.local[L.LOCAL_JOINED]:
        if table.is_joined(number):
            prepare_one(table.arena_of(number), table.mine_of(number), watch)
        number += 1


def in_parent() -> None:
    """pthread_atfork's second handler; it also runs if the fork failed."""
    number: word = 0
    mine: Words
    while number < table.local[L.LOCAL_JOINED]:
        if table.is_joined(number):
            mine = table.mine_of(number)
            if mine[L.MINE_CHILD_READY] != 0:
                table.close_mappings(mine)
            table.drop_child(mine)  # last: the child has its own by now, or never will
        number += 1
    letting_go.release()


def in_child() -> None:
    """pthread_atfork's third handler: the child becomes the member that prepare made."""
    number: word = 0
    mine: Words
    while number < table.local[L.LOCAL_JOINED]:
        if table.is_joined(number):
            mine = table.mine_of(number)
            mine[L.MINE_BUSY] = 0  # the threads counted here are the parent's
            mine[L.MINE_CLEANING] = 0
            mine[L.MINE_SURPLUS] = 0
            if mine[L.MINE_CHILD_READY] != 0:
                table.keep_child(mine)
                table.close_mappings(mine)
                mine[L.MINE_ARRIVING] = 1
                fork.become(table.arena_of(number), mine, mine[L.MINE_CHILD_SLOT])
            else:
                mine[L.MINE_STATUS] = L.MEMBER_LOST  # nothing of the arena is mapped here
                table.drop_child(mine)  # the slot, if there is one, is reaped
        number += 1
    store(table.local, L.LOCAL_LEFT, 1)  # a thread may have left something, and not yet said so
    store(table.local, L.LOCAL_LOCK, 0)
