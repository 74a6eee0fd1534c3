"""Objects that processes work on together: a first frame of words, and data behind it.

State. Words of the head that this module knows: what the object is, and for each role (the one who
writes, the one who reads) who has it: {slot 16, incarnation 32, which opening of the object 16}, 0
if nobody. A role is taken by compare-exchange, from nobody or from somebody dead, and given up by
compare-exchange from oneself.

Why safe: incarnations never repeat in 32 bits of joins, so a claim of a dead member never passes
for its slot's next owner. A claim is no lock: whoever has it lives, and others are told so at once.
A member that dies between data and the word that publishes them has published nothing.

Who finishes: nobody has to. What a dead member's claim means is asked at each look, of the kernel
(is its slot locked) and of the slot's incarnation; the next one to want the role replaces it.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

from scamem.core.store import layout as L
from scamem.errors import BusyError, ClosedError, PeerDiedError, ScamemError
from scamem.handles.convert import handle
from scamem.handles.pickling import load_scamem
from scamem.handles.runs import sent_by
from scamem.looks.objects import holders
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .shared_words import SharedWords

HEAD_WORDS = 512  # a frame of them; the 32nd to 35th stay 0: test builds stop a process by them
OPENING_SHIFT = 48
OPENINGS = 1 << 16

_openings = itertools.count(1)


class SharedObject:
    """An opening of an object that several processes work on; see RingBuffer, GrowableArray.

    Attributes
    ----------
    scamem : the object itself, a reference; publish it, or send it.

    Ownership: it holds the object until `close` or deallocation.
    """

    magic: int  # of the first word: which kind of object it is
    what: str  # it is called so in messages
    _open = False

    def __init__(self, obj: Scamem) -> None:
        self.scamem = obj
        self.words: SharedWords
        self._opening = next(_openings) % OPENINGS
        self._slot = -1
        self._claim = 0
        self._lock = threading.Lock()
        self._had_company = False

    # --- roles ---------------------------------------------------------------------------------

    def _identity(self) -> int:
        """Return the claim that this opening makes; a forked child has another."""
        member = self.scamem.seat.member
        slot = member.my_word(L.MINE_SLOT)
        if slot != self._slot:  # the first time, or forked: the parent's threads are not here
            incarnation = member.my_word(L.MINE_INCARNATION) & L.MASK_32
            member.is_slot_dead(slot)  # a forked child says what its pid is when it first enters
            self._lock = threading.Lock()
            self._claim = slot | incarnation << 16 | self._opening << OPENING_SHIFT
            self._slot = slot
        return self._claim

    def _take_role(self, at: int, doing: str) -> bool:
        """Have a role; tell whether it was taken just now.

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
        """Give a role up; False if this opening does not have it."""
        return self.words.compare_exchange(at, self._identity(), 0)

    def _lives(self, claim: int) -> bool:
        """Tell whether the member that made a claim is one still."""
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
        """Return the process that made a claim, 0 if its slot is another's by now."""
        about = L.SLOTS + L.SLOT_WORDS * (claim & L.MASK_16)
        member = self.scamem.seat.member
        if member.read_word(about + L.SLOT_INCARNATION) & L.MASK_32 != claim >> 16 & L.MASK_32:
            return 0
        return int(member.read_word(about + L.SLOT_PID))

    # --- one thread at a time ------------------------------------------------------------------

    def _begin(self) -> None:
        """Keep other threads off; `self._lock.release()` lets them on again. Waits for nobody."""
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
        """Wait until something is there, looking again at least once a second.

        Parameters
        ----------
        event : word whose change wakes; `waiting` is the word that says that somebody waits on it.
        peer : word of the role that would bring it.

        Raises
        ------
        PeerDiedError : the process that had this role is dead, or none is left that could take it.
        WaitTimeoutError : the deadline has passed.
        """
        for nap_s in deadline.slices():
            seen = self.words.load(event)
            if waiting:  # a full barrier: whoever changes the event afterwards sees it
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
        """Raise PeerDiedError if nobody can bring what is waited for."""
        claim = self.words.load(peer)
        if claim:
            if self._lives(claim) or is_there():  # it may have brought it, and died since
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
        """Tell whether anybody but this process holds the object: a member, a name, a loan."""
        self.scamem.seat.reap()  # the dead hold it until somebody does
        own = self.scamem.seat.member.my_word(L.MINE_SLOT)
        return any(
            holder.loans or holder.kind != "member" or holder.slot != own
            for holder in holders(self.scamem.seat, self.scamem.index)
        )

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Give up what roles this opening has, and let go of the object. Again: nothing.

        Readers get what a writer that closes has written, and are told that nothing will follow;
        another process may go on with it. Arrays and buffers of it stay readable.
        """
        if not self._open:
            return
        self._open = False
        if self.scamem.seat.member.is_active():
            self._end()
        self._drop()
        self.scamem.close()

    def _end(self) -> None:
        """Give up what roles this opening has, and tell whoever waits. The arena is open."""

    def _drop(self) -> None:
        """Let go of words and views."""

    def _check_open(self) -> None:
        if not self._open:
            raise ClosedError(f"this {self.what} was closed here; open it again")

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """By handle, in every pickler: both ends share it."""
        return type(self)._load, (sent_by(handle(self.scamem), sys._getframe(1)),)

    @classmethod
    def _load(cls, data: bytes) -> Self:
        return cls(load_scamem(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- heads ---------------------------------------------------------------------------------

    def _check_head(self) -> None:
        """See that the object is one of this kind; ScamemError if not."""
        if self.words.load(0) != self.magic:
            raise ScamemError(
                f"object {self.scamem.index} is not a {self.what}, or its header was overwritten"
            )
