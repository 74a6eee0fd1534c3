"""A member's private table: its own holder record, for each object that it holds.

State: one word per object, {record, epoch}; an entry counts only while its epoch is the member's.
An entry is there exactly while the record's counts are not all 0. So code that finds one may change
the counts without the arena's lock: nobody else drops a record that has counts.

There are two tables. fork's prepare writes the child's entries, under the child's epoch, into the
one that is not in use. The child's handler swaps them, the parent's does nothing: entries written
for a child count in no later epoch. All of it happens under the process-local lock.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from . import layout as L
    from .words import Words, high, low, pair, word


def record_of(mine: Words, obj: word) -> word:
    """Return this member's record for an object; 0 while it has no counts for it."""
    entry: word = mine[mine[L.MINE_RECORDS_AT] + obj]
    return low(entry) if high(entry) == mine[L.MINE_EPOCH] else 0


def set_record(mine: Words, obj: word, record: word) -> None:
    """Store this member's record for an object, or 0."""
    mine[mine[L.MINE_RECORDS_AT] + obj] = pair(record, mine[L.MINE_EPOCH])


def set_child_record(mine: Words, obj: word, record: word, epoch: word) -> None:
    """Store a record for the child that is about to be forked."""
    mine[mine[L.MINE_OTHER_AT] + obj] = pair(record, epoch)


def is_copied(mine: Words, obj: word, epoch: word) -> bool:
    """Tell whether the child's table has an entry for an object."""
    return high(mine[mine[L.MINE_OTHER_AT] + obj]) == epoch


def await_looks(mine: Words, obj: word) -> None:
    """Note from now on whether a thread of this process looks at an object; 0: stop noting."""
    mine[L.MINE_MIGRATING] = obj


def note_look(mine: Words, obj: word) -> None:
    """Note that a thread of this process looks at an object, or changes its frames."""
    if mine[L.MINE_MIGRATING] == obj:
        mine[L.MINE_MIGRATING] = 0


def is_looked_at(mine: Words, obj: word) -> bool:
    """Tell whether a thread of this process looked at an object since `await_looks`."""
    return mine[L.MINE_MIGRATING] != obj


def become_child(mine: Words, slot: word, incarnation: word) -> None:
    """Turn the private words of a forked process into the child's own."""
    other: word = mine[L.MINE_OTHER_AT]
    mine[L.MINE_OTHER_AT] = mine[L.MINE_RECORDS_AT]
    mine[L.MINE_RECORDS_AT] = other
    mine[L.MINE_SLOT] = slot
    mine[L.MINE_INCARNATION] = incarnation
    mine[L.MINE_EPOCH] = low(incarnation)
