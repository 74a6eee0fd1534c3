"""Making room: more records of a table, more frames; what is tried before a MemoryError.

Frames, in this order: dead members are reaped and dying objects freed; loans in transit whose grace
is over and that nothing else keeps alive are given up; sections are brought online, head room
looked at first. Each is outside the arena's lock.
"""

from __future__ import annotations

import ctypes
import time
from typing import TYPE_CHECKING

from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.errors import ArenaDamagedError, OutOfMemoryError

if TYPE_CHECKING:
    from .attach import Attachment

PAGE_BYTES = 4096
TABLE_STEP_BYTES = 64 << 10
TABLE_STEP_BYTES_MAX = 4 << 20
ONLINE_TIMEOUT_S = 60.0
ONLINE_NAP_S = 0.001


def grow_table(made: Attachment, table: int) -> None:
    """Give memory to more records of a table.

    Raises
    ------
    OutOfMemoryError : the table is as large as the arena's geometry allows, or memory is short.
    """
    name, record_words, _ = TABLE_RECORDS[table]
    most = getattr(made.geometry, name)
    backed = made.member.read_word(L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED)
    kind = name.removesuffix("_max")
    if backed >= most:
        raise OutOfMemoryError(
            f"the arena has room for {most - 1:,} {kind}, and all are in use. Drop some, or create "
            "an arena of larger capacity",
            limit=f"{kind} of the arena",
        )
    record_bytes = record_words * L.WORD_BYTES
    step = min(max(TABLE_STEP_BYTES, backed * record_bytes), TABLE_STEP_BYTES_MAX)
    target = min(most, backed + step // record_bytes)
    _allocate_words(made, made.geometry.regions()[name].start, 0, target * record_words)
    made.member.extend_table(table, target)


def _allocate_words(made: Attachment, region: int, start: int, end: int) -> None:
    """Give memory to words [start, end) of a region of the control file, by whole pages."""
    first = (region + start) * L.WORD_BYTES // PAGE_BYTES * PAGE_BYTES
    last = -(-((region + end) * L.WORD_BYTES) // PAGE_BYTES) * PAGE_BYTES
    made.control.allocate(first, last - first)


def free_frames(made: Attachment, zone: int = L.ZONE_NORMAL) -> int:
    """Return the frames of a zone that nobody has and nobody was promised."""
    about = L.ZONES + L.ZONE_WORDS * zone
    member = made.member
    return member.read_word(about + L.ZONE_FREE) - member.read_word(about + L.ZONE_RESERVED)


def online_frames(made: Attachment, zone: int = L.ZONE_NORMAL) -> int:
    """Return how many frames of a zone are online; they are its lowest ones."""
    online = made.member.read_word(L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ONLINE)
    if online > made.geometry.sections:
        raise ArenaDamagedError(
            f"the arena is damaged: it says that {online:,} sections are online; it has "
            f"{made.geometry.sections:,}. Make a new one"
        )
    return online * made.geometry.section_frames


def clear_frames(made: Attachment, runs: list[tuple[int, int]]) -> None:
    """Fill the runs of an object that is still ALLOCATING with zeros: `init_on_alloc`.

    Why here, and not when an object is freed, as the kernel's init_on_free: every frame on its way
    to an owner passes through ALLOCATING, which is this member's alone, however often others died
    before it was reached; dying here leaves a DYING object, whose frames the next one to allocate
    clears again. DYING is nobody's: a clear of its frames by one member would meet the next owner's
    data when that member was stopped meanwhile. What is not promised: freed frames keep their bytes
    until they are given out again, or back to the system.
    """
    for start, count in runs:
        address = made.direct.writable_address + start * made.geometry.frame_bytes
        ctypes.memset(address, 0, count * made.geometry.frame_bytes)  # gives the GIL up


def find_frames(made: Attachment, frames: int, zone: int = L.ZONE_NORMAL) -> None:
    """See to it that `frames` frames are free, or say why they cannot be.

    Raises
    ------
    OutOfMemoryError : with the limit that was met, what was asked for and what is free.
    """
    member = made.member
    made.refresh_descriptors()
    member.reap()
    if free_frames(made, zone) >= frames:
        return
    member.expire(member.read_word(L.TRANSIT_GRACE_S))
    while free_frames(made, zone) < frames:
        if not _bring_section_online(made, frames, zone):
            raise _out_of_frames(made, frames, zone)


def _bring_section_online(made: Attachment, frames: int, zone: int) -> bool:
    """Bring one section online, or wait for another member's; False if there is none left."""
    member, size = made.member, made.geometry
    deadline_s = time.monotonic() + ONLINE_TIMEOUT_S
    section = member.begin_section(zone)
    while section == L.ONLINE_BUSY:
        member.reap()  # its owner may be dead
        section = member.begin_section(zone)
        if section != L.ONLINE_BUSY:
            break
        if free_frames(made, zone) >= frames:
            return True
        if time.monotonic() > deadline_s:
            owner = member.read_word(L.ONLINING) >> L.SHIFT_32
            pid = member.read_word(L.SLOTS + L.SLOT_WORDS * owner + L.SLOT_PID)
            raise OutOfMemoryError(
                f"asked for {frames:,} frames; the process {pid} has been bringing memory online "
                f"for {ONLINE_TIMEOUT_S:g} s and is alive, perhaps stopped. Let it go on, or end "
                "it",
                asked_bytes=frames * size.frame_bytes,
                limit="a stopped member",
            )
        time.sleep(ONLINE_NAP_S)
    if section == L.ALL_ONLINE:
        return False
    if section >= L.STATUS:
        raise _out_of_frames(made, frames, zone)
    try:
        _give_memory(made, section)
    except BaseException:
        member.abort_section()
        raise
    member.finish_section(zone)
    return True


def _give_memory(made: Attachment, section: int) -> None:
    """Give memory to a section's frames, memdescs and part of the tree."""
    size = made.geometry
    regions = size.regions()
    frames = size.section_frames
    tree = size.section_tree_words
    made.frames.allocate(section * frames * size.frame_bytes, frames * size.frame_bytes)
    _allocate_words(made, regions["memdescs"].start, section * frames, (section + 1) * frames)
    _allocate_words(made, regions["section_trees"].start, section * tree, (section + 1) * tree)


def _out_of_frames(made: Attachment, frames: int, zone: int) -> OutOfMemoryError:
    size = made.geometry
    free = free_frames(made, zone)
    loans = made.member.read_word(L.LOANS_COUNT)
    advice = "Drop objects (scamem ls lists them), or create an arena of larger capacity"
    if loans:
        advice += f"; {loans:,} loans are in transit: arena.reap(loans=True) gives up orphaned ones"
    return OutOfMemoryError(
        f"asked for {frames:,} frames ({frames * size.frame_bytes:,} bytes); {free:,} free of "
        f"{size.frames:,}; limit: the arena's capacity. {advice}",
        asked_bytes=frames * size.frame_bytes,
        free_bytes=free * size.frame_bytes,
        limit="capacity of the arena",
    )
