"""A process's membership of one arena: entering, waiting, joining, looking.

Between `begin` and `end` both locks are held, and no Python object is touched: no signal handler,
garbage collection or exception lands inside. Waiting for the arena's lock happens outside, without
the GIL and without the local lock, in naps with a signal check between; a dead holder's lock is
taken over, a stopped one's is a LockTimeoutError.
"""

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.libc.string import memcpy
from cython.cimports.scamem.backing.descriptor import Descriptor
from cython.cimports.scamem.core import holders, objects
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
    join,
    leave,
)
from cython.cimports.scamem.membership import process

from scamem.errors import (
    ArenaBusyError,
    ArenaDamagedError,
    ClosedError,
    LockTimeoutError,
    NotAMemberError,
    ScamemError,
)


def await_slot(member: Membership, seen: word, deadline_ns: word) -> cython.int:
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


@cython.cclass
class Membership:
    """This process as a member of an arena.

    Parameters
    ----------
    arena, mine : addresses of the control file's mapping and of the private words.

    Attributes
    ----------
    lock_timeout_s : how long to wait for an arena's lock that a living process has.
    seat : the Seat that it belongs to, until the arena is left.
    descriptors : those that are closed when the arena is left.
    private_bytes : length of the private words' mapping, which goes then.
    closing : whether the arena is left with the last reference that is held.
    find_descriptor : called when the control file's descriptor was lost; sets the word anew.
    """

    def __init__(self, arena: int, mine: int) -> None:
        self.arena = cython.cast(Words, cython.cast(word, arena))
        self.mine = cython.cast(Words, cython.cast(word, mine))
        self.lock_timeout_s = 10.0
        self.find_descriptor = None
        self.seat = None
        self.descriptors = ()
        self.private_bytes = 0
        self.closing = False

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
            raise ArenaBusyError(f"this process has joined {process.JOINED_MAX} arenas; close some")
        return True

    def reap_as_guest(self) -> int:
        """Reap dead members for a joiner that found no FREE slot. Needs: the guest byte."""
        self.mine[L.MINE_SLOT] = L.SLOT_GUEST
        self.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        try:
            return self.reap()
        finally:
            self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED

    def close(self) -> cython.bint:
        """Stop being used if nothing is held; False, and nothing done, if something is.

        Nor while another thread changes a section: the slot given up, others would finish its
        change, and its late punch would hit their frames. Only threads of this process begin one,
        under the local lock, so that this can be asked without the arena's.

        The slot is free then, or, where that would take a wait, left to be reaped. The caller
        unlocks its byte, and only then unmaps.
        """
        closed: cython.bint = False
        if process.enter(self.arena, self.mine) == L.OK:  # waits for nobody
            closed = leave.leave(self.arena, self.mine) == L.OK
            if closed:
                self.stop()
            process.leave(self.arena, self.mine)
        if not closed:
            process.lock_local()
            about: word = holders.slot_at(self.mine, self.mine[L.MINE_SLOT])
            closed = self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE
            closed = closed and self.arena[about + L.SLOT_HOLDERS_COUNT] == 0
            closed = closed and sections.owned(self.arena, self.mine) >= L.STATUS
            if closed:
                self.stop()
            process.unlock_local()
        return closed

    def leave(self) -> bool:
        """Leave the arena if nothing is held and no thread of this process works in it.

        Returns whether it has been left: the slot is given up, all is unmapped and closed.
        """
        return self.leave_now()

    def leave_now(self) -> cython.bint:
        """As `leave`, from a deallocation too: waits for nobody, runs no Python, cannot fail.

        Why safe: the private words go only after the member was closed under the local lock and
        what points to them points to `closed_words`, under the local lock as well. So a thread that
        looks at them, with that lock or with the GIL, sees the old ones mapped, or the new ones.
        """
        mine: Words = self.mine
        if not self.close():
            return False
        process.lock_local()
        self.mine = cython.cast(Words, cython.address(process.closed_words[0]))
        process.unlock_local()
        process.vacate(mine, self.private_bytes)
        for kept in self.descriptors:
            cython.cast(Descriptor, kept).close_now()
        self.seat = None  # whatever is left of it is plain Python objects
        self.find_descriptor = None
        return True

    def holds_anything(self) -> bool:
        """Tell whether this member has a reference to any object, at about this moment."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            return False
        return holders.count_of(self.arena, self.mine, self.mine[L.MINE_SLOT]) != 0

    def reopen(self) -> bool:
        """Stay in an arena that was closed while something is held; False if it has been left."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            return False
        self.closing = False
        return True

    def stop(self) -> cython.void:
        """Refuse all later work: deallocations do nothing then. Needs: local lock held."""
        self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED
        process.remove_member(self.mine)

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

    # --- looking -------------------------------------------------------------------------------

    def check_active(self) -> cython.int:
        """See to it that the mappings are there, before they are looked at without the lock.

        They stay until the GIL is given up: another thread may close an arena that is idle.
        """
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            raise self.refuse(L.NOT_HELD)
        return 0

    def read_word(self, at: int) -> int:
        """Read one word of the control file, without the lock."""
        self.check_active()
        place: word = at
        if place >= self.mine[L.MINE_CONTROL_WORDS]:
            raise IndexError(f"word {at} of {self.mine[L.MINE_CONTROL_WORDS]}")
        return self.arena[place]

    def set_word(self, at: int, value: int) -> None:
        """Store one of the settings, or when memory was populated, under the lock."""
        place: word = at
        number: word = value
        if place not in (L.LOANS_LIMIT, L.TRANSIT_GRACE_S, L.RETENTION_FRAMES, L.POPULATED_S):
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

    def runs_of(self, index: word) -> list[tuple[int, int]]:
        """Return the runs of an object that need not be held: a look, of about this moment."""
        self.check_active()
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            raise self.refuse(L.DAMAGED)
        run: word = low(self.arena[tables.place(self.mine, L.TABLE_OBJECTS, index) + L.OBJECT_RUNS])
        left: word = self.mine[L.MINE_FRAMES]
        value: word
        found = []
        while run != 0:  # bound: the arena's frames, each run has one at least
            value = objects.run_frames(self.arena, self.mine, run)
            if value == 0:
                raise self.refuse(L.DAMAGED)
            if high(value) > left:
                break  # it is freed meanwhile, and its records are others' by now
            found.append((low(value), high(value)))
            left -= high(value)
            run = objects.next_run(self.arena, self.mine, run)
        return found

    def copy_into(self, target: int, ranges: object) -> None:
        """Copy ranges of the control file to the same places of other memory, as at one moment.

        Parameters
        ----------
        target : address of writable memory as large as the control file.
        ranges : an array("Q") of {first word, words} pairs.
        """
        pairs: cython.ulonglong[::1] = ranges
        into: Words = cython.cast(Words, cython.cast(word, target))
        k: cython.Py_ssize_t
        count: cython.Py_ssize_t = len(pairs) // 2
        for k in range(count):
            if pairs[2 * k] + pairs[2 * k + 1] > self.mine[L.MINE_CONTROL_WORDS]:
                raise IndexError(f"words {pairs[2 * k]} and on are not all in the control file")
        self.begin()
        for k in range(count):
            memcpy(
                cython.cast(cython.p_void, into + pairs[2 * k]),
                cython.cast(cython.p_void, self.arena + pairs[2 * k]),
                pairs[2 * k + 1] * L.WORD_BYTES,
            )
        self.end()

    def holders_of(self, index: word) -> list[tuple[int, int, int, int, int, int]]:
        """Return (slot, kind, counts, pins, area, loans) of each record on an object's list."""
        found: list = []
        slots: word[256]
        k: cython.int
        holder: word
        self.check_active()
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return found
        self.begin()
        holder = low(self.arena[tables.place(self.mine, L.TABLE_OBJECTS, index) + L.OBJECT_HOLDERS])
        k = 0
        while (
            holder != 0 and k < 256 and tables.valid(self.arena, self.mine, L.TABLE_HOLDERS, holder)
        ):
            slots[k] = holder
            holder = low(
                self.arena[tables.place(self.mine, L.TABLE_HOLDERS, holder) + L.HOLDER_OBJECT_LINKS]
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
                loan = low(self.arena[tables.place(self.mine, L.TABLE_LOANS, loan) + L.LOAN_LINKS])
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

    def loan_words(self, loan: word) -> object:
        """Return (id, object, kind of who lent, lender's slot, ns when lent); None if free."""
        found = None
        values: word[4]
        holder: word
        if not tables.valid(self.arena, self.mine, L.TABLE_LOANS, loan):
            return None
        self.begin()
        place: word = tables.place(self.mine, L.TABLE_LOANS, loan)
        values[0] = self.arena[place + L.LOAN_ID]
        holder = self.arena[place + L.LOAN_HOLDER]
        values[1] = self.arena[place + L.LOAN_LENT_NS]
        values[2] = 0
        if values[0] != 0 and tables.valid(self.arena, self.mine, L.TABLE_HOLDERS, holder):
            values[2] = self.arena[
                tables.place(self.mine, L.TABLE_HOLDERS, holder) + L.HOLDER_OBJECT
            ]
        self.end()
        if values[2] != 0:
            found = (
                values[0],
                low(values[2]),
                values[2] >> L.HOLDER_KIND_SHIFT,
                values[2] >> L.HOLDER_SLOT_SHIFT & L.MASK_16,
                values[1],
            )
        return found

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
        self.check_active()
        if pfn >= self.mine[L.MINE_FRAMES]:
            raise IndexError(f"asked for frame {pfn:,}; the arena has {self.mine[L.MINE_FRAMES]:,}")
        section: word = pfn >> self.mine[L.MINE_SECTION_SHIFT]
        if sections.flags(self.arena, self.mine, section) & L.SECTION_BACKED == 0:
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
