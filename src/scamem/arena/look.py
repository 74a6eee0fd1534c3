"""What an arena looks like from outside: statistics, objects, who holds what. All are looks.

Each record is read at one moment, different records at different ones; nothing is held.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from scamem.core import kinds
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.core.store.words import low

from .attach import Attachment, member_pids
from .changes import count_absent


@dataclass(frozen=True)
class Holder:
    """Who holds an object, and by what.

    Attributes
    ----------
    kind : "member", "area" or "transit" (scamem.core.kinds); "kind N" of a later version's.
    pid : of a member, 0 of the others.
    name : of an area.
    mappings, pins, io_pins, hands : of a member.
    loans : handles on their way that were not loaded yet.
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

    def uses(self) -> str:
        """Say in words what a member holds an object by."""
        kinds = ("mappings", "pins", "io_pins", "hands", "loans")
        return " ".join(f"{kind}={getattr(self, kind)}" for kind in kinds if getattr(self, kind))

    @property
    def count(self) -> int:
        """References that this holder stands for."""
        known = kinds.BY_NAME.get(self.kind)
        itself = 1 if known is None else known.references
        return self.mappings + self.pins + self.io_pins + self.hands + self.loans + itself


@dataclass(frozen=True)
class ObjectInfo:
    """One object: its size, scatter, and holders."""

    index: int
    generation: int
    state: str
    nr: int
    nbytes: int
    runs: int
    holders: tuple[Holder, ...]

    @property
    def refcount(self) -> int:
        """References, of everybody."""
        return sum(holder.count for holder in self.holders)

    @property
    def names(self) -> tuple[str, ...]:
        """Names under which it is published."""
        return tuple(holder.name for holder in self.holders if holder.kind == "area")


@dataclass(frozen=True)
class LoanInfo:
    """A handle on its way that was not loaded yet.

    Attributes
    ----------
    object : the number of the object that it keeps.
    orphaned : whether its sender let go or died; else `pid` is the sender's.
    age_s : seconds since it was lent.
    """

    loan: int
    object: int
    orphaned: bool
    pid: int
    age_s: float


@dataclass(frozen=True)
class MemberInfo:
    """One member: its slot, pid and how many objects it holds."""

    slot: int
    pid: int
    objects: int


@dataclass(frozen=True)
class Stats:
    """Numbers of an arena at about one moment. Sizes are bytes, counts of frames are frames."""

    arena_id: str
    path: str
    capacity_bytes: int
    frame_bytes: int
    frames_online: int
    frames_free: int
    frames_reserved: int
    longest_free_run: int
    sections_online: int
    objects: int
    areas: int
    loans: int
    members: tuple[MemberInfo, ...]
    takeovers: int
    rollbacks: int
    reaped_members: int
    reaped_holders: int
    loans_orphaned: int
    control_bytes: int


STATE_NAMES = {
    L.OBJECT_STATE_ALLOCATING: "allocating",
    L.OBJECT_STATE_LIVE: "live",
    L.OBJECT_STATE_MOVING: "moving",
    L.OBJECT_STATE_DYING: "dying",
}


def stats(made: Attachment) -> Stats:
    """Return the numbers of an arena."""
    read = made.member.read_word
    size = made.geometry

    def total(word: int) -> int:
        return sum(read(L.ZONES + L.ZONE_WORDS * zone + word) for zone in range(size.zones))

    online = total(L.ZONE_ONLINE)
    members = tuple(
        MemberInfo(slot, pid, read(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_HOLDERS_COUNT))
        for slot, pid, _ in member_pids(made.member)
    )
    return Stats(
        arena_id=f"{made.arena_id:032x}",
        path=made.path,
        capacity_bytes=size.frames * size.frame_bytes,
        frame_bytes=size.frame_bytes,
        frames_online=online * size.section_frames
        - (count_absent(made.member) << size.block_shift),
        frames_free=total(L.ZONE_FREE),
        frames_reserved=total(L.ZONE_RESERVED),
        longest_free_run=max(made.member.longest_free_run(zone) for zone in range(size.zones)),
        sections_online=online,
        objects=read(L.OBJECTS_COUNT),
        areas=read(L.AREAS_COUNT),
        loans=read(L.LOANS_COUNT),
        members=members,
        takeovers=read(L.LOCK_TAKEOVERS),
        rollbacks=read(L.LOCK_ROLLBACKS),
        reaped_members=read(L.REAPED_MEMBERS),
        reaped_holders=read(L.REAPED_HOLDERS),
        loans_orphaned=read(L.LOANS_ORPHANED),
        control_bytes=made.control.allocated_bytes(),
    )


def holders(made: Attachment, index: int) -> list[Holder]:
    """Return who holds an object."""
    found = []
    for slot, kind, counts, pins, link, loans in made.member.holders_of(index):
        if kind == L.HOLDER_AREA:
            area = made.member.read_area(link)
            name = area[0].decode("utf-8", "replace") if area is not None else "?"
            found.append(Holder(kinds.name_of(kind), name=name))
        elif kind != L.HOLDER_MEMBER:
            found.append(Holder(kinds.name_of(kind), loans=loans))
        else:
            pid = made.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID)
            found.append(
                Holder(
                    "member",
                    pid=pid,
                    slot=slot,
                    mappings=counts & L.MASK_24,
                    hands=counts >> L.COUNT_HANDS_SHIFT & L.MASK_24,
                    io_pins=counts >> L.COUNT_IO_SHIFT,
                    pins=pins,
                    loans=loans,
                )
            )
    return found


def records(made: Attachment, table: int) -> range:
    """Return the numbers of a table's records that may be in use, whatever its words say."""
    control = L.TABLES + L.TABLE_WORDS * table
    most: int = getattr(made.geometry, TABLE_RECORDS[table][0])
    used = made.member.read_word(control + L.TABLE_NEXT)
    return range(1, min(used, made.member.read_word(control + L.TABLE_BACKED), most))


def loans(made: Attachment) -> Iterator[LoanInfo]:
    """Yield every loan that was not taken yet."""
    for loan in records(made, L.TABLE_LOANS):
        words = made.member.loan_words(loan)
        if words is not None:
            _, obj, kind, slot, lent_ns = words
            orphaned = kind == L.HOLDER_TRANSIT
            pid = 0
            if not orphaned:
                pid = made.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID)
            yield LoanInfo(loan, obj, orphaned, pid, (time.monotonic_ns() - lent_ns) / 1e9)


def objects(made: Attachment) -> Iterator[ObjectInfo]:
    """Yield every object that is not free, lowest number first."""
    for index in records(made, L.TABLE_OBJECTS):
        words = made.member.object_words(index)
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
            nbytes=low(words[L.OBJECT_NR]) * made.geometry.frame_bytes,
            runs=made.member.count_runs(index),
            holders=tuple(holders(made, index)),
        )
