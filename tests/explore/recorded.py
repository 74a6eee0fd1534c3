"""An arena that records its stores: they are judged, and deaths at them tried, after the move.

`Record.judge` checks the list of stores for what `ArenaWords` checks at each store. This is much
faster, and one run of a move gives the words after a death at each of its stores.

Which of these deaths differ? The member that takes over restores logged words to the last commit:
the judge has seen each old value in the journal before its word changed, and the crash explorer
runs the roll-back after every store of every transaction. So a death leaves, after the take-over,
the logged words of the last commit, and the words that are stored without the journal. Stores
between two stores that change something are one class; a death is tried at one of them, by turns.
Those before the first leave what a death at rest leaves; they are tried in one move of FIRST_EVERY.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

from scamem.core.store import layout as L
from tests.explore.arena import ANY, IGNORED, JOURNAL, LOGGED, OWN, ArenaWords, Violation

FIRST_EVERY = 8
Store = tuple[int, int, int, int]  # place, old value, new value, slot of the member that stored

get = array.__getitem__
put = array.__setitem__


class RecordedWords(ArenaWords):
    """The control file's words. Make with `RecordedWords.of(words)` or `.copy()`."""

    log: list[Store]

    @classmethod
    def of(cls, words: ArenaWords) -> RecordedWords:
        """Return the same words, with nothing recorded."""
        made = cls("Q", words.tobytes())
        made.kinds = words.kinds
        made.actor = made.countdown = made.stores = 0
        made.log = []
        return made

    def copy(self) -> RecordedWords:
        return RecordedWords.of(self)

    def __setitem__(self, at: int, value: int) -> None:  # type: ignore[override]  # words only
        try:
            self.log.append((at, get(self, at), value, self.actor))
            put(self, at, value)
        except IndexError as error:
            raise Violation(f"bounds: a store at word {at} of {len(self)}") from error
        except OverflowError as error:
            raise Violation(f"wrap: {value} was stored at word {at}") from error

    def image(self) -> Any:
        """Return a copy that is not judged."""
        return array("Q", self.tobytes())


@dataclass
class Record:
    """The stores of one move, and the words before it."""

    before: RecordedWords
    log: list[Store]
    classes: list[int] = field(default_factory=list)  # the first death of each class but the first

    def judge(self) -> None:
        """Check that each store was allowed; find the classes of deaths."""
        words, kinds = self.before.image(), self.before.kinds
        holder = words[L.LOCK] & L.LOCK_SLOT_MASK
        logged: set[int] = set()
        changed = False
        for number, (at, old, value, actor) in enumerate(self.log, 1):
            kind = kinds[at]
            words[at] = value
            if kind in (ANY, OWN):
                if at == L.LOCK:
                    holder = value & L.LOCK_SLOT_MASK
                elif old != value:
                    self.classes.append(number)
                if at >= 0:
                    continue
            if at < 0:
                raise Violation(f"bounds: a store at word {at}")
            if actor not in (0, holder):
                raise Violation(f"lock: slot {actor} stored word {at}, slot {holder} has the lock")
            if at == L.JOURNAL_LENGTH:
                if value == 0:
                    if changed:
                        self.classes.append(number)
                    logged.clear()
                    changed = False
                else:
                    logged.add(self.entry(words, old, value))
            elif kind == LOGGED:
                if at not in logged:
                    raise Violation(
                        f"journal: word {at} was stored before its old value was logged"
                    )
                changed = changed or old != value
            elif kind != JOURNAL and old != value and at not in IGNORED:
                self.classes.append(number)

    def entry(self, words: Any, length: int, value: int) -> int:
        """Return the place that is logged by an entry, after the length has grown by one."""
        entry = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length
        place = words[entry]
        if value != length + 1:
            raise Violation(f"journal: its length went from {length} to {value}")
        if place >= len(words) or self.before.kinds[place] != LOGGED:
            raise Violation(f"journal: word {place} was logged; it is stored without the lock too")
        if words[place] != words[entry + 1]:
            raise Violation(f"journal: the old value of word {place} was logged wrong")
        return int(place)

    def deaths(self, turn: int) -> list[int]:
        """Return one store of each class, a different one each turn: its member's last store."""
        starts = [1, *self.classes]
        ends = [*self.classes, len(self.log) + 1]
        return [
            start + turn * 7 % (end - start)
            for start, end in zip(starts, ends, strict=True)
            if start < end and (start > 1 or start in self.classes or turn % FIRST_EVERY == 0)
        ]

    def after(self, store: int) -> RecordedWords:
        """Return the words after the first `store` stores."""
        words = RecordedWords.of(self.before)
        for at, _, value, _ in self.log[:store]:
            put(words, at, value)
        return words
