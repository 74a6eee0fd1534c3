"""What can hold an object: one line for each kind of holder record.

Plain Python, for code that looks at an arena, checks it or rebuilds it. A member's records are on
the list of its own slot. Those of every other kind are on the list of one slot that no member has.
"""

from __future__ import annotations

from typing import NamedTuple

from .store import layout as L


class HolderKind(NamedTuple):
    """A kind of holder record.

    Attributes
    ----------
    number : the value in a record (layout.HOLDER_MEMBER and so on).
    name : the name in reports.
    slot : the slot whose list its records are on; None: their member's.
    has_counts : whether its records say how often the object is held, and by what.
    has_loans : whether its records may have loans.
    """

    number: int
    name: str
    slot: int | None
    has_counts: bool
    has_loans: bool

    @property
    def references(self) -> int:
        """References that a record is by itself, in addition to counts and loans."""
        return 0 if self.has_counts or self.has_loans else 1


KINDS = (
    HolderKind(L.HOLDER_MEMBER, "member", None, True, True),
    HolderKind(L.HOLDER_AREA, "area", L.SLOT_AREAS, False, False),
    HolderKind(L.HOLDER_TRANSIT, "transit", L.SLOT_TRANSIT, False, True),
    HolderKind(L.HOLDER_QUEUE, "queue", L.SLOT_QUEUES, False, False),
)
BY_NUMBER = {kind.number: kind for kind in KINDS}
BY_NAME = {kind.name: kind for kind in KINDS}


def of_slot(slot: int) -> HolderKind:
    """Return the kind of the records on a slot's list."""
    return next((kind for kind in KINDS if kind.slot == slot), BY_NUMBER[L.HOLDER_MEMBER])


def name_of(number: int) -> str:
    """Return the name of a kind for reports, even of one that this version does not know."""
    return BY_NUMBER[number].name if number in BY_NUMBER else f"kind {number}"
