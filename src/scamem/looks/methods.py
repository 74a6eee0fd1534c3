"""The methods of an arena that look at it. Each but `free_bitmap` reaps dead members first."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scamem.core.walk import Finding
from scamem.membership.seat import Seated

from . import objects as records
from . import snapshot
from . import stats as now
from .stats import Stats


class Numbered(Protocol):
    """Has the number of an object: a Scamem."""

    index: int


def stats(arena: Seated) -> Stats:
    """Return sizes and counts of the arena, after reaping dead members.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> x = arena.zeros(1000)
    >>> arena.stats().objects
    1
    """
    arena._seat.reap()
    return now.stats(arena._seat)


def objects(arena: Seated) -> list[records.ObjectInfo]:
    """Return every object with its holders, after reaping dead members.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> x = arena.zeros(1000)
    >>> [(one.nr, one.refcount) for one in arena.objects()]
    [(2, 1)]
    """
    arena._seat.reap()
    return list(records.objects(arena._seat))


def holders(arena: Seated, obj: Numbered | int) -> list[records.Holder]:
    """Return an object's holders, by kind, pid and name, after reaping dead members.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("8K")
    >>> arena.holders(obj)[0].uses()
    'hands=1'
    """
    arena._seat.reap()
    return records.holders(arena._seat, obj if isinstance(obj, int) else obj.index)


def loans(arena: Seated) -> list[records.LoanInfo]:
    """Return every handle that was sent and not loaded yet, after reaping dead members.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> x = arena.zeros(1000)
    >>> sent = bytes(scamem.handle(x))
    >>> len(arena.loans())
    1
    """
    arena._seat.reap()
    return list(records.loans(arena._seat))


def check(arena: Seated) -> list[Finding]:
    """Check the rules I1 to I8; return the violations, with their places. [] if there are none.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.check()
    []

    Dead members are reaped first. The lock is held only while the control file is copied.
    """
    arena._seat.reap()
    return snapshot.findings(arena._seat)


def reap(arena: Seated, loans: bool = False) -> int:
    """Release what dead members held, and finish what they began; return how many were reaped.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.reap()    # no member has died
    0

    `loans`: also drop each loan in transit, of any age, whose lender has released the object or
    died, if nothing else holds the object.
    """
    return arena._seat.reap(loans=loans)


def free_bitmap(arena: Seated) -> NDArray[np.bool_]:
    """Return which frames are free (in no object) now: bool, one per frame.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> obj = arena.alloc("8K")
    >>> arena.free_bitmap()[obj.pages].tolist()
    [False, False]

    The array ends with the last online section. Frames without memory count as free.
    """
    arena._seat.check_open()
    return now.free_bitmap(arena._seat)
