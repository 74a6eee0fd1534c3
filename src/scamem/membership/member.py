"""What a member can do (allocate, hold, lend), and the references that it holds.

`Member` runs the core's transactions: take both locks (membership.py), run one, release them.

`Hold` is one reference: a mapping, an object in hand, a pin or an I/O pin. The reference lives as
long as this Python object; its deallocation drops it, in any thread and at any time.
"""

import cython
from cython.cimports.cpython.buffer import PyBuffer_FillInfo
from cython.cimports.scamem.core import loans, objects
from cython.cimports.scamem.core.procedures import cleaning, letting_go, local_lock
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.core.transactions import (
    alloc,
    hold,
    lend,
    mark,
    online,
)

from scamem.errors import (
    ClosedError,
)

# Called when a release left more free memory than the arena keeps; see Arena.retention.
surplus_handlers: list = []


@cython.no_gc_clear  # GC must not clear what __dealloc__ uses; only the decorator works
@cython.cclass
class Hold:
    """One reference to an object, dropped when this Python object is deallocated."""

    def __init__(self) -> None:
        raise TypeError("references are made by Arena.alloc, Scamem.pin and the like")

    def __dealloc__(self) -> None:
        # Tries locks, never waits, creates no object, cannot raise (letting_go.py).
        if self.index != 0:
            letting_go.let_go(self.member.arena, self.member.mine, self.index, self.by)
            seen_to(self.member)

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        """Export the object's bytes, if an array over them may be written.

        NumPy asks for this when an array is made writable again (`x.flags.writeable = True`).
        """
        if not self.writable:
            raise BufferError("arrays over this object are read-only")
        address: word = self.member.address_of(self)
        if address == 0:
            raise BufferError("an object of several runs is not contiguous; use its map()")
        length: cython.Py_ssize_t = self.member.nr(self) * L.FRAME_BYTES
        PyBuffer_FillInfo(buffer, self, cython.cast(cython.p_void, address), length, False, flags)

    def another(self, by: word) -> Hold:
        """Return one more reference to the same object, of kind `by`."""
        return self.member.hold_again(self, by)


def release(held: Hold) -> object:
    """Drop a reference now; its deallocation then does nothing."""
    index: word = held.index
    held.index = 0
    if index != 0:
        letting_go.let_go(held.member.arena, held.member.mine, index, held.by)
        if held.member.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            if held.member.arena[L.CLEANING_HEAD] != 0:
                held.member.clean_now()
        seen_to(held.member)


def seen_to(member: Member) -> cython.void:
    """Follow up on a dropped reference: leave a closed arena with the last one, or trim."""
    if member.closing:
        member.leave_now()
    elif member.mine[L.MINE_SURPLUS] == 1:
        ask_for_trim(member)


def ask_for_trim(member: Member) -> cython.void:
    """Make the interpreter call `surplus_handlers` soon, in its main thread, between bytecodes.

    Nothing more is done here, since this may be a deallocation inside any other code. If the queue
    of such calls is full, the mark stays, and the next release tries again. Not at interpreter
    exit: the handler would run without its modules.
    """
    if Py_IsFinalizing() == 0 and Py_AddPendingCall(handle_surplus, cython.NULL) == 0:
        member.mine[L.MINE_SURPLUS] = 2


def handle_surplus(_unused: cython.p_void) -> cython.int:
    """Call the handlers. What they raise (KeyboardInterrupt) continues in the main thread."""
    if Py_IsFinalizing() != 0:
        return 0
    for handler in surplus_handlers:
        handler()
    return 0


def new_hold(member: Member, obj: word, generation: word, by: word) -> Hold:
    made: Hold = Hold.__new__(Hold)
    made.member = member
    made.index = obj
    made.generation = generation
    made.by = by
    return made


def only_run(member: Member, obj: word) -> word:
    """Return the first frame of a held object's only run; MORE if it has several, or DAMAGED."""
    place: word = tables.place(member.mine, L.TABLE_OBJECTS, obj)
    runs: word = member.arena[place + L.OBJECT_RUNS]
    if low(runs) != high(runs):
        return L.MORE
    value: word = objects.run_frames(member.arena, member.mine, low(runs))
    # Arrays believe the object's size: a shorter run would lead them past the direct map's end.
    if value == 0 or high(value) != low(member.arena[place + L.OBJECT_NR]):
        return L.DAMAGED
    return low(value)


def checked_length(text: bytes, words: word) -> cython.size_t:
    """Return a text's length, after checking that it fits."""
    if cython.cast(word, len(text)) > words * L.WORD_BYTES:
        raise ValueError(f"{len(text)} bytes; at most {words * L.WORD_BYTES} are possible")
    return len(text)


@cython.cclass
class Member(Looks):
    """This process as a member of an arena: the transactions that it can run. See Membership."""

    # --- allocating ----------------------------------------------------------------------------

    def alloc_one_run(self, frames: word, zone: word, by: word) -> object:
        """Allocate an object of one run; return a Hold, or the status of the failure."""
        obj: word
        if self.init_on_alloc:
            return L.NO_RUN  # frames are cleared outside the lock, before the object is LIVE
        self.begin()
        if frames <= L.MEMDESCS_INSIDE_MAX:
            obj = alloc.small(self.arena, self.mine, zone, frames, by)
        else:
            obj = alloc.one_run(self.arena, self.mine, zone, frames, by)
        self.end()
        if obj >= L.STATUS:
            return obj
        made: Hold = new_hold(self, obj, objects.generation(self.arena, self.mine, obj), by)
        if frames > L.MEMDESCS_INSIDE_MAX:
            self.finish(made)
        return made

    def alloc_fast(self, frames: word, by: word) -> object:
        """Allocate without a choice of zone, as alloc_one_run; NO_RUN if zones must be chosen."""
        if self.fast_zone >= L.STATUS:
            return L.NO_RUN
        return self.alloc_one_run(frames, self.fast_zone, by)

    def reserve(self, frames: int, zone: int, by: int) -> Hold | int:
        """Begin a large object; return a Hold on it (still ALLOCATING), or an error status."""
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
        """Give a large object one more run; return OK, MORE, or the status of the failure."""
        self.begin()
        status: word = alloc.take_run(self.arena, self.mine, held.index)
        self.end()
        return status

    def finish(self, held: Hold) -> cython.int:
        """Describe a large object's frames and make it LIVE."""
        status: word = alloc.describe(self.arena, self.mine, held.index)
        if status != L.OK:
            raise self.refuse(status)
        self.begin()
        status = alloc.finish(self.arena, self.mine, held.index)
        self.end()
        if status != L.OK:
            raise self.refuse(status)
        return 0

    def extend_table(self, table: int, records: int) -> None:
        """Record that a table's first records have memory."""
        which: word = table
        count: word = records
        self.begin()
        online.extend_table(self.arena, self.mine, which, count)
        self.end()

    # --- holding -------------------------------------------------------------------------------

    def hold_again(self, held: Hold, by: word) -> Hold:
        """Return one more reference to a held object; no system call, and no arena lock."""
        if held.index == 0:
            raise ClosedError("this reference was closed")
        local_lock.lock()
        status: word = L.NOT_HELD
        if self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            status = hold.add(self.arena, self.mine, held.index, by)
        letting_go.release()
        if status != L.OK:
            raise self.refuse(status)
        return new_hold(self, held.index, held.generation, by)

    def hold_first(self, index: int, generation: int, by: int) -> Hold | int:
        """Hold an object by its number; return a Hold, or the status of the failure."""
        obj: word = index
        which: word = generation
        kind: word = by
        self.begin()
        status: word = hold.first(self.arena, self.mine, obj, which, kind)
        self.end()
        if status != L.OK:
            return status
        return new_hold(self, obj, which, kind)

    def load(self, index: word, generation: word, loan: word, loan_id: word, by: word) -> object:
        """Hold an object by its handle and take over the loan; return a Hold, or a status."""
        self.begin()
        status: word = lend.load(self.arena, self.mine, index, generation, loan, loan_id, by)
        self.end()
        if status != L.OK:
            return status
        return new_hold(self, index, generation, by)

    def is_lent(self, loan: word, loan_id: word) -> cython.bint:
        """Return whether a loan was not taken yet, at about this moment."""
        self.check_active()
        return loans.holder_of(self.arena, self.mine, loan, loan_id) != 0

    def lend_words(self, held: Hold, loan_id: cython.pointer(word)) -> word:
        """Lend an object once, under the given id, or a new one for 0; return the loan.

        Stores the loan's id. If it cannot be lent: returns the status of the failure, stores an id
        of 0.
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
        """Take a loan back; return False if it was loaded or cancelled already."""
        self.begin()
        status: word = lend.cancel(self.arena, self.mine, loan, loan_id)
        self.end()
        self.free_dying()
        return status == L.OK

    def clean_now(self) -> None:
        """Clean what deallocations left, if both locks are free now: never waits.

        Releases the GIL if there is something to clean.
        """
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        if self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE and self.arena[L.CLEANING_HEAD] != 0:
            with cython.nogil:
                cleaning.clean_left(self.arena, self.mine, seen)

    def mark_pickled(self, held: Hold) -> None:
        """Record in the arena that this member stored a pickle in a held object."""
        self.begin()
        status: word = mark.mark(self.arena, self.mine, held.index)
        self.end()
        if status != L.OK:
            raise self.refuse(status)

    def is_pickled(self, held: Hold) -> bool:
        """Return whether a member stored a pickle in a held object."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, held.index)
        return self.arena[place + L.OBJECT_STATE] & L.OBJECT_PICKLED != 0

    def nr(self, held: Hold) -> word:
        """Return how many frames a held object has."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        return low(self.arena[tables.place(self.mine, L.TABLE_OBJECTS, held.index) + L.OBJECT_NR])

    def address_of(self, held: Hold) -> word:
        """Return where a held object of one run lies in the direct map, 0 if it has several."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        pfn: word = only_run(self, held.index)
        if pfn == L.DAMAGED:  # or another member is appending frames just now
            self.begin()
            pfn = only_run(self, held.index)
            self.end()
            if pfn == L.DAMAGED:
                raise self.refuse(pfn)
        return 0 if pfn == L.MORE else self.direct_address + pfn * L.FRAME_BYTES

    def first_run(self, held: Hold) -> tuple[int, int]:
        """Return (first pfn, frames) of a held object's first run, which does not change."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE or held.index == 0:
            raise self.refuse(L.NOT_HELD)
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, held.index)
        value: word = objects.run_frames(
            self.arena, self.mine, low(self.arena[place + L.OBJECT_RUNS])
        )
        if value == 0:
            raise self.refuse(L.DAMAGED)
        return low(value), high(value)

    def runs(self, held: Hold) -> list[tuple[int, int]]:
        """Return (first pfn, frames) of each run of a held object, in the object's order.

        Another member may append runs meanwhile. The result was there at one moment, committed: the
        object's count of changes, and the count of takeovers (each rolls back what a dead member
        left half done), are the same before and after the walk.
        """
        if held.index == 0:
            raise self.refuse(L.NOT_HELD)
        takeovers: word
        changes: word
        nr: word = 0
        same: cython.bint = False
        found: list = []
        while not same:
            self.begin()
            takeovers = self.arena[L.LOCK_TAKEOVERS]
            changes = objects.changes(self.arena, self.mine, held.index)
            nr = objects.nr(self.arena, self.mine, held.index)
            self.end()
            found = self.runs_of(held.index)
            if len(found) == 1 and found[0][1] == nr and held.by != L.BY_HAND:
                return found  # it cannot be cut or exchanged while in use; it may still grow
            self.begin()
            same = takeovers == self.arena[L.LOCK_TAKEOVERS]
            same = same and changes == objects.changes(self.arena, self.mine, held.index)
            self.end()
        if sum([frames for _, frames in found]) != nr:
            raise self.refuse(L.DAMAGED)
        return found

    def has_frame(self, held: Hold, pfn: word) -> bool:
        """Return whether a frame belongs to a held object; memdescs may be ahead of a move.

        Needs: a pin or mapping holds the object, so that no frame leaves it meanwhile.
        """
        place: word = objects.at(self.arena, self.mine, held.index)
        run: word = low(self.arena[place + L.OBJECT_RUNS])
        left: word = low(self.arena[place + L.OBJECT_NR])
        value: word
        while tables.valid(self.arena, self.mine, L.TABLE_RUNS, run) and left > 0:
            place = tables.place(self.mine, L.TABLE_RUNS, run)
            value = self.arena[place + L.RUN_FRAMES]
            if pfn >= low(value) and pfn < low(value) + high(value):
                return True
            run = low(self.arena[place + L.RUN_LINK])
            left -= 1
        return False
