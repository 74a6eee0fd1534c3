"""The undo log: a transaction's words change all or not at all, whichever process dies.

State: JOURNAL_LENGTH entries {place, old value} from JOURNAL_ENTRIES on; 0 outside a critical
section (I7). Only the holder of the arena's lock touches them.

Steps of `put`: store the entry's place, the entry's old value, length + 1, the word itself.
`commit`: store length 0.

Why safe, by the store after which a member dies:

- place or old value: the length does not count the entry yet; nothing changed.
- length: the roll-back stores the word's unchanged value over itself.
- the word, or any later one: the roll-back restores every logged word, latest first, so a word
  logged twice ends with its oldest value.
- commit: the transaction has happened; the length is 0 and nothing is rolled back.
- inside a roll-back: the next one starts again from the same entries; restoring an old value
  twice is the same as once, and the roll-back itself logs nothing.

Who finishes: the member that takes the lock over rolls back before anything else (lock.py).

The order of these stores is the whole argument. Words are volatile and each store is a release
(words.h), so neither the compiler nor a weakly ordered processor may put the word before its entry.

Tried and failed: rolling back in the order of logging restores the middle value of a word that
was logged twice. Without volatile, gcc -O2 dropped the first of two stores of the length.

No word is both logged here and stored without the lock: a roll-back would undo another's store.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import layout as L
    from .words import Words, store, word


def put(arena: Words, at: word, value: word) -> None:
    """Store a word of the current transaction, after logging its old value."""
    length: word = arena[L.JOURNAL_LENGTH]
    entry: word = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length
    if length >= L.JOURNAL_ENTRIES_MAX:
        store(arena, L.JOURNAL_FAILED, 1)
        return
    store(arena, entry, at)
    store(arena, entry + 1, arena[at])
    store(arena, L.JOURNAL_LENGTH, length + 1)
    store(arena, at, value)


def commit(arena: Words) -> word:
    """End the transaction: OK; or DAMAGED, with every word restored, if an ensure() failed."""
    if arena[L.JOURNAL_FAILED] != 0:
        roll_back(arena)
        store(arena, L.JOURNAL_DAMAGED, 1)
        store(arena, L.JOURNAL_FAILED, 0)
        return L.DAMAGED
    store(arena, L.JOURNAL_LENGTH, 0)
    return L.OK


def cancel(arena: Words, status: word) -> word:
    """End the transaction with nothing changed; return `status`, or DAMAGED."""
    if arena[L.JOURNAL_FAILED] != 0:
        return commit(arena)  # it restores everything as well
    roll_back(arena)
    return status


def ensure(arena: Words, condition: bool) -> None:
    """If the condition is false, note that a word is damaged; commit() then refuses."""
    if not condition:
        store(arena, L.JOURNAL_FAILED, 1)


def can_roll_back(arena: Words, words: word) -> bool:
    """Tell whether every logged word lies in a control file of `words` words, past its header.

    Needs: the lock's holder is dead, or this member takes it over. What another taker logs can be
    restored.
    """
    length: word = arena[L.JOURNAL_LENGTH]
    at: word
    if length > L.JOURNAL_ENTRIES_MAX:
        return False
    while length > 0:  # bound: JOURNAL_ENTRIES_MAX
        length -= 1
        at = arena[L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length]
        if at < L.HEADER_WORDS or at >= words:
            return False
    return True


def roll_back(arena: Words) -> word:
    """Restore every logged word, latest first; return how many."""
    length: word = arena[L.JOURNAL_LENGTH]
    entry: word
    done: word = 0
    if length > L.JOURNAL_ENTRIES_MAX:
        length = L.JOURNAL_ENTRIES_MAX
    while length > 0:  # bound: JOURNAL_ENTRIES_MAX
        length -= 1
        entry = L.JOURNAL_ENTRIES + L.JOURNAL_ENTRY_WORDS * length
        store(arena, arena[entry], arena[entry + 1])
        done += 1
    store(arena, L.JOURNAL_LENGTH, 0)
    return done
