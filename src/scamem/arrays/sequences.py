"""An object's sequence word in this process: one reader or writer of it (core/sync/sequence.py)."""

import cython
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, futex_wait, load_acquire, word
from cython.cimports.scamem.core.sync import places as P
from cython.cimports.scamem.core.sync import sequence
from cython.cimports.scamem.membership.member import Hold

from scamem.errors import ClosedError


@cython.cclass
class Claim:
    """A look at, or a claim on, the sequence word of a held object.

    Ownership: it keeps the reference. Threads: one.
    """

    def __init__(self, hold: Hold) -> None:
        self.hold = hold

    def watch(self) -> Words:
        """Return the words of this wait for the core."""
        return cython.cast(Words, cython.address(self.words[0]))

    def at(self) -> word:
        """Return the place of the word; ClosedError if the object is not held any more."""
        self.hold.member.check_active()
        if self.hold.index == 0:
            raise ClosedError("this array's reference was closed")
        return tables.place(self.hold.member.mine, L.TABLE_OBJECTS, self.hold.index) + L.OBJECT_LINK

    def begin(self, reads: bool) -> int:
        """Claim the word once: OK, OWNER_DIED, BROKEN (a reader's, of a torn object), or BUSY."""
        at: word = self.at()
        flags: word = P.SEQUENCE_READS if reads else 0
        if self.hold.member.mine[L.MINE_ARRIVING] != 0:  # a forked child that has no pid yet
            self.hold.member.is_slot_dead(self.hold.member.mine[L.MINE_SLOT])
        status: word = sequence.begin(
            self.hold.member.arena, self.hold.member.mine, at, flags, self.watch()
        )
        fence()
        return status

    def end(self, torn: bool) -> int:
        """Give the claim up: OK, or NOT_OWNER in a forked child. `torn`: the update failed."""
        at: word = self.at()
        value: word = P.SEQUENCE_TORN if torn else self.words[P.WATCH_RESULT]
        fence()
        return sequence.end(self.hold.member.arena, self.hold.member.mine, at, value)

    def look(self) -> int:
        """Look as a reader: OK, BUSY, or BROKEN if the last writer left a part."""
        at: word = self.at()
        status: word = sequence.look(
            self.hold.member.arena, self.hold.member.mine, at, self.watch()
        )
        fence()
        return status

    def is_unchanged(self) -> bool:
        """Return whether nothing was written since `look` returned OK."""
        at: word = self.at()
        fence()
        return sequence.is_unchanged(self.hold.member.arena, at, self.watch())

    def owner(self) -> tuple[int, int]:
        """Return {slot, incarnation} of the claim that is there now."""
        seen: word = load_acquire(self.hold.member.arena, self.at())
        return seen & L.MASK_16, seen >> L.SHIFT_32

    def nap(self, nap_s: float) -> None:
        """Nap until the word changes, at most `nap_s`."""
        nap_ns: word = cython.cast(word, max(0.0, min(1.0, nap_s)) * 1e9)
        arena: Words = self.hold.member.arena
        at: word = self.words[P.WATCH_AT]
        value: word = self.words[P.WATCH_SEEN]
        self.at()
        if at != 0:
            with cython.nogil:
                futex_wait(arena, at, value, nap_ns)
