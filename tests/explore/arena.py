"""An arena in private memory: every store is seen and judged, and may be the last one.

`ArenaWords` is the control file in the interpreted core. At each store it checks two
things. Does the storing member hold the arena's lock? Is the word's old value in the journal, or is
it a word that may be stored without a log? It keeps digests of its words up to date, so that a
state is recognised when it occurs again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import cache
from typing import Any

from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry

LOGGED, ANY, UNDER_LOCK, OWN, JOURNAL = range(5)  # who may store a word, and how

# Words that never repeat or only count: states that differ only in them are the same.
EVENT_BITS = range(L.EVENTS_AWAITED, L.EVENTS_AWAITED + (L.EVENTS_MAX >> L.EVENTS_SHIFT))
IGNORED = frozenset(
    {L.LOCK, L.LOCK_TAKEOVERS, L.LOCK_ROLLBACKS, L.REAPED_MEMBERS, L.REAPED_HOLDERS}
) | {*range(L.EVENTS, L.EVENTS + L.EVENTS_MAX), *EVENT_BITS}


class Crash(Exception):
    """The storing process died: nothing after this store happened."""


class Violation(AssertionError):
    """A rule was broken; the first word of the message names the rule."""


@cache
def kinds_of(geometry: Geometry) -> bytes:
    """Return how each word may be stored: LOGGED in the journal first, or one of the others."""
    kinds = bytearray(geometry.control_words)
    kinds[L.LOCK] = ANY
    for at in (
        L.LOCK_TAKEOVERS, L.LOCK_ROLLBACKS, L.DRAINING,
        L.JOURNAL_LENGTH, L.JOURNAL_FAILED, L.JOURNAL_DAMAGED, L.QUEUE_WAKING,
        *range(L.EVENTS, L.EVENTS + L.EVENTS_MAX),
    ):  # fmt: skip
        kinds[at] = UNDER_LOCK
    for at in EVENT_BITS:
        kinds[at] = ANY
    for k in range(L.JOURNAL_ENTRIES_MAX * L.JOURNAL_ENTRY_WORDS):
        kinds[L.JOURNAL_ENTRIES + k] = JOURNAL
    for slot in range(geometry.slots_max):
        kinds[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_DROPS] = ANY
        kinds[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_DESCRIPTORS] = UNDER_LOCK
    regions = geometry.regions()
    for record in range(geometry.holders_max):
        at = regions["holders_max"].start + L.HOLDER_WORDS * record
        for word in (L.HOLDER_COUNTS, L.HOLDER_PINS, L.HOLDER_DROPS):
            kinds[at + word] = OWN
    for record in range(geometry.queues_max):
        at = regions["queues_max"].start + L.QUEUE_WORDS * record
        kinds[at + L.QUEUE_AWAITED] = ANY
        for word in (L.QUEUE_ITEMS_EVENT, L.QUEUE_ROOM_EVENT, L.QUEUE_DONE_EVENT):
            kinds[at + word] = UNDER_LOCK
    for record in range(geometry.items_max):
        at = regions["items_max"].start + L.ITEM_WORDS * record
        for word in (L.ITEM_TICKET, L.ITEM_VALUE, *range(L.ITEM_PAYLOAD, L.ITEM_WORDS)):
            kinds[at + word] = UNDER_LOCK
    for pfn in range(geometry.frames):
        kinds[regions["memdescs"].start + pfn] = OWN
    return bytes(kinds)


class ArenaWords(array):
    """The control file's words. Make with `ArenaWords.new(geometry)` or `.copy()`."""

    kinds: bytes
    actor: int  # slot of the member that runs; 0: stores are not judged
    countdown: int  # the store at which it dies; 0: it does not die
    stores: int
    digest: int  # of all words except IGNORED ones and the journal's entries
    logged_digest: int  # of the words that a roll-back restores
    journal_digest: int
    logged: set[int]  # words of the current transaction whose old values are in the journal
    fresh: int  # the word that was logged last and is not stored yet
    at_rest: list[int]  # logged_digest whenever the journal became empty
    watch: Callable[[int, int, int], None] | None  # called with place, old and new value

    @classmethod
    def new(cls, geometry: Geometry) -> ArenaWords:
        words = cls("Q", bytes(8 * geometry.control_words))
        words.kinds = kinds_of(geometry)
        words.digest = words.logged_digest = words.journal_digest = 0
        words.logged = set()
        words.begin()
        return words

    def begin(self) -> None:
        """Restart the counts."""
        self.actor = self.countdown = self.stores = 0
        self.fresh = -1
        self.at_rest = []
        self.watch = None

    def copy(self) -> ArenaWords:
        """Return the same words, with new counts."""
        words = ArenaWords("Q", self.tobytes())
        words.kinds = self.kinds
        words.digest, words.logged_digest = self.digest, self.logged_digest
        words.journal_digest = self.journal_digest
        words.logged = set(self.logged)
        words.begin()
        return words

    def key(self) -> tuple[int, int, int]:
        """Return the key of a state: words, journal, the low part of the lock word."""
        journal = self.journal_digest if array.__getitem__(self, L.JOURNAL_LENGTH) else 0
        return self.digest, journal, array.__getitem__(self, L.LOCK) & (L.LOCK_TICKET_ONE - 1)

    def raw(self, at: int, value: int) -> int:
        """Store a word without judging it: to make an arena, or to damage one."""
        old = array.__getitem__(self, at)
        if old != value:
            array.__setitem__(self, at, value)
            change = hash((at, old)) ^ hash((at, value))
            kind = self.kinds[at]
            if kind == JOURNAL:
                self.journal_digest ^= change
            elif at not in IGNORED:
                self.digest ^= change
                if kind == LOGGED:
                    self.logged_digest ^= change
        return int(old)

    def __setitem__(self, at: int, value: int) -> None:  # type: ignore[override]  # words only
        if not 0 <= at < len(self):
            raise Violation(f"bounds: a store at word {at} of {len(self)}")
        if not 0 <= value <= L.ALL_ONES:
            raise Violation(f"wrap: {value} was stored at word {at}")
        self.judge(at, value)
        old = self.raw(at, value)
        self.stores += 1
        if self.watch is not None:
            self.watch(at, old, value)
        if self.countdown == self.stores:
            raise Crash

    def judge(self, at: int, value: int) -> None:
        """Check that this store is allowed now."""
        kind = self.kinds[at]
        if kind in (ANY, OWN):
            return
        holder = array.__getitem__(self, L.LOCK) & L.LOCK_SLOT_MASK
        if self.actor != 0 and holder != self.actor:
            raise Violation(f"lock: slot {self.actor} stored word {at}, slot {holder} has the lock")
        if at == L.JOURNAL_LENGTH:
            self.judge_length(value)
        elif kind == LOGGED and at not in self.logged:
            raise Violation(f"journal: word {at} was stored before its old value was logged")

    def judge_length(self, value: int) -> None:
        """Check that the journal's length grows by one entry, or falls to 0."""
        length = array.__getitem__(self, L.JOURNAL_LENGTH)
        entry = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length
        if value == 0:
            self.logged.clear()
            self.at_rest.append(self.logged_digest)
            return
        if value != length + 1:
            raise Violation(f"journal: its length went from {length} to {value}")
        place = array.__getitem__(self, entry)
        if place >= len(self) or self.kinds[place] != LOGGED:
            raise Violation(f"journal: word {place} was logged; it is stored without the lock too")
        if array.__getitem__(self, place) != array.__getitem__(self, entry + 1):
            raise Violation(f"journal: the old value of word {place} was logged wrong")
        self.logged.add(place)
        self.fresh = place

    def exchange(self, at: int, value: int) -> int:
        old = int(array.__getitem__(self, at))
        self[at] = value
        return old

    def compare_exchange(self, at: int, old: int, value: int) -> bool:
        if array.__getitem__(self, at) != old:
            return False
        self[at] = value
        return True

    def futex_wake(self, at: int, waiters: int) -> int:
        """Wake nobody: waiters exist only in steps.py."""
        return 0

    def futex_wait(self, at: int, seen: int, nap_ns: int) -> int:
        raise Violation(f"hang: word {at} is waited for where nobody else runs")

    def plain(self) -> Any:
        """Return a copy as a plain array, for the compiled check."""
        return array("Q", self.tobytes())
