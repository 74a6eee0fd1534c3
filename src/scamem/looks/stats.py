"""Sizes and counts of an arena, and which of its frames are free. Nothing is held."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from scamem.core.store import layout as L
from scamem.core.walk import USABLE
from scamem.membership.seat import Seat, member_pids

from .frames import count_absent, section_words
from .objects import objects


@dataclass(frozen=True)
class MemberInfo:
    """One member: its slot, its pid, and how many objects it holds."""

    slot: int
    pid: int
    objects: int


@dataclass(frozen=True)
class Stats:
    """Sizes and counts of an arena at about one moment.

    Attributes
    ----------
    arena_id, path : the arena's number, in hexadecimal, and its directory ("" if anonymous).
    capacity_bytes, frame_bytes, control_bytes : bytes in all frames, in one frame, and of memory in
        the control file.
    frames_online, frames_free : frames with memory; frames in free runs.
    frames_reserved : free frames that are promised to large allocations under way.
    longest_free_run : in frames. sections_online : sections with memory.
    objects, areas, loans : objects, published names, and handles that were not loaded yet.
    members : a MemberInfo for each.
    takeovers, rollbacks : how often a dead holder's lock was taken over, and how many words that
        put back.
    reaped_members, reaped_holders : dead members, and their holder records, reaped so far.
    loans_orphaned : holder records whose loans outlived their sender's references, so far.
    """

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

    def __str__(self) -> str:
        """Return one `name: value` line for each figure."""
        return "\n".join(f"{one.name}: {getattr(self, one.name)}" for one in fields(self))


def stats(seat: Seat) -> Stats:
    """Return the sizes and counts of an arena."""
    read = seat.member.read_word
    size = seat.geometry

    def total(word: int) -> int:
        return sum(read(L.ZONES + L.ZONE_WORDS * zone + word) for zone in range(size.zones))

    online = total(L.ZONE_ONLINE)
    members = tuple(
        MemberInfo(slot, pid, read(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_HOLDERS_COUNT))
        for slot, pid, _ in member_pids(seat.member)
    )
    return Stats(
        arena_id=f"{seat.arena_id:032x}",
        path=seat.path,
        capacity_bytes=size.frames * size.frame_bytes,
        frame_bytes=size.frame_bytes,
        frames_online=online * size.section_frames
        - (count_absent(seat.member) << size.block_shift),
        frames_free=total(L.ZONE_FREE),
        frames_reserved=total(L.ZONE_RESERVED),
        longest_free_run=max(seat.member.longest_free_run(zone) for zone in range(size.zones)),
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
        control_bytes=seat.control.allocated_bytes(),
    )


def free_bitmap(seat: Seat) -> NDArray[np.bool_]:
    """Return which frames are free (in no object) now: bool, one per frame.

    The array ends with the last online section. Frames without memory count as free.
    """
    size = seat.geometry
    words = section_words(seat.member, 0, size.sections)
    online = max((k + 1 for k, word in enumerate(words) if word & L.MASK_8 in USABLE), default=0)
    used = np.zeros(online << size.section_shift, dtype=bool)
    for info in objects(seat):
        for start, count in seat.member.runs_of(info.index):
            used[start : start + count] = True
    return ~used
