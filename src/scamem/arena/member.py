"""A process's membership of one arena, and the references that it holds.

`Member` runs the core's transactions: take the locks, run one, give them up. Between the two no
Python object is touched, so no signal handler, garbage collection or exception lands inside.
Waiting for the arena's lock happens outside, without the GIL and without the local lock, in naps
with a signal check between; a dead holder's lock is taken over, a stopped one's is a
LockTimeoutError.

`Hold` is one reference: a mapping, an object in hand, a pin or an I/O pin. Whoever has the Python
object has the reference; its deallocation lets go, in any thread and at any time.
"""

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.scamem.arena import process
from cython.cimports.scamem.core import holders, loans, objects
from cython.cimports.scamem.core.frames import free_runs, memdesc, sections
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import lock, tables
from cython.cimports.scamem.core.store.words import (
    Words,
    futex_wait,
    high,
    low,
    monotonic_ns,
    word,
)
from cython.cimports.scamem.core.transactions import (
    alloc,
    free,
    hold,
    join,
    lend,
    online,
    publish,
    reap,
)

from scamem.errors import (
    ArenaBusyError,
    ArenaDamagedError,
    ClosedError,
    LockTimeoutError,
    NotAMemberError,
    ScamemError,
)


@cython.cclass
class Hold:
    """One reference to an object: letting go of this Python object lets go of the reference."""

    def __init__(self) -> None:
        raise TypeError("references are made by Arena.alloc, Scamem.pin and the like")

    def __dealloc__(self) -> None:
        # Tries locks, waits for nothing, makes no object, cannot raise (process.let_go).
        if self.index != 0:
            process.let_go(self.member.arena, self.member.mine, self.index, self.by)

    def another(self, by: word) -> Hold:
        """Return one more reference to the same object, of another kind perhaps."""
        return self.member.hold_again(self, by)


def release(held: Hold) -> object:
    """Let go of a reference now; its deallocation does nothing then."""
    index: word = held.index
    held.index = 0
    if index != 0:
        process.let_go(held.member.arena, held.member.mine, index, held.by)


def new_hold(member: Member, obj: word, generation: word, by: word) -> Hold:
    made: Hold = Hold.__new__(Hold)
    made.member = member
    made.index = obj
    made.generation = generation
    made.by = by
    return made


def await_slot(member: Member, seen: word, deadline_ns: word) -> cython.int:
    """Look at the slot that the lock word names: take the lock over if it is dead.

    0: look again. 1: this process holds both locks now. 2: the lock is damaged.
    """
    status: word
    if member.find_descriptor is not None and process.probe(member.mine, L.SLOT_GUEST) < 0:
        member.find_descriptor()
    process.lock_local()
    status = process.probe_holder(member.arena, member.mine)
    if status == L.OK:
        return 1
    process.unlock_local()
    if status == L.DAMAGED:
        raise member.refuse(L.DAMAGED)
    if monotonic_ns() > deadline_ns:
        slot: word = lock.held_by(seen)
        pid = member.arena[holders.slot_at(member.mine, slot) + L.SLOT_PID]
        raise LockTimeoutError(
            f"waited {member.lock_timeout_s:g} s for the arena's lock; the process {pid} (slot "
            f"{slot}) has it and is alive, perhaps stopped. Let it go on (kill -CONT {pid}), or "
            "end it",
            slot=slot,
            pid=pid,
        )
    return 0


def checked_length(text: bytes, words: word) -> cython.size_t:
    """Return a text's length, having seen that it fits so many words."""
    if len(text) > words * L.WORD_BYTES:
        raise ValueError(f"{len(text)} bytes; {words * L.WORD_BYTES} is the most")
    return len(text)


@cython.cclass
class Member:
    """This process as a member of an arena.

    Parameters
    ----------
    arena, mine : addresses of the control file's mapping and of the private words.

    Attributes
    ----------
    lock_timeout_s : how long to wait for an arena's lock that a living process has.
    owner : the Arena that it belongs to.
    find_descriptor : called when the control file's descriptor was lost; sets the word anew.
    """

    def __init__(self, arena: int, mine: int) -> None:
        self.arena = cython.cast(Words, cython.cast(word, arena))
        self.mine = cython.cast(Words, cython.cast(word, mine))
        self.lock_timeout_s = 10.0
        self.find_descriptor = None
        self.owner = None

    # --- entering and leaving ------------------------------------------------------------------

    def begin(self) -> cython.int:
        """Take both locks, waiting for the arena's if it must."""
        status: word = process.enter(self.arena, self.mine)
        if status == L.OK:
            return 0
        if status != L.BUSY:
            raise self.refuse(status)
        return self.wait(monotonic_ns() + cython.cast(word, self.lock_timeout_s * 1e9))

    def wait(self, deadline_ns: word) -> cython.int:
        """Wait for the arena's lock: naps of some milliseconds, a signal check after each."""
        seen: word
        status: word
        while True:
            seen = self.arena[L.LOCK]
            if lock.held_by(seen) != 0 and lock.announce_wait(self.arena, seen):
                seen |= L.LOCK_WAITERS
                with cython.nogil:
                    futex_wait(self.arena, L.LOCK, seen, NAP_NS)
                PyErr_CheckSignals()
                if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
                    raise self.refuse(L.NOT_HELD)
                if self.arena[L.LOCK] | L.LOCK_FLAGS == seen | L.LOCK_FLAGS:
                    if await_slot(self, seen, deadline_ns) == 1:
                        return 0
            status = process.enter(self.arena, self.mine)
            if status == L.OK:
                return 0
            if status != L.BUSY:
                raise self.refuse(status)
            if monotonic_ns() > deadline_ns and lock.held_by(self.arena[L.LOCK]) != 0:
                await_slot(self, self.arena[L.LOCK], deadline_ns)

    def end(self) -> cython.int:
        """Give both locks up."""
        process.leave(self.arena, self.mine)
        return 0

    def refuse(self, status: word) -> object:
        """Return the exception that a status of the core stands for."""
        if status == L.DAMAGED:
            return ArenaDamagedError(
                "the arena is damaged: a word was found that no member writes. Nothing was "
                "changed; `scamem check` says where. Drop this arena and make a new one"
            )
        if status == L.NOT_HELD and self.mine[L.MINE_STATUS] == L.MEMBER_LOST:
            return NotAMemberError(
                "this process was forked while no member slot or record was to be had, so it is "
                "no member of its parent's arena and what it inherited of it cannot be read. "
                "Join the arena anew, or use the spawn start method"
            )
        if status == L.NOT_HELD or status == L.NOT_OWNER:
            return ClosedError("the arena was closed in this process; join it again")
        if status == L.FULL:
            return ScamemError(
                "one process holds this object 16,777,215 times over (I/O pins: 65,535); close some"
            )
        return ScamemError(f"the core refused with status {status:#x}")

    def error_of(self, status: word) -> object:
        """Return the exception that a status of the core stands for."""
        return self.refuse(status)

    def is_active(self) -> bool:
        """Tell whether this process may still use the arena."""
        return self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE

    # --- joining -------------------------------------------------------------------------------

    def find_free_slot(self, after: int) -> int:
        """Return a slot to try, 0 if none is FREE. No lock is taken."""
        return join.find_free(self.arena, self.mine, after)

    def join(self, slot: int, pid: int, descriptors: int) -> bool:
        """Become the member of a slot whose byte this process has locked; False if it is not FREE.

        For the time of the call the private words say that this process has the slot.
        """
        status: word
        words: word = descriptors
        number: word = slot
        process_id: word = pid
        self.mine[L.MINE_SLOT] = number
        self.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        self.begin()
        status = join.join(self.arena, self.mine, number, process_id, words)
        self.end()
        if status == L.DAMAGED:
            raise self.refuse(status)
        if status != L.OK:
            self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED
            return False
        process.lock_local()
        status = process.add_member(self.arena, self.mine)
        process.unlock_local()
        if status != L.OK:
            raise ArenaBusyError(
                f"this process has joined {process.JOINED_MAX} arenas; close some"
            )
        return True

    def reap_as_guest(self) -> int:
        """Reap dead members for a joiner that found no FREE slot; the guest slot's byte is locked."""
        self.mine[L.MINE_SLOT] = L.SLOT_GUEST
        self.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        try:
            return self.reap()
        finally:
            self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED

    def is_idle(self) -> bool:
        """Tell whether this process holds nothing of the arena."""
        return self.arena[holders.slot_at(self.mine, self.mine[L.MINE_SLOT]) + (
            L.SLOT_HOLDERS_COUNT
        )] == 0

    def close(self) -> None:
        """Stop being used: later deallocations do nothing; the slot lock is dropped by others."""
        process.lock_local()
        self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED
        process.remove_member(self.mine)
        process.unlock_local()

    def add_range(self, address: int, length: int) -> None:
        """Note a mapping of frames or of the control file, which fork opens and closes."""
        start: word = address
        size: word = length
        process.lock_local()
        status: word = process.add_range(self.mine, start, size)
        process.unlock_local()
        if status != L.OK:
            raise ScamemError(
                f"this process has {self.mine[L.MINE_RANGES_MAX]:,} views of one arena mapped; "
                "drop some"
            )

    def remove_range(self, address: int) -> None:
        """Forget a mapping that is about to be unmapped."""
        start: word = address
        process.lock_local()
        process.remove_range(self.mine, start)
        process.unlock_local()

    # --- allocating ----------------------------------------------------------------------------

    def alloc_small(self, frames: word, zone: word, by: word) -> object:
        """Allocate an object of few frames in one transaction: a Hold, or the status of why not."""
        self.begin()
        obj: word = alloc.small(self.arena, self.mine, zone, frames, by)
        self.end()
        if obj >= L.STATUS:
            return obj
        return new_hold(self, obj, objects.generation(self.arena, self.mine, obj), by)

    def reserve(self, frames: int, zone: int, by: int) -> Hold | int:
        """Begin a large object: a Hold on it, still ALLOCATING, or the status of why not."""
        count: word = frames
        kind: word = by
        where: word = zone
        self.begin()
        obj: word = alloc.reserve(self.arena, self.mine, where, count, kind)
        self.end()
        if obj >= L.STATUS:
            return obj
        return new_hold(self, obj, objects.generation(self.arena, self.mine, obj), kind)

    def take_run(self, held: Hold) -> int:
        """Give a large object one more run: OK, MORE, or the status of why not."""
        self.begin()
        status: word = alloc.take_run(self.arena, self.mine, held.index)
        self.end()
        return status

    def finish(self, held: Hold) -> None:
        """Describe a large object's frames and make it LIVE."""
        status: word = alloc.describe(self.arena, self.mine, held.index)
        if status != L.OK:
            raise self.refuse(status)
        self.begin()
        status = alloc.finish(self.arena, self.mine, held.index)
        self.end()
        if status != L.OK:
            raise self.refuse(status)

    def begin_section(self, zone: int) -> int:
        """Begin to bring a section online: its number, or the status of why not."""
        where: word = zone
        self.begin()
        section: word = online.begin(self.arena, self.mine, where)
        self.end()
        return section

    def finish_section(self, zone: int) -> int:
        """Make the section's frames free for all."""
        where: word = zone
        self.begin()
        status: word = online.finish(self.arena, self.mine, where)
        self.end()
        return status

    def abort_section(self) -> int:
        """Leave the section offline."""
        self.begin()
        status: word = online.abort(self.arena, self.mine)
        self.end()
        return status

    def extend_table(self, table: int, records: int) -> None:
        """Say that a table's first records have memory."""
        which: word = table
        count: word = records
        self.begin()
        online.extend_table(self.arena, self.mine, which, count)
        self.end()

    # --- holding -------------------------------------------------------------------------------

    def hold_again(self, held: Hold, by: word) -> Hold:
        """Return one more reference to what is held already; no system call, no arena lock."""
        if held.index == 0:
            raise ClosedError("this reference was closed")
        process.lock_local()
        status: word = L.NOT_HELD
        if self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            status = hold.add(self.arena, self.mine, held.index, by)
        process.unlock_local()
        if status != L.OK:
            raise self.refuse(status)
        return new_hold(self, held.index, held.generation, by)

    def hold_first(self, index: int, generation: int, by: int) -> Hold | int:
        """Hold an object by its number: a Hold, or the status of why not."""
        obj: word = index
        which: word = generation
        kind: word = by
        self.begin()
        status: word = hold.first(self.arena, self.mine, obj, which, kind)
        self.end()
        if status != L.OK:
            return status
        return new_hold(self, obj, which, kind)

    def load(
        self, index: word, generation: word, loan: word, loan_id: word, by: word
    ) -> object:
        """Hold an object by its handle, taking the loan over: a Hold, or the status of why not."""
        self.begin()
        status: word = lend.load(self.arena, self.mine, index, generation, loan, loan_id, by)
        self.end()
        if status != L.OK:
            return status
        return new_hold(self, index, generation, by)

    def lend_words(self, held: Hold, loan_id: cython.pointer(word)) -> word:
        """Lend an object once, under the id given, or a new one for 0: the loan, and its id there.

        The status of why not, and an id of 0, if it cannot be lent.
        """
        if held.index == 0:
            raise ClosedError("this reference was closed")
        self.begin()
        loan: word = lend.lend(self.arena, self.mine, held.index, loan_id[0])
        loan_id[0] = 0
        if loan < L.STATUS:
            loan_id[0] = self.arena[loans.at(self.arena, self.mine, loan) + L.LOAN_ID]
        self.end()
        return loan

    def cancel(self, loan: word, loan_id: word) -> bool:
        """Take a loan back; False if it was loaded or cancelled already."""
        self.begin()
        status: word = lend.cancel(self.arena, self.mine, loan, loan_id)
        self.end()
        self.free_dying()
        return status == L.OK

    def expire(self, grace_s: word) -> int:
        """Give up loans in transit older than grace_s that nothing else keeps alive; how many."""
        given_up: cython.Py_ssize_t = 0
        before: word
        self.begin()
        holder: word = lend.oldest(self.arena, self.mine)
        self.end()
        while holder != 0:
            self.begin()
            before = self.arena[L.LOANS_COUNT]
            holder = lend.expire(self.arena, self.mine, holder, grace_s)
            if self.arena[L.LOANS_COUNT] < before:
                given_up += 1
            self.end()
        self.free_dying()
        return given_up

    def free_dying(self) -> None:
        """Give the runs of DYING objects back, whoever left them."""
        if self.arena[L.DYING_HEAD] != 0:
            self.begin()
            process.free_dying(self.arena, self.mine)

    def reap(self) -> int:
        """Reap every dead member and free what is DYING; how many were reaped."""
        status: word
        before: word = self.mine[L.MINE_REAPED]
        self.begin()
        status = process.reap_all(
            self.arena,
            self.mine,
            monotonic_ns() + cython.cast(word, self.lock_timeout_s * 1e9),
        )
        if status == L.OK:
            self.end()
        else:
            process.unlock_local()
        return self.mine[L.MINE_REAPED] - before

    def is_slot_dead(self, slot: word) -> bool:
        """Tell whether a slot in use is unlocked, without reaping it."""
        self.begin()
        dead: cython.bint = reap.is_reapable(self.arena, self.mine, slot)
        dead = dead and slot != self.mine[L.MINE_SLOT] and process.probe(self.mine, slot) == 0
        self.end()
        return dead

    # --- names ---------------------------------------------------------------------------------

    def store_name(
        self,
        name: cython.p_char,
        name_bytes: cython.size_t,
        text: cython.p_char,
        text_bytes: cython.size_t,
    ) -> cython.void:
        """Put a name and a description where the next transaction finds them. Needs: both locks."""
        k: cython.size_t
        value: word = FNV_OFFSET
        for k in range(name_bytes):
            value = (value ^ cython.cast(word, cython.cast(cython.uchar, name[k]))) * FNV_PRIME
        memset(
            cython.cast(cython.p_void, self.mine + L.MINE_NAME),
            0,
            (L.AREA_NAME_WORDS + L.AREA_DESCRIPTION_WORDS) * L.WORD_BYTES,
        )
        memcpy(cython.cast(cython.p_void, self.mine + L.MINE_NAME), name, name_bytes)
        memcpy(cython.cast(cython.p_void, self.mine + L.MINE_DESCRIPTION), text, text_bytes)
        self.mine[L.MINE_NAME_HASH] = value
        self.mine[L.MINE_NAME_BYTES] = name_bytes
        self.mine[L.MINE_DESCRIPTION_BYTES] = text_bytes

    def publish(self, held: Hold, name: bytes, description: bytes, replace: bool) -> int:
        """Give an object a name: the area's number, or the status of why not."""
        also: word = 1 if replace else 0
        length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
        text_length: cython.size_t = checked_length(description, L.AREA_DESCRIPTION_WORDS)
        address: cython.p_char = name
        text: cython.p_char = description
        if held.index == 0:
            raise ClosedError("this reference was closed")
        self.begin()
        self.store_name(address, length, text, text_length)
        area: word = publish.publish(self.arena, self.mine, held.index, held.generation, also)
        self.end()
        self.free_dying()
        return area

    def unpublish(self, name: bytes) -> bool:
        """Take a name away; False if there is none."""
        length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
        address: cython.p_char = name
        self.begin()
        self.store_name(address, length, address, 0)
        status: word = publish.unpublish(self.arena, self.mine)
        self.end()
        self.free_dying()
        return status == L.OK

    def hold_name(self, name: bytes, by: word) -> tuple[Hold | int, bytes, int]:
        """Hold the object of a name: (Hold, description, 0), or (status, b"", event to wait on)."""
        length: cython.size_t = checked_length(name, L.AREA_NAME_WORDS)
        address: cython.p_char = name
        text = cython.declare(cython.char[1024])
        text_length: cython.size_t = 0
        generation: word = 0
        self.begin()
        self.store_name(address, length, address, 0)
        obj: word = publish.find(self.arena, self.mine)
        event: word = self.arena[L.AREAS_EVENT]
        status: word = obj
        if obj < L.STATUS:
            generation = objects.generation(self.arena, self.mine, obj)
            status = hold.first(self.arena, self.mine, obj, generation, by)
            text_length = self.mine[L.MINE_DESCRIPTION_BYTES]
            memcpy(
                cython.cast(cython.p_void, text),
                cython.cast(cython.p_void, self.mine + L.MINE_DESCRIPTION),
                text_length,
            )
        self.end()
        if status != L.OK:
            return status, b"", event
        return new_hold(self, obj, generation, by), text[:text_length], 0

    def read_area(self, area: word) -> tuple[bytes, bytes, int] | None:
        """Return (name, description, object) of an area, None if that record is free."""
        text = cython.declare(cython.char[1024])
        middle: cython.size_t = L.AREA_NAME_WORDS * L.WORD_BYTES
        name_length: cython.size_t = 0
        text_length: cython.size_t = 0
        self.begin()
        obj: word = publish.read_area(self.arena, self.mine, area)
        if obj < L.STATUS:
            name_length = self.mine[L.MINE_NAME_BYTES]
            text_length = self.mine[L.MINE_DESCRIPTION_BYTES]
            memcpy(
                cython.cast(cython.p_void, text),
                cython.cast(cython.p_void, self.mine + L.MINE_NAME),
                (L.AREA_NAME_WORDS + L.AREA_DESCRIPTION_WORDS) * L.WORD_BYTES,
            )
        self.end()
        if obj >= L.STATUS:
            return None
        return text[:name_length], text[middle : middle + text_length], obj

    def await_names(self, seen: word, timeout_s: float) -> None:
        """Wait until a name is published after `seen`, at most so long; then look again."""
        nap_ns: word = cython.cast(word, max(0.0, min(1.0, timeout_s)) * 1e9)
        with cython.nogil:
            futex_wait(self.arena, L.AREAS_EVENT, seen, nap_ns)

    # --- looking -------------------------------------------------------------------------------

    def read_word(self, at: int) -> int:
        """Read one word of the control file, without the lock."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            raise self.refuse(L.NOT_HELD)
        place: word = at
        if place >= self.mine[L.MINE_CONTROL_WORDS]:
            raise IndexError(f"word {at} of {self.mine[L.MINE_CONTROL_WORDS]}")
        return self.arena[place]

    def set_word(self, at: int, value: int) -> None:
        """Store one of the settings (loans limit, grace of transit), under the lock."""
        place: word = at
        number: word = value
        if place not in (L.LOANS_LIMIT, L.TRANSIT_GRACE_S):
            raise ValueError(f"word {at} is no setting")
        self.begin()
        self.arena[place] = number
        self.end()

    def my_word(self, at: int) -> int:
        """Read one of the private words."""
        place: word = at
        return self.mine[place] if place < L.MINE_TABLES_AT else 0

    def set_my_word(self, at: int, value: int) -> None:
        """Set one of the private words that describe this process (descriptors, pages)."""
        place: word = at
        number: word = value
        if L.MINE_CONTROL_FD <= place < L.MINE_TABLES_AT:
            self.mine[place] = number

    def copy_words(self, start: int, count: int) -> bytes:
        """Return a copy of words of the control file as they are at one moment, under the lock."""
        first: word = start
        many: word = count
        if first + many > self.mine[L.MINE_CONTROL_WORDS]:
            raise IndexError(f"words {start} to {start + count}")
        made = bytearray(count * L.WORD_BYTES)
        address: cython.p_char = made
        self.begin()
        memcpy(address, cython.cast(cython.p_void, self.arena + first), many * L.WORD_BYTES)
        self.end()
        return bytes(made)

    def nr(self, held: Hold) -> word:
        """Return how many frames a held object has."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        return objects.nr(self.arena, self.mine, held.index)

    def address_of(self, held: Hold) -> word:
        """Return where a held object of one run lies in the direct map, 0 if it has several."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        runs: word = self.arena[objects.at(self.arena, self.mine, held.index) + L.OBJECT_RUNS]
        if low(runs) != high(runs):
            return 0
        run: word = self.arena[tables.at(self.arena, self.mine, L.TABLE_RUNS, low(runs))]
        return self.direct_address + low(run) * FRAME_BYTES

    def first_run(self, held: Hold) -> tuple[int, int]:
        """Return (first pfn, frames) of a held object's first run. It does not change."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        run: word = low(
            self.arena[objects.at(self.arena, self.mine, held.index) + L.OBJECT_RUNS]
        )
        value: word = self.arena[tables.at(self.arena, self.mine, L.TABLE_RUNS, run)]
        return low(value), high(value)

    def runs(self, held: Hold) -> list[tuple[int, int]]:
        """Return (first pfn, frames) of each run of a held object, in the object's order."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        return self.runs_of(held.index)

    def runs_of(self, index: word) -> list[tuple[int, int]]:
        """Return the runs of an object that need not be held: a look."""
        place: word = objects.at(self.arena, self.mine, index)
        run: word = low(self.arena[place + L.OBJECT_RUNS])
        left: word = objects.nr(self.arena, self.mine, index)
        found = []
        while run != 0 and left > 0:
            at: word = tables.at(self.arena, self.mine, L.TABLE_RUNS, run)
            value: word = self.arena[at + L.RUN_FRAMES]
            found.append((low(value), high(value)))
            run = low(self.arena[at + L.RUN_LINK])
            left -= 1
        return found

    def holders_of(self, index: word) -> list[tuple[int, int, int, int, int, int]]:
        """Return (slot, kind, counts, pins, area, loans) of each record on an object's list."""
        found: list = []
        slots: word[256]
        k: cython.int
        holder: word
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return found
        self.begin()
        holder = low(
            self.arena[tables.place(self.mine, L.TABLE_OBJECTS, index) + L.OBJECT_HOLDERS]
        )
        k = 0
        while holder != 0 and k < 256 and tables.valid(
            self.arena, self.mine, L.TABLE_HOLDERS, holder
        ):
            slots[k] = holder
            holder = low(
                self.arena[
                    tables.place(self.mine, L.TABLE_HOLDERS, holder) + L.HOLDER_OBJECT_LINKS
                ]
            )
            k += 1
        self.end()
        for at in range(k):
            record = self.record(slots[at])
            if record is not None and record[0] == index:
                found.append(record[1:])
        return found

    def record(self, holder: word) -> object:
        """Return (object, slot, kind, counts, pins, area, loans) of a record; None if free."""
        place: word = tables.place(self.mine, L.TABLE_HOLDERS, holder)
        owner: word = self.arena[place + L.HOLDER_OBJECT]
        link: word = low(self.arena[place + L.HOLDER_LOANS])
        lent: word = 0
        loan: word = link
        if owner == 0:
            return None
        if owner >> L.HOLDER_KIND_SHIFT != L.HOLDER_AREA:
            link = 0
            while tables.valid(self.arena, self.mine, L.TABLE_LOANS, loan) and (
                lent < self.arena[L.LOANS_COUNT]
            ):
                lent += 1
                loan = low(
                    self.arena[tables.place(self.mine, L.TABLE_LOANS, loan) + L.LOAN_LINKS]
                )
        return (
            low(owner),
            owner >> L.HOLDER_SLOT_SHIFT & L.MASK_16,
            owner >> L.HOLDER_KIND_SHIFT,
            self.arena[place + L.HOLDER_COUNTS],
            self.arena[place + L.HOLDER_PINS],
            link,
            lent,
        )

    def object_words(self, index: word) -> tuple[int, ...] | None:
        """Return the words of an object's record at one moment, None if the number cannot be."""
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return None
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, index)
        values: word[6]
        k: cython.int
        self.begin()
        for k in range(6):
            values[k] = self.arena[place + k]
        self.end()
        return tuple([values[k] for k in range(6)])

    def count_runs(self, index: word) -> int:
        """Return how many runs an object has, at about this moment."""
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return 0
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, index)
        run: word = low(self.arena[place + L.OBJECT_RUNS])
        left: word = low(self.arena[place + L.OBJECT_NR])
        found: word = 0
        while tables.valid(self.arena, self.mine, L.TABLE_RUNS, run) and found < left:
            found += 1
            run = low(self.arena[tables.place(self.mine, L.TABLE_RUNS, run) + L.RUN_LINK])
        return found

    def page_to_object(self, pfn: word) -> tuple[int, int]:
        """Return (object, generation) of the object that a frame belongs to, (0, 0) if to none.

        No lock: the memdesc first, then the object's generation and state.
        """
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            raise self.refuse(L.NOT_HELD)
        if pfn >= self.mine[L.MINE_FRAMES]:
            raise IndexError(f"asked for frame {pfn:,}; the arena has {self.mine[L.MINE_FRAMES]:,}")
        if sections.state(self.arena, self.mine, pfn >> self.mine[L.MINE_SECTION_SHIFT]) != (
            L.SECTION_STATE_ONLINE
        ):
            return 0, 0
        value: word = memdesc.read(self.arena, self.mine, pfn)
        obj: word = memdesc.object_of(value)
        if obj == 0 or not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, obj):
            return 0, 0
        generation: word = objects.generation(self.arena, self.mine, obj)
        if low(generation) != memdesc.generation_of(value):
            return 0, 0
        if not objects.is_live(self.arena, self.mine, obj, generation):
            return 0, 0
        return obj, generation

    def longest_free_run(self, zone: word) -> int:
        """Return the longest free run of a zone, in frames."""
        self.begin()
        found: word = free_runs.longest(self.arena, self.mine, zone)
        self.end()
        return found


def install_fork_handlers() -> None:
    """Register the fork handlers of this process; once, when the package is imported."""
    number: cython.int = process.install()
    if number != 0:
        raise OSError(number, "pthread_atfork failed: no memory for three handlers")
