"""A process's membership of one arena: entering, waiting, joining, looking.

Between `begin` and `end` both locks are held, and no Python object is touched: no signal handler,
garbage collection or exception lands inside. Waiting for the arena's lock happens outside, without
the GIL and without the local lock, in naps with a signal check between; a dead holder's lock is
taken over, a stopped one's is a LockTimeoutError.
"""

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.libc.string import memcpy
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.frames import free_runs, memdesc, sections
from cython.cimports.scamem.core.procedures import (
    cleaning,
    entering,
    leaving,
    reaping,
    waiting,
)
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import lock, tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.core.transactions import join, reap
from cython.cimports.scamem.membership import process

from scamem.errors import (
    ArenaDamagedError,
    ClosedError,
    LockTimeoutError,
    NotAMemberError,
    ScamemError,
)


@cython.cclass
class Membership:
    """This process as a member of an arena.

    Parameters
    ----------
    arena, mine : addresses of the control file's mapping and of the private words.

    Attributes
    ----------
    lock_timeout_s : how long to wait for an arena's lock that a living process has.
    seat : the Seat that it belongs to.
    find_descriptor : called when the control file's descriptor was lost; sets the word anew.
    """

    def __init__(self, arena: int, mine: int) -> None:
        self.arena = cython.cast(Words, cython.cast(word, arena))
        self.mine = cython.cast(Words, cython.cast(word, mine))
        self.lock_timeout_s = 10.0
        self.find_descriptor = None
        self.seat = None

    # --- entering and leaving ------------------------------------------------------------------

    def begin(self) -> cython.int:
        """Take both locks, waiting for the arena's if it must."""
        status: word = entering.enter(self.arena, self.mine)
        if status == L.OK:
            return 0
        if status != L.BUSY:
            raise self.refuse(status)
        return self.wait()

    def wait(self) -> cython.int:
        """Wait for the arena's lock: naps of some milliseconds, a signal check after each."""
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        status: word = L.BUSY
        waiting.begin(seen, cython.cast(word, self.lock_timeout_s * 1e9))
        try:
            while True:
                status = waiting.look(self.arena, self.mine, seen)
                if status != L.BUSY:
                    break
                with cython.nogil:
                    waiting.nap(self.arena, seen)
                PyErr_CheckSignals()
                if self.find_descriptor is not None:
                    if process.probe(self.mine, L.SLOT_GUEST) < 0:
                        self.find_descriptor()
        finally:
            if status == L.BUSY:  # a signal handler raised: the wake may have been for another
                waiting.give_up(self.arena, self.mine)
        if status == L.OK:
            return 0
        if status == L.STUCK or status == L.STARVED:
            raise self.waited_too_long(status, watch[L.WATCH_SEEN])
        raise self.refuse(status)

    def waited_too_long(self, status: word, seen: word) -> object:
        """Return the error of a wait that ended without the lock; `seen`: who had it last."""
        slot: word = lock.held_by(seen)
        pid: word = 0
        if status == L.STARVED:
            return LockTimeoutError(
                f"waited {L.STARVED_TIMES * self.lock_timeout_s:g} s for the arena's lock; others "
                "took it in turn all the time, and none kept it. Try again, let fewer processes "
                "use the arena at once, or raise lock_timeout_s",
                slot=0,
                pid=0,
            )
        if self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            pid = self.arena[tables.slot_at(self.mine, slot) + L.SLOT_PID]
        return LockTimeoutError(
            f"waited {self.lock_timeout_s:g} s for the arena's lock; the process {pid} (slot "
            f"{slot}) has had it all that time and is alive, perhaps stopped. Let it go on "
            f"(kill -CONT {pid}), or end it",
            slot=slot,
            pid=pid,
        )

    def end(self) -> cython.int:
        """Give both locks up."""
        entering.leave(self.arena, self.mine)
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

    # --- reaping and freeing -------------------------------------------------------------------

    def free_dying(self) -> None:
        """Give the runs of DYING objects back, whoever left them, and clean what needs it."""
        if self.arena[L.DYING_HEAD] != 0 or self.arena[L.CLEANING_HEAD] != 0:
            self.begin()
            self.finish_dying()

    def finish_dying(self) -> cython.void:
        """As free_dying. Needs: both locks, which are given up. Cleaning gives up the GIL."""
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        if self.arena[L.CLEANING_HEAD] == 0 and self.arena[L.CLEANING] == 0:
            cleaning.free_dying(self.arena, self.mine, seen)
            return
        with cython.nogil:
            cleaning.free_dying(self.arena, self.mine, seen)

    def reap(self) -> int:
        """Reap every dead member and free what is DYING; how many were reaped."""
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        status: word = L.BUSY
        before: word = self.mine[L.MINE_REAPED]
        while status != L.OK:
            self.begin()  # waits with signal checks, and not for ever; inside there are naps only
            waiting.begin(seen, SLICE_NS)
            status = reaping.reap_all(self.arena, self.mine, seen)
            if status == L.OK and self.mine[L.MINE_SLOT] >= L.SLOT_FIRST:
                self.finish_dying()
            elif status == L.OK:
                self.end()  # a guest owns nothing: nobody would reap it
        return self.mine[L.MINE_REAPED] - before

    def is_slot_dead(self, slot: word) -> bool:
        """Tell whether a slot in use is unlocked, without reaping it."""
        self.begin()
        dead: cython.bint = reap.is_reapable(self.arena, self.mine, slot)
        dead = dead and slot != self.mine[L.MINE_SLOT] and process.probe(self.mine, slot) == 0
        self.end()
        return dead

    # --- joining -------------------------------------------------------------------------------

    def find_free_slot(self, after: int) -> int:
        """Return a slot to try, 0 if none is FREE. No lock is taken."""
        return join.find_free(self.arena, self.mine, after)

    def join(self, slot: word, pid: word, descriptors: word) -> bool:
        """Become the member of a slot whose byte this process has locked; False if it is not FREE.

        The private words say from now on that this process has the slot. Fork's handlers know
        nothing of it before `enter_table`, the last step of joining; if one before it fails, the
        caller calls `abandon` before it unlocks the byte.
        """
        status: word
        self.mine[L.MINE_SLOT] = slot
        self.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        self.begin()
        status = join.join(self.arena, self.mine, slot, pid, descriptors)
        self.end()
        if status == L.DAMAGED:
            raise self.refuse(status)
        if status != L.OK:
            self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED
        return status == L.OK

    def enter_table(self) -> None:
        """Let fork's handlers know of this arena: all else of joining is done.

        Raises
        ------
        MemoryError : the table could not grow.
        """
        if process.add_member(self.arena, self.mine) != L.OK:
            raise MemoryError("no memory for the table of joined arenas")

    def abandon(self) -> None:
        """Stop being a member because joining failed; the slot is reaped once its byte is free."""
        process.lock_local()
        process.remove_member(self.mine)
        self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED
        process.unlock_local()

    def reap_as_guest(self) -> int:
        """Reap dead members for a joiner that found no FREE slot. Needs: the guest byte."""
        self.mine[L.MINE_SLOT] = L.SLOT_GUEST
        self.mine[L.MINE_STATUS] = L.MEMBER_ACTIVE
        try:
            return self.reap()
        finally:
            self.mine[L.MINE_STATUS] = L.MEMBER_CLOSED

    def close(self) -> bool:
        """Stop being used if nothing is held; False, and nothing done, if something is.

        The slot is free then, or left to be reaped (core/procedures/leaving.py). The caller unlocks
        its byte, and only then unmaps.
        """
        return leaving.close(self.arena, self.mine)

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
