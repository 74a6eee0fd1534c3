"""Objects that processes use together: a first frame of words, and data behind it.

State. The head's words that this module knows: what the object is, and for each role (the writer,
the reader) which process has it: {slot 16, incarnation 32, number of the opening 16}, or 0. A role
is taken by compare-exchange, from 0 or from a dead process's claim, and given up by
compare-exchange from one's own.

Why safe: incarnations do not repeat in 32 bits of joins, so a dead member's claim is never taken
for that of its slot's next owner. A claim is not a lock: its owner is alive, and others get an
error at once. A member that dies between the data and the word that publishes it has published
nothing.

Who finishes: nothing needs finishing. Each look at a claim asks the kernel whether its slot is
locked, and the slot for its incarnation. The next process that wants the role replaces a dead
member's claim.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Self

from scamem import log
from scamem.core.store import layout as L
from scamem.errors import BusyError, ClosedError, PeerDiedError, ScamemError
from scamem.handles.convert import handle
from scamem.handles.pickling import load_scamem
from scamem.handles.runs import sent_by
from scamem.looks.objects import holders
from scamem.membership.claims import pid_of
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .shared_words import SharedWords

HEAD_WORDS = 512  # one frame; words 32 to 35 stay 0: test builds stop a process with them
SILENT_S = 5  # a longer wait for an end that no process has is reported
OPENING_SHIFT = 48
OPENINGS = 1 << 16

_openings = itertools.count(1)


class SharedObject:
    """An opening of an object that several processes use; see RingBuffer, GrowableArray.

    Attributes
    ----------
    scamem : the object itself, a reference; publish it, or send it.

    Ownership: it holds the object until `close` or deallocation.
    """

    magic: int  # of the first word: which kind of object it is
    what: str  # what messages call it
    kinds: ClassVar[dict[int, str]] = {}  # what each magic stands for
    _open = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "magic" in vars(cls):
            SharedObject.kinds[cls.magic] = cls.what

    def __init__(self, obj: Scamem) -> None:
        self.scamem: Scamem = obj
        self.words: SharedWords
        self._opening = next(_openings) % OPENINGS
        self._slot = -1
        self._claim = 0
        self._lock = threading.Lock()
        self._had_company = False

    # --- roles ---------------------------------------------------------------------------------

    def _identity(self) -> int:
        """Return this opening's claim; a forked child has another."""
        member = self.scamem.seat.member
        slot = member.my_word(L.MINE_SLOT)
        if slot != self._slot:  # first call, or a forked child: the parent's threads are not here
            incarnation = member.my_word(L.MINE_INCARNATION) & L.MASK_32
            member.is_slot_dead(slot)  # a forked child stores its pid when it first enters
            self._lock = threading.Lock()
            self._claim = slot | incarnation << 16 | self._opening << OPENING_SHIFT
            self._slot = slot
        return self._claim

    def _take_role(self, at: int, doing: str) -> bool:
        """Take a role; return True if this opening did not have it before.

        Raises
        ------
        BusyError : a living process has it.
        """
        mine = self._identity()
        while True:
            found = self.words.load(at)
            if found == mine:
                return False
            if found and self._lives(found):
                pid = self._pid(found)
                raise BusyError(
                    f"asked to be the process that {doing} this {self.what}; process {pid} already "
                    "does, and is alive. Let it close its own, or end it",
                    pid=pid,
                )
            if self.words.compare_exchange(at, found, mine):
                return True

    def _give_role(self, at: int) -> bool:
        """Give a role up; return False if this opening does not have it."""
        return self.words.compare_exchange(at, self._identity(), 0)

    def _lives(self, claim: int) -> bool:
        """Return whether the member that made a claim is still a member."""
        member = self.scamem.seat.member
        slot = claim & L.MASK_16
        if slot == member.my_word(L.MINE_SLOT):
            return claim >> 16 & L.MASK_32 == member.my_word(L.MINE_INCARNATION) & L.MASK_32
        if not L.SLOT_FIRST <= slot < self.scamem.seat.geometry.slots_max:
            return False
        about = L.SLOTS + L.SLOT_WORDS * slot
        incarnation = member.read_word(about + L.SLOT_INCARNATION) & L.MASK_32
        state = member.read_word(about + L.SLOT_STATE) & L.MASK_8
        if incarnation != claim >> 16 & L.MASK_32:
            return False
        if state not in (L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FORKING):
            return False
        return not member.is_slot_dead(slot)

    def _pid(self, claim: int) -> int:
        """Return the pid that made a claim; 0 if its slot belongs to another member by now."""
        return pid_of(self.scamem.seat.member, claim & L.MASK_16, claim >> 16 & L.MASK_32)

    # --- one thread at a time ------------------------------------------------------------------

    def _begin(self) -> None:
        """Keep other threads out, until `self._lock.release()`. Does not wait: BusyError."""
        self._identity()
        if not self._lock.acquire(blocking=False):
            raise BusyError(
                f"another thread of this process is using this {self.what}: protect it with a lock "
                "of your own, or open it once in each thread"
            )

    # --- waiting -------------------------------------------------------------------------------

    def _wait(
        self,
        is_there: Callable[[], bool],
        event: int,
        peer: int,
        deadline: Deadline,
        waiting: int = 0,
    ) -> None:
        """Wait until `is_there()`; look again at least once a second.

        Parameters
        ----------
        event : the word whose change wakes the wait. `waiting` : the word that says that there is a
            waiter.
        peer : the word of the role that can bring what is awaited.

        Raises
        ------
        PeerDiedError : the process in this role is dead, or no process is left that could take it.
        WaitTimeoutError : the deadline has passed.
        """
        silent_until = time.monotonic() + SILENT_S
        for nap_s in deadline.slices():
            if time.monotonic() > silent_until and not self.words.load(peer):
                silent_until = float("inf")
                log.warning(
                    "process %d has waited %d s for the other end of a %s (object %d): no process "
                    "has opened it. Start one, or give a timeout",
                    os.getpid(),
                    SILENT_S,
                    self.what,
                    self.scamem.index,
                )
            seen = self.words.load(event)
            if waiting:  # a full barrier: a later change of the event sees it
                self.words.compare_exchange(waiting, 0, 1)
            if is_there():
                return
            if self.words.load(event) == seen:
                self.words.wait(event, seen, nap_s)
            if self.words.load(event) == seen:
                self._see_who_is_left(peer, is_there)
        pid = self._pid(self.words.load(peer))
        raise deadline.error(
            f"the other end of this {self.what}",
            f"process {pid} has it" if pid else "no process has it",
            "Wait longer, or check what it does" if pid else "Wait longer, or start one",
        )

    def _see_who_is_left(self, peer: int, is_there: Callable[[], bool]) -> None:
        """Raise PeerDiedError if no process is left that could bring what is awaited."""
        claim = self.words.load(peer)
        if claim:
            if self._lives(claim) or is_there():  # it may have delivered, and died since
                return
            pid = self._pid(claim)
        else:
            company = self._has_company()
            if company or not self._had_company:
                self._had_company = company
                return
            if is_there() or self.words.load(peer):
                return
            pid = 0
        raise PeerDiedError(
            f"process {pid or 'that'} at the other end of this {self.what} exited without closing "
            "it, so nothing more will come. Start another process to continue, or close it here",
            pid=pid,
        )

    def _has_company(self) -> bool:
        """Return whether another member, a name or a loan holds the object."""
        self.scamem.seat.reap()  # dead members hold it until they are reaped
        own = self.scamem.seat.member.my_word(L.MINE_SLOT)
        return any(
            holder.loans or holder.kind != "member" or holder.slot != own
            for holder in holders(self.scamem.seat, self.scamem.index)
        )

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Give up this opening's roles, and release the object. A second call does nothing.

        Readers still get what was written before the writer closed, and learn that nothing will
        follow. Another process may continue. Arrays and buffers of the object stay readable.
        """
        if not self._open:
            return
        self._open = False
        if self.scamem.seat.member.is_active():
            self._end()
        self._drop()
        self.scamem.close()

    def _end(self) -> None:
        """Give up this opening's roles, and wake waiters. The arena is open."""

    def _drop(self) -> None:
        """Release words and views."""

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError(f"this {self.what} was closed here; open it again")

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by handle, in every pickler: both ends share the object."""
        sent = sent_by(handle(self.scamem), sys._getframe(1))
        return type(self)._load, (sent, *self._further())

    def _further(self) -> tuple[Any, ...]:
        """Return what is pickled beside the object."""
        return ()

    @classmethod
    def _load(cls, data: bytes, *further: Any) -> Self:
        return cls(load_scamem(data), *further)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- heads ---------------------------------------------------------------------------------

    def _check_head(self) -> None:
        """Check that the object is of this kind; ScamemError if not."""
        if self.words.load(0) != self.magic:
            raise ScamemError(
                f"object {self.scamem.index} is not a {self.what}, or its header was overwritten"
            )
