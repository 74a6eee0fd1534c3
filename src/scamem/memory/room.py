"""Make room before raising a MemoryError: more records in a table, or more frames.

Steps for frames, in this order: reap dead members and free dying objects; drop loans in transit
whose grace is over, if they are the last holders; give memory to trimmed blocks again; bring
sections online. Head room is checked first. All of it runs outside the arena's lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import time

from scamem.backing import huge_pages, system
from scamem.backing.numa import memory_of_nodes
from scamem.backing.text import counted, sized
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.errors import OutOfMemoryError
from scamem.looks import frames as looks
from scamem.membership import lending
from scamem.membership.seat import Seat

from . import changes
from .turns import Patience, in_turn

TABLE_STEP_BYTES = 64 << 10
TABLE_STEP_BYTES_MAX = 4 << 20
# by table
RECORDS = ("objects", "holders", "runs", "loans", "names", "queues", "items", "consumers of queues")


def make_room(seat: Seat, status: int, frames: int = 0, zone: int = L.ZONE_NORMAL) -> None:
    """Do what a status of the core asks for, so that the caller can try again; or raise."""
    if status == L.NO_FRAMES:
        find_frames(seat, frames, zone)
    elif L.NO_RECORDS <= status < L.NO_RECORDS + L.TABLES_COUNT:
        grow_table(seat, status - L.NO_RECORDS)
    else:
        raise seat.member.error_of(status)


def grow_table(seat: Seat, table: int) -> None:
    """Give memory to more records of a table.

    Raises
    ------
    OutOfMemoryError : the table has the size that the geometry allows, or memory is short.
    """
    name, record_words, _ = TABLE_RECORDS[table]
    most = getattr(seat.geometry, name)
    backed = seat.member.read_word(L.TABLES + L.TABLE_WORDS * table + L.TABLE_BACKED)
    kind = name.removesuffix("_max")
    if backed >= most:
        raise OutOfMemoryError(
            f"the arena has room for {most - 1:,} {RECORDS[table]}, and all are in use. "
            f"{_advice(seat, table)}",
            limit=f"{kind} of the arena",
        )
    record_bytes = record_words * L.WORD_BYTES
    step = min(max(TABLE_STEP_BYTES, backed * record_bytes), TABLE_STEP_BYTES_MAX)
    target = min(most, backed + step // record_bytes)
    _allocate_words(seat, seat.geometry.regions()[name].start, 0, target * record_words)
    seat.member.extend_table(table, target)


def _advice(seat: Seat, table: int) -> str:
    """Return what to do about a table that cannot grow."""
    if table == L.TABLE_ITEMS:
        return "Take items from its queues, or give them a maxsize="
    if table != L.TABLE_AREAS:
        return "Drop some, or create an arena of larger capacity"
    least = L.AREAS_MIN * L.AREA_FRAMES * seat.geometry.frame_bytes
    larger = 2 * max(least, seat.capacity)
    advice = "Unpublish some, or publish several values under one name (arena[name] = a dict)"
    if seat.geometry.areas_max < L.AREAS_MAX:
        advice += (
            f". An arena of more than {sized(least)} has a name for each "
            f"{sized(L.AREA_FRAMES * seat.geometry.frame_bytes)} of capacity: create one with "
            f"capacity={larger}"
        )
    return advice


def _allocate_words(seat: Seat, region: int, start: int, end: int) -> None:
    """Give memory to words [start, end) of a region of the control file, by whole pages."""
    first = (region + start) * L.WORD_BYTES // L.FRAME_BYTES * L.FRAME_BYTES
    last = -(-((region + end) * L.WORD_BYTES) // L.FRAME_BYTES) * L.FRAME_BYTES
    seat.control.allocate(first, last - first)


def free_frames(seat: Seat, zone: int = L.ZONE_NORMAL) -> int:
    """Return how many frames of a zone are free and not reserved."""
    return looks.zone_free(seat.member, zone)


def clear_frames(seat: Seat, runs: list[tuple[int, int]]) -> None:
    """Fill the runs of an object that is still ALLOCATING with zeros, for `init_on_alloc`.

    Why not when an object is freed, as in the kernel's init_on_free: every frame on its way to an
    owner passes through ALLOCATING. This state belongs to this member alone, however many others
    died before it was reached. If this member dies here, it leaves a DYING object, and the next
    owner clears its frames again. DYING belongs to no member: one that was stopped while it cleared
    such frames would later overwrite the next owner's data. Not promised: freed frames keep their
    bytes until they are allocated again, or returned to the system.
    """
    for start, count in runs:
        address = seat.direct.writable_address + start * seat.geometry.frame_bytes
        ctypes.memset(address, 0, count * seat.geometry.frame_bytes)  # gives the GIL up


def find_frames(seat: Seat, frames: int, zone: int = L.ZONE_NORMAL) -> None:
    """Make `frames` frames of a zone free, or say why that is not possible.

    Raises
    ------
    OutOfMemoryError : names the limit, what was asked for, and what is free.
    """
    member = seat.member
    seat.refresh_descriptors()
    member.reap()
    if free_frames(seat, zone) >= frames:
        return
    lending.expire(member, member.read_word(L.TRANSIT_GRACE_S))
    while free_frames(seat, zone) < frames:
        if not _add_memory(seat, frames, zone):
            raise _out_of_frames(seat, frames, zone)


def _add_memory(seat: Seat, frames: int, zone: int) -> bool:
    """Populate or bring online some blocks, or wait for another member; False: none is left."""
    member, size = seat.member, seat.geometry
    first = size.first_section(zone)
    end = first + size.spans[zone].sections
    waited = Patience(seat, f"asked for {counted(frames, 'frame')}")
    while True:
        with in_turn(seat, waited):
            lacking = frames - free_frames(seat, zone)
            if lacking <= 0:
                return True
            section = changes.find_section(member, changes.ABSENT, first, end)
            if section >= 0 and section == seat.emptied:
                section = changes.find_section(member, changes.ABSENT, section + 1, end)
            if section >= 0:
                most = _step(seat, zone, section, lacking)
                status = changes.begin_populate(member, section, most)
                if status < L.STATUS:
                    populate(seat, zone, section, status)
                    return True
            else:
                section = changes.find_section(member, changes.OFFLINE, first, end)
                if section >= 0:
                    blocks = (1 << _step(seat, zone, section, lacking)) - 1
                    status = changes.begin_online(member, section, blocks)
                    if status < L.STATUS:
                        bring_online(seat, section, blocks)
                        return True
                elif member.read_word(L.CHANGING) == 0:
                    return False
                else:
                    status = L.ONLINE_BUSY  # the last section may be coming online just now
        if status == L.ONLINE_BUSY:
            waited.wait()


def _online_sections(seat: Seat, zone: int) -> int:
    return seat.member.read_word(L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ONLINE)


def _step(seat: Seat, zone: int, section: int, lacking: int) -> int:
    """Return how many blocks of a section to bring next, for a zone that lacks some frames.

    A zone's first section comes in steps that double, since the first small object of a program
    should not wait until 8 MiB are cleared. Later sections come as a whole.
    """
    size = seat.geometry
    online = _online_sections(seat, zone)
    state = looks.section_words(seat.member, section, 1)[0]
    if online == 0:
        present = 1
    elif online == 1 and state & L.MASK_8 == L.SECTION_STATE_ONLINE:
        absent = state >> L.SECTION_ABSENT_SHIFT & L.MASK_16
        present = size.section_blocks - absent.bit_count()
    else:
        present = size.section_blocks
    return min(max(present, 1, -(-lacking // size.block_frames)), size.section_blocks)


def bring_online(seat: Seat, section: int, blocks: int) -> None:
    """Give memory to blocks of a section that this member has set to ONLINING; free their frames.

    Needs: the turn.
    """
    size = seat.geometry
    regions = size.regions()
    frames = size.section_frames
    tree = size.section_tree_words
    _allocate_blocks(seat, section, blocks)
    _allocate_words(seat, regions["memdescs"].start, section * frames, (section + 1) * frames)
    _allocate_words(seat, regions["section_trees"].start, section * tree, (section + 1) * tree)
    changes.finish_online(seat.member, blocks)


def populate(seat: Seat, zone: int, section: int, blocks: int) -> None:
    """Give memory to absent blocks of a section that this member has set to POPULATING.

    Needs: the turn.
    """
    _allocate_blocks(seat, section, blocks)
    changes.finish_populate(seat.member, blocks)
    if _online_sections(seat, zone) > 1:  # else it is the first section that grows: see _step
        seat.member.set_word(L.POPULATED_S, int(time.monotonic()))


def _allocate_blocks(seat: Seat, section: int, blocks: int) -> None:
    """Give blocks of a section memory, those beside each other at once."""
    size = seat.geometry
    first = section * size.section_frames
    while blocks:
        skipped = (blocks & -blocks).bit_length() - 1
        count = (~(blocks >> skipped) & (blocks >> skipped) + 1).bit_length() - 1
        start = first + skipped * size.block_frames
        _allocate_frames(seat, section, start, count * size.block_frames)
        blocks &= ~((1 << count) - 1 << skipped)


def _allocate_frames(seat: Seat, section: int, start: int, frames: int) -> None:
    """Give frames memory on their node, if this machine has that node."""
    size = seat.geometry
    offset, length = start * size.frame_bytes, frames * size.frame_bytes
    real = memory_of_nodes()
    node: int | None = None  # the kernel chooses
    if len(real) > 1:
        asked = size.spans[size.zone_of_section(section)].node
        node = asked if asked in real else 0
    file, within = seat.direct.file_of(offset)
    if file is seat.huge:
        huge_pages.allocate(file, within, length, node)
        return
    if node is not None:
        # If that is not permitted, the kernel chooses: page_to_nid(verify=True) shows where.
        with contextlib.suppress(OSError):
            system.bind(seat.direct.address + offset, length, node)
    file.allocate(within, length)


def _out_of_frames(seat: Seat, frames: int, zone: int) -> OutOfMemoryError:
    size = seat.geometry
    span = size.spans[zone]
    free = free_frames(seat, zone)
    loans = seat.member.read_word(L.LOANS_COUNT)
    advice = "Drop objects (scamem ls lists them), or create an arena of larger capacity"
    if loans:
        there = counted(loans, "loan")
        advice += f"; {there} in transit: arena.reap(loans=True) drops orphaned ones"
    where = "" if size.zones == 1 else f" on node {span.node}"
    return OutOfMemoryError(
        f"asked for {counted(frames, 'frame')} ({frames * size.frame_bytes:,} bytes){where}; "
        f"{free:,} free of {span.sections << size.section_shift:,}; limit: the arena's capacity. "
        f"{advice}",
        asked_bytes=frames * size.frame_bytes,
        free_bytes=free * size.frame_bytes,
        limit="capacity of the arena",
    )
