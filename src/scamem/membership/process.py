"""This process's side of its arenas: the table of joined arenas, and the fork handlers.

State. `state` has the local lock and what deallocations left (core/procedures/local_lock.py). The
table beside it gives each joined arena a number, and holds two addresses for it: its control words,
and this member's private words (layout.MINE_*). The latter hold everything that a fork handler
needs, since it may not use Python objects. `host.table` is filled here with what the core's
procedures need from a process: slot locks, mappings, pages, memory.

The table grows by being replaced: the new one is allocated before the local lock is taken, and the
old one is freed after it was released. Handlers read the table only under that lock, so they see
one or the other, and never call malloc. An arena enters the table when everything else of joining
is done, and leaves it before anything of it is unmapped.

The order of prepare and its two other handlers is argued where it runs: core/procedures/forking.py.
"""

import cython
from cython.cimports.libc.errno import EAGAIN
from cython.cimports.libc.stdlib import calloc
from cython.cimports.libc.stdlib import free as free_memory
from cython.cimports.libc.string import memcpy
from cython.cimports.posix.mman import MADV_DOFORK, MADV_DONTFORK, MADV_REMOVE, madvise, munmap
from cython.cimports.posix.unistd import getpid
from cython.cimports.scamem.backing import slot_locks
from cython.cimports.scamem.core.procedures import forking, host, letting_go, local_lock
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import Words, word


def lock_local() -> None:
    """Take the process-local lock."""
    local_lock.lock()


def unlock_local() -> None:
    """Release the process-local lock, and drop what deallocations left behind meanwhile."""
    letting_go.release()


# --- the table of joined arenas ------------------------------------------------------------------


def is_joined(number: word) -> cython.bint:
    """Return whether a number is a joined arena's."""
    return number < joined_max and joined[2 * number + 1] != 0


def arena_of(number: word) -> Words:
    """Return the control words of an arena."""
    return cython.cast(Words, joined[2 * number])


def mine_of(number: word) -> Words:
    """Return the private words of an arena."""
    return cython.cast(Words, joined[2 * number + 1])


def add_member(arena: Words, mine: Words) -> word:
    """Add an arena to the table: OK, or NO_SLOTS if there is no memory for it. No lock is held.

    The last step of joining: from here on, a fork in another thread uses the table.
    """
    global joined, joined_max
    number: word
    size: word
    made: cython.pointer(word)
    old: cython.pointer(word)
    while True:
        local_lock.lock()
        number = 0
        while number < joined_max and joined[2 * number + 1] != 0:
            number += 1
        if number < joined_max:
            joined[2 * number] = cython.cast(word, arena)
            joined[2 * number + 1] = cython.cast(word, mine)
            mine[L.MINE_NUMBER] = number
            if number >= state[L.LOCAL_JOINED]:
                state[L.LOCAL_JOINED] = number + 1
            letting_go.release()
            return L.OK
        size = joined_max
        letting_go.release()
        made = cython.cast(cython.pointer(word), calloc(2 * (2 * size + FIRST), L.WORD_BYTES))
        if made == cython.NULL:
            return L.NO_SLOTS
        local_lock.lock()
        old = made
        if size == joined_max:  # no other thread has replaced it meanwhile
            memcpy(made, joined, 2 * size * L.WORD_BYTES)
            old = joined
            joined = made
            joined_max = 2 * size + FIRST
        letting_go.release()
        if old != first:
            free_memory(old)


def remove_member(mine: Words) -> None:
    """Remove an arena from the table. Needs: local lock held."""
    number: word = mine[L.MINE_NUMBER]
    if is_joined(number) and joined[2 * number + 1] == cython.cast(word, mine):
        joined[2 * number] = 0
        joined[2 * number + 1] = 0
        while state[L.LOCAL_JOINED] > 0 and not is_joined(state[L.LOCAL_JOINED] - 1):
            state[L.LOCAL_JOINED] -= 1


# --- the mappings of an arena --------------------------------------------------------------------


def add_range(mine: Words, address: word, length: word) -> word:
    """Record a mapping that fork opens and closes; TOO_MANY if full. Local lock held."""
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
    while index > 0:  # newest first: most views are short-lived
        index -= 1
        if ranges[2 * index] == address:
            ranges[2 * index] = ranges[2 * count - 2]
            ranges[2 * index + 1] = ranges[2 * count - 1]
            mine[L.MINE_RANGES_COUNT] = count - 1
            return


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


# --- what the core asks of a process (core/procedures/host.py) -----------------------------------


def open_mappings(mine: Words) -> None:
    """Let a child inherit all mappings of an arena."""
    advise(mine, MADV_DOFORK)


def close_mappings(mine: Words) -> None:
    """Let no child inherit any mapping of an arena."""
    advise(mine, MADV_DONTFORK)


def probe(mine: Words, slot: word) -> cython.int:
    """Return whether a slot's byte is locked: 1, 0, or -1 if this process cannot find out."""
    return slot_locks.probe_slot(
        cython.cast(cython.int, mine[L.MINE_CONTROL_FD]),
        mine[L.MINE_CONTROL_DEVICE],
        mine[L.MINE_CONTROL_INODE],
        slot,
    )


def lock_child(mine: Words, slot: word) -> word:
    """Lock a slot's byte for a child and map its page: OK; BUSY if it is locked; NOT_FOUND."""
    error: cython.int = 0
    page: cython.p_void = slot_locks.lock_slot(
        cython.cast(cython.int, mine[L.MINE_CONTROL_FD]),
        mine[L.MINE_CONTROL_DEVICE],
        mine[L.MINE_CONTROL_INODE],
        slot,
        True,
        cython.address(error),
    )
    if page == cython.NULL:
        return L.BUSY if error == EAGAIN else L.NOT_FOUND
    mine[L.MINE_CHILD_PAGE] = cython.cast(word, page)
    return L.OK


def keep_child(mine: Words) -> None:
    """In the child: keep the page that was mapped for it."""
    slot_locks.keep_page(cython.cast(cython.p_void, mine[L.MINE_CHILD_PAGE]))
    mine[L.MINE_SLOT_PAGE] = mine[L.MINE_CHILD_PAGE]


def drop_child(mine: Words) -> None:
    """Unmap the child's page, if there is one."""
    if mine[L.MINE_CHILD_PAGE] != 0:
        slot_locks.unlock_slot(cython.cast(cython.p_void, mine[L.MINE_CHILD_PAGE]))
    mine[L.MINE_CHILD_PAGE] = 0


def back_table(mine: Words, which: word, records: word) -> cython.bint:
    """Give memory to a table's first records; False if the kernel has none, or the file is lost."""
    about: word = L.MINE_TABLES + L.MINE_TABLE_WORDS * which
    start: word = mine[about + L.MINE_TABLE_AT] * L.WORD_BYTES
    length: word = records * mine[about + L.MINE_TABLE_RECORD] * L.WORD_BYTES
    fd: cython.int = cython.cast(cython.int, mine[L.MINE_CONTROL_FD])
    if not slot_locks.is_file(fd, mine[L.MINE_CONTROL_DEVICE], mine[L.MINE_CONTROL_INODE]):
        return False
    # Whole pages: the table begins on one, and the file ends with whole pages of tables.
    length = (length + L.FRAME_BYTES - 1) // L.FRAME_BYTES * L.FRAME_BYTES
    return fallocate(fd, 0, start, length) == 0


def renew(mine: Words, pfn: word, frames: word, again: word) -> cython.bint:
    """Return a run's memory to the kernel (again: 0), or take new memory for it (1).

    Works through the direct map, so that no descriptor has to be trusted.
    """
    return (
        madvise(
            cython.cast(cython.p_void, mine[L.MINE_DIRECT] + pfn * L.FRAME_BYTES),
            frames * L.FRAME_BYTES,
            MADV_POPULATE_WRITE if again != 0 else MADV_REMOVE,
        )
        == 0
    )


def pid() -> word:
    """Return this process's pid."""
    return getpid()


def prepare() -> None:
    """pthread_atfork's first handler."""
    watch: word[8]
    forking.prepare(cython.cast(Words, cython.address(watch[0])))


def in_parent() -> None:
    """pthread_atfork's second handler."""
    forking.in_parent()


def in_child() -> None:
    """pthread_atfork's third handler."""
    forking.in_child()


def fill_table() -> None:
    """Give the core the functions of this process."""
    global joined, joined_max
    joined = first
    joined_max = FIRST
    host.table.local = cython.cast(Words, cython.address(state[0]))
    host.table.is_joined = is_joined
    host.table.arena_of = arena_of
    host.table.mine_of = mine_of
    host.table.forget = remove_member
    host.table.probe = probe
    host.table.lock_child = lock_child
    host.table.keep_child = keep_child
    host.table.drop_child = drop_child
    host.table.open_mappings = open_mappings
    host.table.close_mappings = close_mappings
    host.table.back_table = back_table
    host.table.renew = renew
    host.table.pid = pid


def vacate(mine: Words, private_bytes: word) -> None:
    """Unlock the slot's byte, then unmap everything that this process has of an arena it left.

    Needs: the member is closed, and out of the table that fork's handlers use.
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


fill_table()
