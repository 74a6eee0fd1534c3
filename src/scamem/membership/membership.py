"""A process's membership of one arena: entering, waiting, joining, leaving.

Between `begin` and `end` both locks are held, and no Python object is touched, so no signal
handler, garbage collection or exception runs inside. Waiting for the arena's lock happens outside,
without the GIL and without the local lock, in naps with a signal check after each. A dead holder's
lock is taken over; a stopped holder's lock ends in a LockTimeoutError.
"""

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.scamem.backing.descriptor import Descriptor
from cython.cimports.scamem.core import holders
from cython.cimports.scamem.core.procedures import (
    cleaning,
    entering,
    leaving,
    reaping,
    waiting,
)
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import lock, tables
from cython.cimports.scamem.core.store.words import Words, word
from cython.cimports.scamem.core.transactions import end, join, reap
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
    lock_timeout_s : seconds to wait for an arena's lock that a living process holds.
    seat : the Seat that it belongs to, until the arena is left.
    descriptors : closed when the arena is left.
    private_bytes : length of the private words' mapping, which is unmapped then.
    closing : whether to leave the arena with the last reference.
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
        """Take both locks, waiting for the arena's lock if necessary."""
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
            if status == L.BUSY:  # a signal handler raised: pass on a wake that came for this
                waiting.give_up(self.arena, self.mine)
        if status == L.OK:
            return 0
        if status == L.STUCK or status == L.STARVED:
            raise self.waited_too_long(status, watch[L.WATCH_SEEN])
        raise self.refuse(status)

    def waited_too_long(self, status: word, seen: word) -> object:
        """Return the error of a wait that ended without the lock; `seen` says who had it last."""
        slot: word = lock.held_by(seen)
        pid: word = 0
        if status == L.STARVED:
            return LockTimeoutError(
                f"waited {L.STARVED_TIMES * self.lock_timeout_s:g} s for the arena's lock; other "
                "processes took it in turn all the time. Try again, let fewer processes use the "
                "arena at once, or raise lock_timeout_s",
                slot=0,
                pid=0,
            )
        if self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            pid = self.arena[tables.slot_at(self.mine, slot) + L.SLOT_PID]
        return LockTimeoutError(
            f"waited {self.lock_timeout_s:g} s for the arena's lock; the process {pid} (slot "
            f"{slot}) has had it all that time and is alive, perhaps stopped. Let it continue "
            f"(kill -CONT {pid}), or end it",
            slot=slot,
            pid=pid,
        )

    def end(self) -> cython.int:
        """Release both locks.

        A closed arena may be waiting for this: as long as a thread works here, dropping the last
        reference does not leave the arena. Looks at words afterwards find closed ones.
        """
        entering.leave(self.arena, self.mine)
        if self.closing:
            self.leave_now()
        return 0

    def refuse(self, status: word) -> object:
        """Return the exception for a status of the core."""
        if status == L.DAMAGED:
            return ArenaDamagedError(
                "the arena is damaged: a word has a value that scamem never stores. Nothing was "
                "changed; `scamem check` says where. Drop this arena and make a new one"
            )
        if status == L.NOT_HELD and self.mine[L.MINE_STATUS] == L.MEMBER_LOST:
            return NotAMemberError(
                "this process was forked while no member slot or record was free, so it is not a "
                "member of the arena of its parent and cannot read what it inherited. "
                "Join the arena again, or use the spawn start method"
            )
        if status == L.NOT_HELD or status == L.NOT_OWNER:
            return ClosedError("the arena was closed in this process; join it again")
        if status == L.FULL:
            return ScamemError(
                "this process holds the object 16,777,215 times (I/O pins: 65,535), which is the "
                "limit; close some"
            )
        return ScamemError(f"the core refused with status {status:#x}")

    def error_of(self, status: word) -> object:
        """Return the exception for a status of the core."""
        return self.refuse(status)

    def is_active(self) -> bool:
        """Return whether this process may still use the arena."""
        return self.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE

    # --- reaping and freeing -------------------------------------------------------------------

    def free_dying(self) -> None:
        """Free the runs of DYING objects, whichever member left them, and clean what needs it."""
        if end.has_work(self.arena) or self.arena[L.CLEANING_HEAD] != 0:
            self.begin()
            self.finish_dying()

    def finish_dying(self) -> cython.void:
        """As free_dying. Needs: both locks; releases them. Cleaning releases the GIL."""
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        if self.arena[L.CLEANING_HEAD] == 0 and self.arena[L.CLEANING] == 0:
            cleaning.free_dying(self.arena, self.mine, seen)
            return
        with cython.nogil:
            cleaning.free_dying(self.arena, self.mine, seen)
        if self.closing:
            self.leave_now()  # it could not be left while this thread cleaned

    def reap(self) -> int:
        """Reap every dead member and free what is DYING; return how many were reaped."""
        watch: word[8]  # layout.WATCH_WORDS
        seen: Words = cython.cast(Words, cython.address(watch[0]))
        status: word = L.BUSY
        before: word = self.mine[L.MINE_REAPED]
        while status != L.OK:
            self.begin()  # waits with signal checks and a timeout; inside there are only naps
            waiting.begin(seen, SLICE_NS)
            status = reaping.reap_all(self.arena, self.mine, seen)
            if status == L.OK and self.mine[L.MINE_SLOT] >= L.SLOT_FIRST:
                self.finish_dying()
            elif status == L.OK:
                self.end()  # a guest must own nothing: it would never be reaped
        return self.mine[L.MINE_REAPED] - before

    def is_slot_dead(self, slot: word) -> bool:
        """Return whether a slot in use is unlocked, without reaping it."""
        self.begin()
        dead: cython.bint = reap.is_reapable(self.arena, self.mine, slot)
        dead = dead and slot != self.mine[L.MINE_SLOT] and process.probe(self.mine, slot) == 0
        self.end()
        return dead

    # --- joining -------------------------------------------------------------------------------

    def find_free_slot(self, after: int) -> int:
        """Return a FREE slot to try, 0 if there is none. No lock is taken."""
        return join.find_free(self.arena, self.mine, after)

    def join(self, slot: word, pid: word, descriptors: word) -> bool:
        """Become the member of a slot whose byte this process has locked; False if it is not FREE.

        From now on the private words say that this process has the slot. Fork's handlers do not
        know of it before `enter_table`, the last step of joining. If a step before that fails, the
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
        """Tell fork's handlers about this arena; everything else of joining is done.

        Raises
        ------
        MemoryError : the table could not grow.
        """
        if process.add_member(self.arena, self.mine) != L.OK:
            raise MemoryError("no memory for the table of joined arenas")

    def abandon(self) -> None:
        """Stop being a member after a failed join; the slot is reaped once its byte is unlocked."""
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

    def close(self) -> cython.bint:
        """Deactivate this membership if nothing is held; else return False and change nothing.

        The slot is then free, or left to be reaped (core/procedures/leaving.py). The caller unlocks
        its byte, and only then unmaps.
        """
        return leaving.close(self.arena, self.mine)

    def leave(self) -> bool:
        """Leave the arena if nothing is held and no thread of this process works in it.

        Returns whether it was left: the slot was given up, and everything unmapped and closed.
        """
        return self.leave_now()

    def leave_now(self) -> cython.bint:
        """As `leave`, also from a deallocation: never waits, runs no Python, cannot fail.

        Why safe: the private words are unmapped only after the member was closed under the local
        lock and, also under the local lock, the pointers to them were set to `closed_words`. So a
        thread that reads them, with that lock or with the GIL, sees the old ones mapped, or the new
        ones.
        """
        mine: Words = self.mine
        if not self.close():
            return False
        process.lock_local()
        self.mine = cython.cast(Words, cython.address(process.closed_words[0]))
        self.arena = self.mine  # for late readers: all zeros
        process.unlock_local()
        process.vacate(mine, self.private_bytes)
        for kept in self.descriptors:
            cython.cast(Descriptor, kept).close_now()
        self.seat = None  # what is left of it is plain Python objects
        self.find_descriptor = None
        return True

    def holds_anything(self) -> bool:
        """Return whether this member has a reference to any object, at about this moment."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            return False
        return holders.count_of(self.arena, self.mine, self.mine[L.MINE_SLOT]) != 0

    def reopen(self) -> bool:
        """Stay in a closed arena in which something is held; False if it was left already."""
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            return False
        self.closing = False
        return True

    def add_range(self, address: int, length: int) -> None:
        """Record a mapping of frames or of the control file, which fork opens and closes."""
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
        """Check that the mappings are there, before reading them without the lock.

        They stay until the GIL is released: another thread may close an arena that is idle.
        """
        if self.mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
            raise self.refuse(L.NOT_HELD)
        return 0


def install_fork_handlers() -> None:
    """Register the fork handlers of this process; once, when the package is imported."""
    number: cython.int = process.install()
    if number != 0:
        raise OSError(number, "pthread_atfork failed: no memory for three handlers")
