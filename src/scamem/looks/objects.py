"""Look at objects, their holders, and loans.

Each record is read at one moment, and different records at different moments. Nothing is held.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from scamem.core import kinds
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.core.store.words import low
from scamem.membership.holding import holders_of
from scamem.membership.naming import read_area
from scamem.membership.seat import Seat


@dataclass(frozen=True)
class Holder:
    """One holder of an object, and the references that it stands for.

    Attributes
    ----------
    kind : "member", "area" (a published name) or "transit" (handles whose sender let go or died);
        "kind N" for a kind of a later version.
    pid, slot : of a member, else 0.
    name, description, published_ns : of an area: the published name, what
        `scamem.handles.description` says of the value, and CLOCK_MONOTONIC when it was published.
    mappings, pins, io_pins, hands : of a member: how many references of each kind.
    loans : handles that were sent and not loaded yet.
    """

    kind: str
    pid: int = 0
    slot: int = 0
    name: str = ""
    mappings: int = 0
    pins: int = 0
    io_pins: int = 0
    hands: int = 0
    loans: int = 0
    description: bytes = field(default=b"", repr=False)
    published_ns: int = field(default=0, repr=False)

    def uses(self) -> str:
        """Return a member's references as text, such as "pins=1 loans=2"."""
        kinds = ("mappings", "pins", "io_pins", "hands", "loans")
        return " ".join(f"{kind}={getattr(self, kind)}" for kind in kinds if getattr(self, kind))

    @property
    def age_s(self) -> float:
        """Seconds since an area was published."""
        return max(0.0, (time.monotonic_ns() - self.published_ns) / 1e9)

    @property
    def count(self) -> int:
        """The number of references that this holder stands for."""
        known = kinds.BY_NAME.get(self.kind)
        itself = 1 if known is None else known.references
        return self.mappings + self.pins + self.io_pins + self.hands + self.loans + itself


@dataclass(frozen=True)
class ObjectInfo:
    """One object, as of one moment: its size, its runs, and its holders.

    Attributes
    ----------
    index, generation : identify the object.
    state : "allocating", "live", "moving" or "dying".
    nr, nbytes : its size in frames and in bytes. runs : the number of runs of its frames.
    holders : a Holder for each process, name and loan in transit that holds it.
    """

    index: int
    generation: int
    state: str
    nr: int
    nbytes: int
    runs: int
    holders: tuple[Holder, ...]

    @property
    def refcount(self) -> int:
        """The number of references, of all holders."""
        return sum(holder.count for holder in self.holders)

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it is published."""
        return tuple(holder.name for holder in self.holders if holder.kind == "area")


class AreaWords(NamedTuple):
    """What an area says: its name, the description of its value, and when it was published."""

    name: bytes
    description: bytes
    published_ns: int


@dataclass(frozen=True)
class LoanInfo:
    """A handle that was sent and not loaded yet.

    Attributes
    ----------
    loan : its number. object : the number of the object that it keeps.
    orphaned : whether its sender let go or died. If not, `pid` is the sender's.
    age_s : seconds since it was sent.
    """

    loan: int
    object: int
    orphaned: bool
    pid: int
    age_s: float


STATE_NAMES = {
    L.OBJECT_STATE_ALLOCATING: "allocating",
    L.OBJECT_STATE_LIVE: "live",
    L.OBJECT_STATE_MOVING: "moving",
    L.OBJECT_STATE_DYING: "dying",
}


def holder_of(
    kind: int, slot: int, pid: int, counts: int, pins: int, area: AreaWords | None, loans: int
) -> Holder:
    """Return a holder from a record's words; `pid` is that of the member in the slot."""
    if kind == L.HOLDER_AREA and area is not None:
        return Holder(
            kinds.name_of(kind),
            name=area.name.decode("utf-8", "replace"),
            description=area.description,
            published_ns=area.published_ns,
        )
    if kind != L.HOLDER_MEMBER:
        return Holder(kinds.name_of(kind), loans=loans)
    return Holder(
        kinds.name_of(kind),
        pid=pid,
        slot=slot,
        mappings=counts & L.MASK_24,
        hands=counts >> L.COUNT_HANDS_SHIFT & L.MASK_24,
        io_pins=counts >> L.COUNT_IO_SHIFT,
        pins=pins,
        loans=loans,
    )


def holders(seat: Seat, index: int) -> list[Holder]:
    """Return an object's holders at one moment, without names that were unpublished since."""
    found = []
    for slot, kind, counts, pins, link, loans in holders_of(seat.member, index):
        words, pid = None, 0
        if kind == L.HOLDER_AREA:
            area = read_area(seat.member, link)
            if area is None or area[2] != index:
                continue  # unpublished since
            words = AreaWords(area[0], area[1], area[3])
        elif kind == L.HOLDER_MEMBER:
            pid = seat.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID)
        found.append(holder_of(kind, slot, pid, counts, pins, words, loans))
    return found


def records(seat: Seat, table: int) -> range:
    """Return the numbers of a table's records that may be in use, within the table's limits."""
    control = L.TABLES + L.TABLE_WORDS * table
    most: int = getattr(seat.geometry, TABLE_RECORDS[table][0])
    used = seat.member.read_word(control + L.TABLE_NEXT)
    return range(1, min(used, seat.member.read_word(control + L.TABLE_BACKED), most))


def loans(seat: Seat) -> Iterator[LoanInfo]:
    """Yield every loan that was not taken yet."""
    for loan in records(seat, L.TABLE_LOANS):
        words = seat.member.loan_words(loan)
        if words is not None:
            _, obj, kind, slot, lent_ns = words
            orphaned = kind == L.HOLDER_TRANSIT
            pid = 0
            if not orphaned:
                pid = seat.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID)
            yield LoanInfo(loan, obj, orphaned, pid, (time.monotonic_ns() - lent_ns) / 1e9)


def objects(seat: Seat) -> Iterator[ObjectInfo]:
    """Yield every object that is not free, lowest number first."""
    for index in records(seat, L.TABLE_OBJECTS):
        words = seat.member.object_words(index)
        if words is None:
            continue
        state = words[L.OBJECT_STATE] & L.OBJECT_STATE_MASK
        if state not in STATE_NAMES:
            continue
        yield ObjectInfo(
            index=index,
            generation=words[L.OBJECT_GENERATION],
            state=STATE_NAMES[state],
            nr=low(words[L.OBJECT_NR]),
            nbytes=low(words[L.OBJECT_NR]) * seat.geometry.frame_bytes,
            runs=seat.member.count_runs(index),
            holders=tuple(holders(seat, index)),
        )
