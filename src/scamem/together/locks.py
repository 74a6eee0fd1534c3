"""Locks that survive their holder: `Lock` and `RLock`, and what all primitives have in common.

A primitive is one small object of the arena. So its name, handles, references and end are those of
any object. The protocols are in core/sync; a wait is here, in naps after each of which signal
handlers run. A nap ends with a wake, and otherwise after at most a quarter of a second, so that a
death is noticed with nobody else left to see to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from scamem.core.store import layout as L
from scamem.core.sync import places as P
from scamem.errors import OwnerDiedError, ScamemError
from scamem.membership.claims import pid_of
from scamem.membership.seat import Seat
from scamem.membership.waiting import Deadline
from scamem.memory.allocation import allocate
from scamem.objects.scamem import Scamem
from scamem.views.making import contiguous

from .primitives import Mutex, Primitive, Watch
from .shared import HEAD_WORDS, SharedObject
from .shared_words import SharedWords

FIRST_NAP_S = 0.001
LONGEST_NAP_S = 0.25
CLEANING_UP_S = 1.0  # how long a wait that ends tries to leave in order
RAISE = "raise"
RECOVER = "recover"


def kind_word(name: str) -> int:
    """Return the first word of a kind of primitive: its name in eight bytes."""
    return int.from_bytes(f"scm-{name:4}".encode(), "little")


class Synchronizer(SharedObject):
    """What all primitives have in common: their frames, waiting, pickling."""

    words_count: ClassVar[int] = P.PRIMITIVE_WORDS
    article: ClassVar[str] = "a"

    def __init__(self, obj: Scamem) -> None:
        super().__init__(obj)
        if obj.nbytes < self.words_count * L.WORD_BYTES:
            raise ScamemError(f"object {obj.index} is not {self.article} {self.what}")
        view = contiguous(obj.seat, obj.hold, L.BY_MAPPING)
        self.words = SharedWords(view, view.address, HEAD_WORDS)
        self._check_head()
        self._core().bind(obj.seat.member, view, view.address)
        self._open = True

    def _core(self) -> Primitive:
        """Return what makes single looks: the object itself, or a part of it."""
        raise NotImplementedError

    @classmethod
    def _allocate(cls, seat: Seat, value: int = 0, limit: int = 0) -> Scamem:
        """Return frames for a new primitive."""
        obj = Scamem(seat, allocate(seat, cls.words_count * L.WORD_BYTES, L.BY_HAND))
        head = memoryview(contiguous(seat, obj.hold, L.BY_MAPPING)).cast("Q")
        for at in range(cls.words_count):
            head[at] = 0  # whatever the frames' last object left there
        head[P.VALUE] = value
        head[P.LIMIT] = limit
        head[P.KIND] = cls.magic
        return obj

    @classmethod
    def _is_kind(cls, obj: Scamem) -> bool:
        """Return whether an object is a primitive of this kind."""
        if obj.nbytes != cls.words_count * L.WORD_BYTES:
            return False
        with memoryview(obj.map()) as bytes_of_it:
            return bytes_of_it[: L.WORD_BYTES].cast("Q")[P.KIND] == cls.magic

    # --- waiting ---------------------------------------------------------------------------------

    def _repeat(self, look: Callable[[Watch], int]) -> int:
        """Look until the guard is free, without an end; return the status."""
        watch = Watch()
        while (status := look(watch)) == L.BUSY:
            self._core().nap(watch, LONGEST_NAP_S)
        return status

    def _leave_in_order(self, look: Callable[[Watch], int], watch: Watch) -> bool:
        """Look until the guard is free, for a while; False if a stopped process keeps it."""
        end_s = time.monotonic() + CLEANING_UP_S
        while look(watch) == L.BUSY:
            self._core().nap(watch, FIRST_NAP_S)
            if time.monotonic() > end_s:
                return False
        return True

    def _owner_died(self, claim: int) -> OwnerDiedError:
        """Return the error for a lock that a dead process had, and that this thread has now."""
        pid = pid_of(self.scamem.seat.member, claim & L.MASK_16, claim >> L.SHIFT_32)
        who = f"process {pid}" if pid else "a process"
        return OwnerDiedError(
            f"{who} died while it held this {self.what}, or dropped it without releasing it. This "
            f"thread holds the {self.what} now: repair what it protects, then release it",
            pid=pid,
        )

    def _drop(self) -> None:
        self._core().unbind()
        del self.words

    def __repr__(self) -> str:
        if not self._open:
            return f"<{type(self).__name__}, closed>"
        return f"<{type(self).__name__} in object {self.scamem.index}>"


def deadline_of(blocking: bool, timeout: float | None) -> Deadline:
    """Return when an acquire ends; ValueError for arguments that threading refuses as well."""
    if not blocking:
        if timeout is not None and timeout != -1:
            raise ValueError("asked for a timeout and not to wait; give one of the two")
        return Deadline(0)
    return Deadline(None if timeout is None or timeout == -1 else timeout)


def slices(deadline: Deadline) -> Any:
    """Return the naps of a wait: short ones first."""
    return deadline.slices(LONGEST_NAP_S, first_s=FIRST_NAP_S)


def checked_choice(on_owner_death: str) -> bool:
    """Return whether an acquire recovers instead of raising OwnerDiedError."""
    if on_owner_death not in (RAISE, RECOVER):
        raise ValueError(
            f"asked for on_owner_death={on_owner_death!r}; it is {RAISE!r} or {RECOVER!r}"
        )
    return on_owner_death == RECOVER


class Lock(Mutex, Synchronizer):  # type: ignore[misc]  # __enter__ is threading's
    """A lock between threads of any processes, as `threading.Lock`; it survives its holder.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> lock = arena.lock()
    >>> with lock:
    ...     lock.locked()
    True

    `arena.lock(name)` makes one, or opens the one that has this name. It goes to another process by
    any pickling (always by handle), by its name, or by fork.

    If the holder dies, or drops its last reference to the lock without releasing it, the next
    acquire **holds the lock** and raises OwnerDiedError: repair what the lock protects, then
    release it. With `on_owner_death="recover"`, acquire returns True and sets `recovered`.

    Parameters
    ----------
    obj : the Scamem of a lock; ScamemError for another object.
    on_owner_death : "raise" or "recover"; each opening has its own choice.

    Attributes
    ----------
    recovered : whether this opening's last acquire took the lock over from a dead process.
    scamem : the object. `close` or deallocation releases it.

    Threads: each is a holder of its own, and must release what it acquired. A process that is
    stopped holds its locks on; `timeout=` is the way out.
    fork: the child holds nothing. A thread that ends with the lock leaves it locked, as in
    threading, until its process ends.
    """

    magic = kind_word("lock")
    what = "lock"
    __reduce__ = SharedObject.__reduce__  # not that of the compiled base class

    def __init__(self, obj: Scamem, on_owner_death: str = RAISE) -> None:
        self._recover = checked_choice(on_owner_death)
        Synchronizer.__init__(self, obj)

    def _core(self) -> Primitive:
        return self

    def acquire_slowly(self, blocking: bool, timeout: float | None) -> bool:
        """Take the lock as `acquire` does, which calls this if it is not free."""
        deadline = deadline_of(blocking, timeout)
        if self.take_again():
            return True
        watch = Watch(int(deadline.is_over()))  # no nap comes: ask at once whether the holder lives
        status: int = L.BUSY
        try:
            for nap_s in slices(deadline):
                status = self.look(watch)
                if status != L.BUSY:
                    break
                self.nap(watch, nap_s)
        except BaseException:
            if self.is_owned():  # a signal handler raised after the last look
                self.release()
            else:
                self.pass_on()
            raise
        if status == L.BUSY:
            self.pass_on()
        if status == P.OWNER_DIED:
            dead = watch.dead
            self._see_to_the_dead()
            if not self._recover:
                raise self._owner_died(dead)
        return status != L.BUSY

    def _see_to_the_dead(self) -> None:
        """Reap: somebody has died, and nobody else may be left to see to what it held."""
        if self.scamem.seat.is_usable():
            self.scamem.seat.reap()

    def not_held(self) -> str:
        """Return the message of a release by a thread that does not hold the lock."""
        return (
            f"asked to release a {self.what} that this thread does not hold. The thread that "
            "acquired it releases it; a forked child holds nothing"
        )

    def _end(self) -> None:
        self.abandon()

    def _further(self) -> tuple[Any, ...]:
        return (RECOVER,) if self._recover else ()


class RLock(Lock):
    """A lock that its thread may acquire again, as `threading.RLock`; it survives its holder.

    See `Lock`. It is free when it was released as often as it was acquired. A thread that gets it
    from a dead holder has acquired it once.
    """

    magic = kind_word("rlck")
    what = "reentrant lock"

    def __init__(self, obj: Scamem, on_owner_death: str = RAISE) -> None:
        super().__init__(obj, on_owner_death)
        self.become_recursive()
