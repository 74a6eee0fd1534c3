"""This process's side of its arenas: the local lock, entering and leaving, and the fork handlers.

State. One table names each joined arena by two addresses: its control words, and this member's
private words (layout.MINE_*), which hold all that a fork handler needs, since no Python object may
be asked there. `lock_local` guards the table, the private words and the counts of every record of
this process. It exists once, in this module.

Lock order: the local lock, then an arena's. Whoever holds the local lock asks for no GIL, runs no
Python, calls no malloc.

fork, in prepare, for each arena: lock the child's byte and map its page (inherited); FORKING; copy
the records; open the mappings to children. In the parent: close the mappings, and only then drop
its own hold on the child's page. In the child: close the mappings, become the new member.

Why safe: whoever inherits a view inherits the page that keeps its records. All mappings are closed
to children at all other times, so a child made by a road that runs no handlers (a raw clone) finds
no mapping: SIGSEGV, not somebody else's data. The local lock is held from prepare to both handlers,
so no thread of the parent takes or drops a reference between the copy and the fork. Prepare cannot
fail: without a slot, a record or the lock (at most FORK_NS in all) the mappings stay closed and the
child is no member of that arena.

vfork and posix_spawn run no handlers and share or drop the address space: nothing to do.

Tried and failed: os.register_at_fork does not run for a C library's fork(); a raw child that kept
the control file mapped dropped its parent's references.
"""

import cython
from cython.cimports.libc.errno import EAGAIN
from cython.cimports.posix.mman import MADV_DOFORK, MADV_DONTFORK, madvise, munmap
from cython.cimports.posix.unistd import getpid, usleep
from cython.cimports.scamem.backing import slot_locks
from cython.cimports.scamem.core import holders
from cython.cimports.scamem.core.frames import zones
from cython.cimports.scamem.core.store import journal, lock
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import (
    Words,
    compare_exchange,
    exchange,
    futex_wait,
    futex_wake,
    monotonic_ns,
    store,
    word,
)
from cython.cimports.scamem.core.transactions import clean, fork, free, hold, join, online, reap
from cython.cimports.scamem.membership import cleaning


def local() -> Words:
    """Return the words of this process: the local lock first, then the table of arenas."""
    return cython.cast(Words, cython.address(state[0]))


def lock_local() -> None:
    """Take the process-local lock. Bound: whoever holds it runs no Python and waits for nobody."""
    at: Words = local()
    if compare_exchange(at, 0, 0, 1):
        return
    while exchange(at, 0, 2) != 0:
        futex_wait(at, 0, 2, NAP_NS)


def unlock_local() -> None:
    """Give the process-local lock up."""
    at: Words = local()
    if exchange(at, 0, 0) == 2:
        futex_wake(at, 0, 1)


def arena_of(index: word) -> Words:
    """Return the control words of the index-th arena of this process."""
    return cython.cast(Words, state[2 + 2 * index])


def mine_of(index: word) -> Words:
    """Return the private words of the index-th arena; NULL: no arena there."""
    return cython.cast(Words, state[3 + 2 * index])


def add_member(arena: Words, mine: Words) -> word:
    """Enter an arena in the table; NO_SLOTS if the table is full. Needs: local lock held."""
    index: word = 0
    while index < JOINED_MAX:
        if state[3 + 2 * index] == 0:
            state[2 + 2 * index] = cython.cast(word, arena)
            state[3 + 2 * index] = cython.cast(word, mine)
            return L.OK
        index += 1
    return L.NO_SLOTS


def remove_member(mine: Words) -> None:
    """Take an arena out of the table. Needs: local lock held."""
    index: word = 0
    while index < JOINED_MAX:
        if state[3 + 2 * index] == cython.cast(word, mine):
            state[2 + 2 * index] = 0
            state[3 + 2 * index] = 0
        index += 1


def add_range(mine: Words, address: word, length: word) -> word:
    """Note a mapping that fork opens and closes; TOO_MANY if the table is full. Local lock held."""
    ranges: Words = cython.cast(Words, mine[L.MINE_RANGES])
    count: word = mine[L.MINE_RANGES_COUNT]
    if count >= mine[L.MINE_RANGES_MAX]:
        return L.TOO_MANY
    ranges[2 * count] = address
    ranges[2 * count + 1] = length
    mine[L.MINE_RANGES_COUNT] = count + 1
    return L.OK


def remove_range(mine: Words, address: word) -> None:
    """Forget a mapping, before it is unmapped. Needs: local lock held."""
    ranges: Words = cython.cast(Words, mine[L.MINE_RANGES])
    count: word = mine[L.MINE_RANGES_COUNT]
    index: word = count
    while index > 0:  # newest first: views are mostly short-lived
        index -= 1
        if ranges[2 * index] == address:
            ranges[2 * index] = ranges[2 * count - 2]
            ranges[2 * index + 1] = ranges[2 * count - 1]
            mine[L.MINE_RANGES_COUNT] = count - 1
            return


def enter(arena: Words, mine: Words) -> word:
    """Take the local lock and then the arena's: OK; else neither is held: BUSY, DAMAGED, NOT_HELD.

    The uncontended try; whoever gets BUSY waits outside (Member.wait) and comes again.
    """
    spins: word = SPINS
    status: word
    lock_local()
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        unlock_local()
        return L.NOT_HELD
    status = lock.try_lock(arena, mine[L.MINE_SLOT])
    while status == L.BUSY and spins > 0:
        spins -= 1
        status = lock.try_lock(arena, mine[L.MINE_SLOT])
    if status != L.OK:
        unlock_local()
        return status
    if mine[L.MINE_ARRIVING] != 0:
        mine[L.MINE_ARRIVING] = 0
        fork.arrive(arena, mine, getpid())
    return L.OK


def leave(arena: Words, mine: Words) -> word:
    """Give both locks up, dropping first what deallocations of others left behind."""
    status: word = hold.leave(arena, mine)
    rounds: word = mine[L.MINE_SLOTS_MAX]
    while status == L.MORE and rounds > 0:  # somebody left more than one unlock drops
        rounds -= 1
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            break  # whoever holds it now finds the flag
        status = hold.leave(arena, mine)
    unlock_local()
    return status


def probe(mine: Words, slot: word) -> int:
    """Ask whether a slot's byte is locked: 1, 0, or -1 where this process has no way to ask."""
    return slot_locks.probe_slot(
        cython.cast(cython.int, mine[L.MINE_CONTROL_FD]),
        mine[L.MINE_CONTROL_DEVICE],
        mine[L.MINE_CONTROL_INODE],
        slot,
    )


def probe_holder(arena: Words, mine: Words) -> word:
    """Take the arena's lock over if its holder is dead: OK (it is held), BUSY or DAMAGED.

    Needs: local lock held. The word is read before the probe, and compared whole afterwards.
    """
    seen: word = arena[L.LOCK]
    slot: word = lock.held_by(seen)
    status: word
    if slot == 0:
        return L.BUSY
    if slot != mine[L.MINE_SLOT] and probe(mine, slot) != 0:
        return L.BUSY
    if not journal.can_roll_back(arena, mine[L.MINE_CONTROL_WORDS]):
        return L.DAMAGED
    status = lock.take_over(arena, mine[L.MINE_SLOT], seen)
    if status == L.OK:
        hold.recover_drain(arena, mine)
    return status


def enter_patiently(arena: Words, mine: Words, deadline_ns: word) -> word:
    """Take the arena's lock, local lock held already, by naps: OK, BUSY (too late), DAMAGED."""
    status: word = lock.try_lock(arena, mine[L.MINE_SLOT])
    seen: word
    while status == L.BUSY:
        seen = arena[L.LOCK]
        if lock.held_by(seen) != 0:
            usleep(200)
            if arena[L.LOCK] == seen:
                status = probe_holder(arena, mine)
        if status != L.OK:
            status = lock.try_lock(arena, mine[L.MINE_SLOT])
        if status == L.BUSY and monotonic_ns() > deadline_ns:
            return L.BUSY
    return status


def reap_dead(arena: Words, mine: Words, slot: word) -> word:
    """Reap a slot if its member is dead: DONE if it was reaped, OK if not. Needs: both locks held.

    The probe is made under the arena's lock: nobody can have joined in its place since.
    """
    if slot == mine[L.MINE_SLOT] or not reap.is_reapable(arena, mine, slot):
        return L.OK
    if probe(mine, slot) != 0:
        return L.OK
    return L.DONE if reap.begin(arena, mine, slot) == L.OK else L.DAMAGED


def breathe(arena: Words, mine: Words, deadline_ns: word) -> word:
    """Offer the arena's lock to others between two transactions: OK while it is held again."""
    hold.leave(arena, mine)
    return enter_patiently(arena, mine, deadline_ns)


def reap_some(arena: Words, mine: Words, slot: word) -> word:
    """Take some steps of reaping a slot, each a transaction, under one hold of the lock."""
    left: word = REAPED_AT_ONCE
    status: word = L.MORE
    while status == L.MORE and left > 0:
        status = reap.step(arena, mine, slot)
        left -= 1
    return status


def reap_all(arena: Words, mine: Words, deadline_ns: word) -> word:
    """Reap every dead member and free what is DYING: OK, or why the arena's lock is not held.

    Needs: both locks held. The arena's is offered to others between the transactions.
    """
    slot: word = L.SLOT_FIRST
    status: word
    while slot < arena[L.SLOTS_NEXT] and slot < mine[L.MINE_SLOTS_MAX]:
        if reap_dead(arena, mine, slot) == L.DONE:
            mine[L.MINE_REAPED] += 1
            status = L.MORE
            while status == L.MORE:
                status = reap_some(arena, mine, slot)
                if breathe(arena, mine, deadline_ns) != L.OK:
                    return L.BUSY
        slot += 1
    while free.free_some(arena, mine) == L.MORE:
        if breathe(arena, mine, deadline_ns) != L.OK:
            return L.BUSY
    return L.OK


def clean_some(arena: Words, mine: Words) -> word:
    """Clean what ended and must not be free as it is: OK, or BUSY: the arena's lock is not held.

    Needs: both locks held. The arena's is given up for the work; the local one is kept, so that no
    other thread does the same.
    """
    status: word
    obj: word = clean.begin(arena, mine)
    while obj < L.STATUS:
        hold.leave(arena, mine)
        status = cleaning.clean_frames(arena, mine, obj)
        if enter_patiently(arena, mine, monotonic_ns() + CLEAN_NS) != L.OK:
            return L.BUSY
        if status != L.OK:
            clean.abort(arena, mine)
            return L.OK
        clean.finish(arena, mine)
        obj = clean.begin(arena, mine)
    return L.OK


def note_surplus(arena: Words, mine: Words) -> None:
    """Note that more than a block is free beyond what is to be kept; somebody with Python trims."""
    one: word = 1
    kept: word = arena[L.RETENTION_FRAMES] + (one << mine[L.MINE_BLOCK_SHIFT])
    if zones.count_free(arena, mine) >= kept and mine[L.MINE_SURPLUS] == 0:
        mine[L.MINE_SURPLUS] = 1


def free_dying(arena: Words, mine: Words) -> None:
    """Give the runs of DYING objects back, one a transaction, then give both locks up.

    Whoever takes the lock in between goes on with it; what is left over is for the next one.
    """
    if arena[L.CLEANING_HEAD] != 0 or arena[L.CLEANING] != 0:
        if clean_some(arena, mine) != L.OK:
            unlock_local()
            return
    while arena[L.DYING_HEAD] != 0:
        free.free_some(arena, mine)
        hold.leave(arena, mine)
        if lock.try_lock(arena, mine[L.MINE_SLOT]) != L.OK:
            unlock_local()
            return
    note_surplus(arena, mine)
    leave(arena, mine)


def let_go(arena: Words, mine: Words, obj: word, by: word) -> None:
    """Let go of an object once, from a deallocation: no wait, no Python, cannot fail.

    If the arena's lock is not to be had at once, the record is left to whoever has it.
    """
    holder: word
    spins: word = SPINS
    status: word = L.BUSY
    lock_local()
    if mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
        holder = hold.subtract(arena, mine, obj, by)
        while holder != 0 and status == L.BUSY and spins > 0:
            spins -= 1
            status = lock.try_lock(arena, mine[L.MINE_SLOT])
        if holder != 0 and status == L.OK:
            hold.put_holder(arena, mine, holder)
            free_dying(arena, mine)
            return
        if holder != 0 and status == L.BUSY:
            hold.defer(arena, mine, holder)
            if lock.try_lock(arena, mine[L.MINE_SLOT]) == L.OK:  # it was unlocked meanwhile
                leave(arena, mine)
                return
    unlock_local()


def advise(mine: Words, advice: cython.int) -> None:
    """Open (MADV_DOFORK) or close (MADV_DONTFORK) all mappings of an arena to children."""
    ranges: Words = cython.cast(Words, mine[L.MINE_RANGES])
    index: word = 0
    while index < mine[L.MINE_RANGES_COUNT]:
        madvise(
            cython.cast(cython.p_void, ranges[2 * index]),
            cython.cast(cython.size_t, ranges[2 * index + 1]),
            advice,
        )
        index += 1


def find_child_slot(arena: Words, mine: Words) -> word:
    """Lock a FREE slot's byte for the child and map its page: the slot, or 0. Both locks held."""
    error: cython.int = 0
    slot: word = join.find_free(arena, mine, 0)
    page: word
    while slot != 0:
        page = cython.cast(
            word,
            slot_locks.lock_slot(
                cython.cast(cython.int, mine[L.MINE_CONTROL_FD]),
                mine[L.MINE_CONTROL_DEVICE],
                mine[L.MINE_CONTROL_INODE],
                slot,
                True,
                cython.address(error),
            ),
        )
        if page != 0:
            mine[L.MINE_CHILD_PAGE] = page
            return slot
        slot = join.find_free(arena, mine, slot) if error == EAGAIN else 0
    return 0


def grow_holders(arena: Words, mine: Words) -> cython.bint:
    """Give memory to more holder records, for a child that is to have as many as its parent.

    fallocate is a plain system call, so it can be made here; the few bytes a record are not held
    against the head room. False: the kernel has none, or the file cannot be reached.
    """
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * L.TABLE_HOLDERS
    backed: word = arena[L.TABLES + L.TABLE_WORDS * L.TABLE_HOLDERS + L.TABLE_BACKED]
    record_bytes: word = mine[about + L.MINE_TABLE_RECORD] * L.WORD_BYTES
    start: word = mine[about + L.MINE_TABLE_AT] * L.WORD_BYTES
    wanted: word = 2 * backed
    fd: cython.int = cython.cast(cython.int, mine[L.MINE_CONTROL_FD])
    if wanted > mine[about + L.MINE_TABLE_MAX]:
        wanted = mine[about + L.MINE_TABLE_MAX]
    if wanted <= backed:
        return False
    if not slot_locks.is_file(fd, mine[L.MINE_CONTROL_DEVICE], mine[L.MINE_CONTROL_INODE]):
        return False
    # Whole pages: the table begins on one, and the file ends with whole pages of tables.
    wanted_bytes: word = (wanted * record_bytes + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES
    if fallocate(fd, 0, start, wanted_bytes) != 0:
        return False
    return online.extend_table(arena, mine, L.TABLE_HOLDERS, wanted) == L.OK


def copy_records(arena: Words, mine: Words, deadline_ns: word) -> word:
    """Copy this member's records for the child, a transaction each. Needs: both locks held."""
    slot: word = mine[L.MINE_CHILD_SLOT]
    holder: word = fork.oldest(arena, mine)
    left: word = COPY_LOOKS * (holders.count_of(arena, mine, mine[L.MINE_SLOT]) + 1)
    while holder != 0:  # bound: each record is looked at once, and some again after AGAIN
        if left == 0:
            return L.DAMAGED
        left -= 1
        copied: word = fork.copy(arena, mine, slot, holder)
        if copied == L.AGAIN:
            copied = fork.oldest(arena, mine)
        elif copied == L.NO_RECORDS + L.TABLE_HOLDERS and grow_holders(arena, mine):
            continue
        holder = copied
        if holder >= L.STATUS:
            return holder
        hold.leave(arena, mine)  # others go on in between
        if enter_patiently(arena, mine, deadline_ns) != L.OK:
            return L.BUSY
    return L.OK


def prepare_one(arena: Words, mine: Words, deadline_ns: word) -> None:
    """Make the child a member of one arena before it exists. Needs: local lock held."""
    slot: word
    status: word = enter_patiently(arena, mine, deadline_ns)
    if status != L.OK or reap_all(arena, mine, deadline_ns) != L.OK:
        return
    slot = find_child_slot(arena, mine)
    if slot != 0 and fork.begin(arena, mine, slot) == L.OK:
        mine[L.MINE_CHILD_SLOT] = slot
        status = copy_records(arena, mine, deadline_ns)
        if status == L.BUSY:
            return
        if status == L.OK:
            mine[L.MINE_CHILD_READY] = 1
    hold.leave(arena, mine)
    if mine[L.MINE_CHILD_READY] != 0:
        advise(mine, MADV_DOFORK)


def prepare() -> None:
    """pthread_atfork's first handler: in the parent, before the fork."""
    index: word = 0
    deadline_ns: word = monotonic_ns() + FORK_NS
    lock_local()
    while index < JOINED_MAX:
        if state[3 + 2 * index] != 0:
            mine: Words = mine_of(index)
            mine[L.MINE_CHILD_READY] = 0
            mine[L.MINE_CHILD_PAGE] = 0
            mine[L.MINE_CHILD_SLOT] = 0
            if mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
                prepare_one(arena_of(index), mine, deadline_ns)
        index += 1


def in_parent() -> None:
    """pthread_atfork's second handler; it runs also when the fork failed."""
    index: word = 0
    while index < JOINED_MAX:
        if state[3 + 2 * index] != 0:
            mine: Words = mine_of(index)
            if mine[L.MINE_CHILD_READY] != 0:
                advise(mine, MADV_DONTFORK)
            if mine[L.MINE_CHILD_PAGE] != 0:  # last: the child has it, or never will
                slot_locks.unlock_slot(cython.cast(cython.p_void, mine[L.MINE_CHILD_PAGE]))
            mine[L.MINE_CHILD_PAGE] = 0
        index += 1
    unlock_local()


def in_child() -> None:
    """pthread_atfork's third handler: the child becomes the member that prepare made."""
    index: word = 0
    while index < JOINED_MAX:
        if state[3 + 2 * index] != 0:
            mine: Words = mine_of(index)
            if mine[L.MINE_CHILD_READY] != 0:
                slot_locks.keep_page(cython.cast(cython.p_void, mine[L.MINE_CHILD_PAGE]))
                advise(mine, MADV_DONTFORK)
                mine[L.MINE_SLOT_PAGE] = mine[L.MINE_CHILD_PAGE]
                mine[L.MINE_ARRIVING] = 1
                mine[L.MINE_SURPLUS] = 0
                fork.become(arena_of(index), mine, mine[L.MINE_CHILD_SLOT])
            else:
                mine[L.MINE_STATUS] = L.MEMBER_LOST  # nothing of the arena is mapped here
                if mine[L.MINE_CHILD_PAGE] != 0:  # let the slot be reaped
                    slot_locks.unlock_slot(cython.cast(cython.p_void, mine[L.MINE_CHILD_PAGE]))
        index += 1
    store(local(), 0, 0)


def vacate(mine: Words, private_bytes: word) -> None:
    """Unlock the slot's byte, and then unmap all that this process has of an arena that it left.

    Needs: the member is closed, and out of the table that fork's handlers go by.
    """
    ranges: Words = cython.cast(Words, mine[L.MINE_RANGES])
    table_bytes: word = mine[L.MINE_RANGES_MAX] * 2 * L.WORD_BYTES
    index: word = 0
    slot_locks.unlock_slot(cython.cast(cython.p_void, mine[L.MINE_SLOT_PAGE]))
    while index < mine[L.MINE_RANGES_COUNT]:
        munmap(
            cython.cast(cython.p_void, ranges[2 * index]),
            cython.cast(cython.size_t, ranges[2 * index + 1]),
        )
        index += 1
    munmap(cython.cast(cython.p_void, mine[L.MINE_RANGES]), table_bytes)
    munmap(cython.cast(cython.p_void, cython.cast(word, mine)), private_bytes)


def install() -> cython.int:
    """Register the three handlers, once for this process and its children; 0, or an errno."""
    closed_words[L.MINE_STATUS] = L.MEMBER_CLOSED
    return pthread_atfork(prepare, in_parent, in_child)
