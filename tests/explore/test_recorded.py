"""Recorded stores are judged like stores made now, and show which deaths differ."""

from collections.abc import Callable

import pytest

from scamem.core.store import layout as L
from tests.explore.arena import ArenaWords, Violation
from tests.explore.families import everything
from tests.explore.faults import FAULTS
from tests.explore.interleave import Exploration
from tests.explore.interpreted import Core
from tests.explore.recorded import FIRST_EVERY, Record, RecordedWords
from tests.explore.world import TINY

SLOT = 3
ENTRY = L.JOURNAL_ENTRIES
OWN = TINY.regions()["holders_max"].start + L.HOLDER_COUNTS
Words = RecordedWords


@pytest.fixture
def words() -> Words:
    words = RecordedWords.of(ArenaWords.new(TINY))
    words.actor = SLOT
    return words


def judged(before: Words, words: Words) -> Record:
    record = Record(before, words.log)
    record.judge()
    return record


def put(words: Words, at: int, value: int) -> None:
    """Store a word as journal.put does."""
    length = words[L.JOURNAL_LENGTH]
    words[ENTRY + 2 * length] = at
    words[ENTRY + 2 * length + 1] = words[at]
    words[L.JOURNAL_LENGTH] = length + 1
    words[at] = value


def without_the_lock(words: Words) -> None:
    words[L.LOCK] = SLOT + 1
    put(words, L.NEXT_LOAN_ID, 1)


def unlogged(words: Words) -> None:
    words[L.NEXT_LOAN_ID] = 1


def logged_before(words: Words) -> None:
    """Logged in an earlier transaction."""
    put(words, L.NEXT_LOAN_ID, 1)
    words[L.JOURNAL_LENGTH] = 0
    words[L.NEXT_LOAN_ID] = 2


def logged_wrong(words: Words) -> None:
    words[ENTRY] = L.NEXT_LOAN_ID
    words[ENTRY + 1] = 7
    words[L.JOURNAL_LENGTH] = 1


def logged_own(words: Words) -> None:
    put(words, OWN, 1)


def two_entries(words: Words) -> None:
    words[L.JOURNAL_LENGTH] = 2


@pytest.mark.parametrize(
    ("stores", "rule"),
    [
        (without_the_lock, "lock: slot 3 stored word 4096, slot 4 has the lock"),
        (unlogged, "journal: word 65 was stored before its old value was logged"),
        (logged_before, "journal: word 65 was stored before its old value was logged"),
        (logged_wrong, "journal: the old value of word 65 was logged wrong"),
        (logged_own, "journal: word .* was logged; it is stored without the lock too"),
        (two_entries, "journal: its length went from 0 to 2"),
    ],
)
def test_what_must_not_be_stored(stores: Callable[[Words], None], rule: str, words: Words) -> None:
    words[L.LOCK] = SLOT
    before = words.copy()
    before.actor = SLOT
    after = before.copy()
    after.actor = SLOT
    stores(after)
    with pytest.raises(Violation, match=rule):
        judged(before, after)


def test_places_and_values_that_cannot_be(words: Words) -> None:
    with pytest.raises(Violation, match="bounds: "):
        words[len(words)] = 1
    with pytest.raises(Violation, match="wrap: "):
        words[1] = -1
    words.log.clear()
    words[-1] = 1
    with pytest.raises(Violation, match="bounds: "):
        judged(words, words)


def test_classes_of_deaths(words: Words) -> None:
    before = words.copy()
    words[L.LOCK] = SLOT
    put(words, L.NEXT_LOAN_ID, 5)
    words[OWN] = 1  # store 6
    put(words, L.NEXT_INCARNATION, 9)
    words[L.JOURNAL_LENGTH] = 0  # store 11
    words[OWN] = 1
    words[L.LOCK] = 0
    record = judged(before, words)
    assert record.classes == [6, 11]
    for turn in range(1, FIRST_EVERY):
        second, third = record.deaths(turn)
        assert 6 <= second < 11 <= third <= 13
    assert len(record.deaths(FIRST_EVERY)) == 3
    assert {store for turn in range(60) for store in record.deaths(turn)} == set(range(1, 14))
    assert record.after(11)[OWN] == 1
    assert record.after(5)[OWN] == 0
    assert record.after(13).tobytes() == words.tobytes()


@pytest.mark.parametrize(
    "name", ["journal entry after its store", "length before the entry", "new value logged"]
)
def test_a_fault_of_the_journal_is_seen(name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.name == name)
    core = Core(fault.changes())
    try:
        with pytest.raises(Violation, match=fault.rule):
            Exploration(core, 2, 1, everything).explore(1, 1000)
    finally:
        core.forget()
