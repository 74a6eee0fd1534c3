"""What locks and the like do in one look: the core's protocols (core/sync), on mapped frames.

A look never waits. It returns a status, and the caller naps as its watch says and looks again; the
loops are in Python, where signal handlers run (locks.py and its neighbours). Only the uncontended
paths of a mutex are complete here, as they are what costs.

Threads: the GIL is held in each look, so two threads of a process are never inside one at once.
"""

import cython
from cython.cimports.cpython.pythread import PyThread_get_thread_ident
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store.words import Words, futex_wait, load_acquire, store, word
from cython.cimports.scamem.core.sync import (
    alive,
    flag,
    mutex,
    parties,
    permits,
    sleepers,
    turns,
)
from cython.cimports.scamem.core.sync import places as P
from cython.cimports.scamem.membership.member import Member

from scamem.errors import ClosedError


@cython.cclass
class Watch:
    """The words of one wait (places.WATCH_*)."""

    def __init__(self, looks: int = 0) -> None:
        self.words[P.WATCH_LOOKS] = looks

    @property
    def result(self) -> int:
        """What the last look found."""
        return self.words[P.WATCH_RESULT]

    @property
    def dead(self) -> int:
        """The claim of the holder that died."""
        return self.words[P.WATCH_SEEN]

    @property
    def has_entry(self) -> bool:
        """Whether this wait has an entry in the table."""
        return self.words[P.WATCH_ENTRY] != 0


def seen(watch: Watch) -> Words:
    """Return the words of a watch for the core."""
    return cython.cast(Words, cython.address(watch.words[0]))


def this_thread() -> word:
    """Return this thread's number, which no other living thread of this process has."""
    return cython.cast(word, PyThread_get_thread_ident())


@cython.cclass
class Primitive:
    """One opening of a primitive: its words, and the member that uses them."""

    def bind(self, member: Member, view: object, address: int) -> None:
        """Use the words at an address, which `view` keeps mapped."""
        self.member = member
        self.view = view
        self.w = cython.cast(Words, cython.cast(word, address))

    def unbind(self) -> None:
        """Use no words from now on."""
        self.w = cython.cast(Words, cython.NULL)
        self.view = None

    def me(self) -> word:
        """Return this member's claim; ClosedError if there is none."""
        if self.w == cython.NULL:
            raise ClosedError("this was closed here; open it again")
        self.member.check_active()
        if self.member.mine[L.MINE_ARRIVING] != 0:  # a forked child stores its pid as it enters
            self.member.is_slot_dead(self.member.mine[L.MINE_SLOT])
        return alive.claim(self.member.mine)

    def nap(self, watch: Watch, nap_s: float) -> None:
        """Nap as the watch says, at most `nap_s`; not at all if the word has changed."""
        at: word = watch.words[P.WATCH_AT]
        value: word = watch.words[P.WATCH_SEEN]
        nap_ns: word = cython.cast(word, max(0.0, min(1.0, nap_s)) * 1e9)
        self.me()
        if at != 0:
            with cython.nogil:
                futex_wait(self.w, at, value, nap_ns)

    def read_word(self, at: word) -> int:
        """Return one word of the first frame."""
        self.me()
        if at >= P.PRIMITIVE_WORDS:
            raise IndexError(f"word {at} of {P.PRIMITIVE_WORDS}")
        return load_acquire(self.w, at)


@cython.cclass
class Mutex(Primitive):
    """A lock: what `Lock`, `RLock` and `Condition` have in common.

    Attributes
    ----------
    recovered : whether the last acquire took the lock over from a dead process.
    """

    def become_recursive(self) -> None:
        """Let the thread that holds the lock take it again."""
        self.recursive = True

    def own(self, thread: word) -> cython.void:
        """Note which thread has the lock, which was just taken."""
        store(self.w, P.THREAD, thread)
        store(self.w, P.DEPTH, 1)
        self.taken = True

    def acquire(self, blocking: bool = True, timeout: object = None) -> bool:
        """Take the lock; return whether it was taken.

        Parameters
        ----------
        blocking : False: do not wait.
        timeout : seconds to wait; None or -1: without an end.

        Raises
        ------
        OwnerDiedError : the last holder died with the lock. **This thread holds it now**: repair
            what the lock protects, then release it. With `on_owner_death="recover"` True is
            returned instead, and `recovered` is set.
        ValueError : a timeout with blocking=False, or a negative one.
        ClosedError : the lock or its arena was closed in this process.
        """
        me: word = self.me()
        thread: word = this_thread()
        if timeout is None:
            if mutex.try_take(self.w, P.MUTEX, me):
                self.own(thread)
                self.recovered = False
                return True
            if self.recursive and self.is_mine(me, thread):
                store(self.w, P.DEPTH, self.w[P.DEPTH] + 1)
                return True
        return self.acquire_slowly(blocking, timeout)

    def __enter__(self) -> bool:
        me: word = self.me()
        if mutex.try_take(self.w, P.MUTEX, me):
            self.own(this_thread())
            self.recovered = False
            return True
        return self.acquire()

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        self.give_up()

    def release(self) -> None:
        """Give the lock up.

        Raises
        ------
        RuntimeError : this thread of this process does not hold it.
        """
        self.give_up()

    def give_up(self) -> cython.int:
        """Release the lock once."""
        me: word = self.me()
        if not self.is_mine(me, this_thread()):
            raise RuntimeError(self.not_held())
        if self.recursive and self.w[P.DEPTH] > 1:
            store(self.w, P.DEPTH, self.w[P.DEPTH] - 1)
            return 0
        self.taken = False
        mutex.unlock(self.w, P.MUTEX, me)
        return 0

    def locked(self) -> bool:
        """Return whether some thread of some process holds the lock, alive or dead."""
        self.me()
        return mutex.holder_of(load_acquire(self.w, P.MUTEX)) != 0

    def is_mine(self, me: word, thread: word) -> cython.bint:
        """Return whether this thread of this process has the lock."""
        return mutex.holder_of(load_acquire(self.w, P.MUTEX)) == me and self.w[P.THREAD] == thread

    def is_owned(self) -> bool:
        """Return whether this thread of this process holds the lock."""
        return self.is_mine(self.me(), this_thread())

    def take_again(self) -> bool:
        """Take a recursive lock once more, if this thread has it."""
        if self.recursive and self.is_mine(self.me(), this_thread()):
            store(self.w, P.DEPTH, self.w[P.DEPTH] + 1)
            return True
        return False

    def look(self, watch: Watch) -> int:
        """Try once: OK or OWNER_DIED (it is held), or BUSY."""
        me: word = self.me()
        status: word = mutex.look(
            self.w, P.MUTEX, self.member.arena, self.member.mine, me, seen(watch)
        )
        if status != L.BUSY:
            self.own(this_thread())
            self.recovered = status == P.OWNER_DIED
        return status

    def pass_on(self) -> None:
        """Stop waiting: another waiter gets the wake that may have come for this one."""
        if self.w != cython.NULL and self.member.mine[L.MINE_STATUS] == L.MEMBER_ACTIVE:
            mutex.pass_on(self.w, P.MUTEX)

    def let_go(self) -> int:
        """Release a lock completely, to take it again later; return how often it was taken."""
        me: word = self.me()
        depth: word = self.w[P.DEPTH] if self.recursive else 1
        self.taken = False
        mutex.unlock(self.w, P.MUTEX, me)
        return depth

    def set_depth(self, depth: word) -> None:
        """Note how often this thread has the lock, which it holds."""
        store(self.w, P.DEPTH, depth)

    def abandon(self) -> None:
        """Leave the lock as a dead process does, if it was taken through this opening."""
        if self.taken and self.w != cython.NULL:
            self.taken = False
            mutex.abandon(self.w, P.MUTEX, self.me())


@cython.cclass
class Turns(Primitive):
    """A primitive with a table of entries: one look at a time."""

    def acquire_permits(self, watch: Watch, by_thread: bool, writes: bool) -> int:
        """Look once for a permit, or for all of them; watch.result is 1 once they are taken."""
        me: word = self.me()
        status: word = permits.acquire(
            self.w,
            self.member.arena,
            self.member.mine,
            me,
            this_thread() if by_thread else 0,
            P.UNITS_ALL if writes else 1,
            seen(watch),
        )
        watch.words[P.WATCH_RESULT] = status == L.OK or status == P.OWNER_DIED
        return status

    def withdraw(self, watch: Watch, forced: bool) -> int:
        """Stop waiting for permits. `forced`: without the guard, which another process keeps."""
        me: word = self.me()
        if forced:
            if watch.words[P.WATCH_ENTRY] != 0:
                turns.remove(self.w, watch.words[P.WATCH_ENTRY] - 1)
            return L.OK
        return permits.withdraw(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def release_permit(self, watch: Watch) -> int:
        """Release one permit of a semaphore."""
        me: word = self.me()
        return permits.release(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def release_turn(self, watch: Watch, writes: bool) -> int:
        """Release a read-write lock once."""
        me: word = self.me()
        return permits.release_turn(
            self.w, self.member.arena, self.member.mine, me, this_thread(), writes, seen(watch)
        )

    def drop_permits(self, watch: Watch) -> int:
        """Remove this process's entries, as if it had died; OK or BUSY."""
        me: word = self.me()
        return permits.drop(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def count_free(self, watch: Watch) -> int:
        """Find out how many permits are free: watch.result."""
        me: word = self.me()
        return permits.free_permits(self.w, self.member.arena, self.member.mine, me, seen(watch))

    # --- conditions ------------------------------------------------------------------------------

    def sleep(self, watch: Watch) -> int:
        """Make an entry that sleeps."""
        me: word = self.me()
        return sleepers.sleep(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def is_notified(self, watch: Watch) -> bool:
        """Return whether a wait's entry was notified."""
        self.me()
        return sleepers.is_notified(self.w, seen(watch))

    def notify_some(self, watch: Watch, count: word) -> int:
        """Notify sleepers, the oldest first."""
        me: word = self.me()
        return sleepers.notify(self.w, self.member.arena, self.member.mine, me, count, seen(watch))

    def tend(self, watch: Watch) -> int:
        """Take care of sleepers that died."""
        me: word = self.me()
        return sleepers.tend(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def finish(self, watch: Watch, handing: bool) -> int:
        """Stop sleeping: OK if it was notified, else NOT_FOUND; BUSY."""
        me: word = self.me()
        return sleepers.finish(
            self.w, self.member.arena, self.member.mine, me, handing, seen(watch)
        )

    # --- barriers --------------------------------------------------------------------------------

    def arrive_at(self, watch: Watch) -> int:
        """Arrive at a barrier."""
        me: word = self.me()
        return parties.arrive(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def trip(self, watch: Watch) -> int:
        """Release all parties, as the last one."""
        me: word = self.me()
        return parties.trip(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def look_at(self, watch: Watch) -> int:
        """Look whether the generation in which this party arrived has ended."""
        me: word = self.me()
        return parties.look(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def spoil(self, watch: Watch) -> int:
        """Break the barrier."""
        me: word = self.me()
        return parties.spoil(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def renew(self, watch: Watch) -> int:
        """Begin a new generation."""
        me: word = self.me()
        return parties.renew(self.w, self.member.arena, self.member.mine, me, seen(watch))

    def count_parties(self, watch: Watch) -> int:
        """Find out how many parties wait: watch.result; BROKEN if it is broken."""
        me: word = self.me()
        return parties.number(self.w, self.member.arena, self.member.mine, me, seen(watch))

    # --- events ----------------------------------------------------------------------------------

    def raise_flag(self) -> None:
        """Set an event."""
        self.me()
        flag.raise_it(self.w)

    def lower_flag(self) -> None:
        """Clear an event."""
        self.me()
        flag.lower(self.w)

    def look_at_flag(self, watch: Watch) -> int:
        """Look whether an event is or was set."""
        self.me()
        return flag.look(self.w, seen(watch))
