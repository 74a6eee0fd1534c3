"""Sections by number, and returning memory to the system while the arena is in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scamem.backing.text import Size, bytes_of, counted
from scamem.core import walk
from scamem.core.store import layout as L
from scamem.core.walk import USABLE
from scamem.errors import ArenaDamagedError, OutOfMemoryError, ScamemError, SectionBusyError
from scamem.looks import snapshot
from scamem.looks.frames import section_words
from scamem.looks.objects import objects
from scamem.membership.image import private_words
from scamem.membership.member import Member
from scamem.membership.seat import Seat, Seated

from . import changes, evacuation, room
from .allocation import ZONE_NAMES
from .turns import Patience, in_turn

STATES = ("offline", "onlining", "online", "offlining", "trimming", "populating")
SHOWN_MAX = 5
REST_S = 10
OFFLINE_TRIES = 20  # other processes allocate meanwhile, and what they free must be cleaned


@dataclass(frozen=True)
class SectionInfo:
    """One section, as of one moment.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.sections()[0].zone
    'NORMAL'

    Attributes
    ----------
    number : of the section.
    state : "online", "offline", or what a member is doing with it: "onlining", "offlining",
        "trimming", "populating".
    kept_offline : it was taken offline by its number, and comes online only by its number.
    node, zone : the NUMA node; "NORMAL" or "HUGE".
    first_pfn, frames : its range, in frames of 4 KiB.
    frames_free : frames that can be allocated.
    populated_bytes : bytes of it that have memory.
    """

    number: int
    state: str
    kept_offline: bool
    node: int
    zone: str
    first_pfn: int
    frames: int
    frames_free: int
    populated_bytes: int


def sections(arena: Seated) -> list[SectionInfo]:
    """Return every section, lowest number first, all as of one moment.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> {one.zone for one in arena.sections() if one.state == "offline"}
    {'NORMAL'}
    """
    seat = arena._seat
    seat.check_open()
    size = seat.geometry
    mine = private_words(size)
    with snapshot.taken(seat) as words:
        runs, _ = walk.free_runs(words, mine)
        at = mine[L.MINE_SECTIONS_AT]
        values = list(words[at : at + size.sections])
    free = np.zeros(size.sections + 1, np.int64)
    for start, frames in runs:
        first, last = start >> size.section_shift, (start + frames - 1) >> size.section_shift
        free[first] += frames
        if last > first:  # sections that a run covers completely, and its two ends
            free[first] += (first + 1 << size.section_shift) - start - frames
            free[first + 1 : last] += size.section_frames
            free[last] += start + frames - (last << size.section_shift)
    return [_section(seat, number, word, int(free[number])) for number, word in enumerate(values)]


def _section(seat: Seat, number: int, word: int, free: int) -> SectionInfo:
    size = seat.geometry
    span = size.spans[size.zone_of_section(number)]
    state = word & L.MASK_8
    if state >= len(STATES):
        raise ArenaDamagedError(
            f"the arena is damaged: section {number} is in the unknown state {state}. "
            "Nothing was changed; `scamem check` says more. Make a new arena"
        )
    absent = (word >> L.SECTION_ABSENT_SHIFT & L.MASK_16).bit_count()
    blocks = size.section_blocks - absent if state in USABLE else 0
    return SectionInfo(
        number=number,
        state=STATES[state],
        kept_offline=bool(word & L.SECTION_KEPT),
        node=span.node,
        zone=ZONE_NAMES[span.kind],
        first_pfn=number << size.section_shift,
        frames=size.section_frames,
        frames_free=free,
        populated_bytes=blocks * size.block_frames * size.frame_bytes,
    )


def online_section(arena: Seated, number: int) -> None:
    """Bring a section online: give it memory. If it is online already, do nothing.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.online_section(0)
    >>> arena.sections()[0].state
    'online'

    Raises
    ------
    IndexError : there is no such section.
    OutOfMemoryError : there is no memory for it; or a member that is stopped is changing another
        one.
    """
    arena._seat.check_writable()
    seat = arena._seat
    _check_section(seat, number)
    waited = Patience(seat, f"asked to bring section {number} online")
    while True:
        seat.refresh_descriptors()
        with in_turn(seat, waited):
            status = changes.begin_online(seat.member, number)
            if status == number:
                room.bring_online(seat, number)
                return
        if status == L.WRONG_STATE and _state_of(seat, number) in USABLE:
            return
        waited.wait()


def offline_section(arena: Seated, number: int) -> None:
    """Take a section offline: its memory goes back to the system, until `online_section`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.online_section(0)
    >>> arena.offline_section(0)
    >>> arena.sections()[0].state
    'offline'

    Objects that are not mapped or pinned, and that no other process has in hand, move to other
    sections. They keep their numbers, names and handles. The section does not come online again
    when memory runs short. If it is offline already, it stays so from now on.

    Raises
    ------
    IndexError : there is no such section.
    SectionBusyError : some of its frames are in use and cannot move, or there is no room elsewhere;
        the message names the objects and their holders. Or the zone's free frames are reserved for
        an allocation under way.
    OutOfMemoryError : a member that is stopped is changing another section.

    Cost: whole objects are copied, at the speed of memcpy.
    """
    arena._seat.check_writable()
    seat = arena._seat
    _check_section(seat, number)
    waited = Patience(seat, f"asked to take section {number} offline")
    tries = OFFLINE_TRIES
    while tries > 0:
        with in_turn(seat, waited):
            status = changes.begin_offline(seat.member, number, True)
            if status == L.IN_USE and not seat.member.reap():
                tries = tries - 1 if _evacuate(seat, number) else 0
                status = changes.begin_offline(seat.member, number, True)
            if status == number:
                _punch(seat, number, changes.finish_offline, -1)
                return
        waited.wait(nap=True)
    raise _busy(seat, number)


def _evacuate(seat: Seat, number: int) -> bool:
    """Move a section's objects elsewhere; return False if one of them is in use."""
    try:
        return evacuation.evacuate(seat, number)
    except OutOfMemoryError as error:
        raise _busy(seat, number, f" There is no room for them elsewhere: {error}") from error


def _check_section(seat: Seat, number: int) -> None:
    seat.check_open()
    if not 0 <= number < seat.geometry.sections:
        raise IndexError(f"asked for section {number:,}; the arena has {seat.geometry.sections:,}")


def _state_of(seat: Seat, number: int) -> int:
    return section_words(seat.member, number, 1)[0] & L.MASK_8


def _busy(seat: Seat, number: int, why: str = "") -> SectionBusyError:
    size = seat.geometry
    first = number << size.section_shift
    found = [
        info
        for info in objects(seat)
        if any(
            start < first + size.section_frames and start + count > first
            for start, count in seat.member.runs_of(info.index)
        )
    ]
    texts = []
    for info in found[:SHOWN_MAX]:
        who = [f"process {h.pid}: {h.uses()}" if h.pid else h.name or h.kind for h in info.holders]
        size_text = counted(info.nr, "frame")
        texts.append(f"object {info.index} ({size_text}; {', '.join(who)})")
    more = f" and {len(found) - SHOWN_MAX} more" if len(found) > SHOWN_MAX else ""
    has = f"it has {', '.join(texts)}{more}" if found else "its frames are reserved by others"
    return SectionBusyError(
        f"asked to take section {number} offline; {has}. Drop them (scamem ls), or choose "
        f"another section.{why}",
        section=number,
        objects=tuple(info.index for info in found),
    )


def _punch(seat: Seat, section: int, finish: Callable[[Member], int], blocks: int) -> int:
    """Return blocks of a section that this member changes to the system; return how many bytes.

    The system calls run without the GIL. On failure the change is given up (in_turn), and the next
    trim finds what still has memory.
    """
    size = seat.geometry
    length = size.block_frames * size.frame_bytes
    given = 0
    for block in range(size.section_blocks):
        if blocks >> block & 1:
            start = (section << size.section_shift) * size.frame_bytes + block * length
            seat.direct.punch(start, length)
            given += length
    finish(seat.member)
    return given


def trim(arena: Seated, keep: Size = 0) -> int:
    """Return free memory to the system, in whole blocks of 2 MiB.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> arena.zeros(8 << 20, np.uint8).nbytes
    8388608
    >>> arena.trim() > 0
    True

    Parameters
    ----------
    keep : free memory to keep: bytes, or text such as "64M".

    Returns
    -------
    int : bytes returned. Trimmed blocks get memory again when free frames run short.

    Raises
    ------
    OutOfMemoryError : a member that is stopped is changing a section.

    Cost: one transaction per online section, and 0.1 to 0.3 ms per block.
    """
    arena._seat.check_writable()
    seat = arena._seat
    seat.check_open()
    seat.member.reap()
    return trim_to(seat, bytes_of(keep), Patience(seat, "asked to trim the arena"))


def trim_to(seat: Seat, keep: int, waited: Patience | None) -> int:
    """Trim free memory beyond `keep` bytes. Without patience, skip sections that others change."""
    size = seat.geometry
    kept = -(-keep // size.frame_bytes)
    given = 0
    section = changes.find_section(seat.member, changes.TRIMMABLE, 0, size.sections)
    while section >= 0:
        given += _trim_section(seat, section, kept, waited)
        section = changes.find_section(seat.member, changes.TRIMMABLE, section + 1, size.sections)
    return given


def _trim_section(seat: Seat, section: int, kept: int, waited: Patience | None) -> int:
    while True:
        with in_turn(seat, waited) as mine:
            if not mine:
                return 0
            most = max(0, _free(seat) - kept) // seat.geometry.block_frames
            blocks = changes.begin_trim(seat.member, section, most)
            if blocks < L.STATUS:
                return _punch(seat, section, changes.finish_trim, blocks)
            if blocks == L.WRONG_STATE and _state_of(seat, section) == L.SECTION_STATE_OFFLINE:
                blocks = changes.begin_offline(seat.member, section, False)
                if blocks < L.STATUS:
                    return _punch(seat, section, changes.finish_offline, -1)
        if blocks != L.ONLINE_BUSY or waited is None:
            return 0
        waited.wait()


def _free(seat: Seat) -> int:
    return sum(room.free_frames(seat, zone) for zone in range(seat.geometry.zones))


def retention(seat: Seat) -> int:
    """Bytes of free memory that the arena keeps; see `Arena.retention`, and REST_S above."""
    return seat.member.read_word(L.RETENTION_FRAMES) * seat.geometry.frame_bytes


def set_retention(seat: Seat, nbytes: int) -> None:
    """Set how many bytes of free memory the arena keeps, for all members."""
    if nbytes < 0:
        raise ValueError(f"asked to keep {nbytes} bytes; a size is 0 or more")
    most = seat.geometry.frames
    frames = min(-(-nbytes // seat.geometry.frame_bytes), most)
    seat.member.set_word(L.RETENTION_FRAMES, frames)


def trim_surplus(seat: Seat) -> None:
    """Trim what a release noted as surplus; do nothing if there is none.

    Runs between two bytecodes of the main thread, inside any other code, so it never waits.
    """
    if not seat.is_usable() or seat.readonly or not seat.member.my_word(L.MINE_SURPLUS):
        return
    changes.forget_surplus(seat.member)
    seat.member.clean_now()
    since_s = int(time.monotonic()) - seat.member.read_word(L.POPULATED_S)
    if 0 <= since_s < REST_S:  # else a loop that allocates and frees a lot pays each time
        return
    try:
        trim_to(seat, retention(seat), None)
    except ScamemError:
        return  # not an error for the user: the next release notes the surplus again
