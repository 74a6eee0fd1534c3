"""Making room: more records of a table, more frames; what is tried before a MemoryError.

Frames, in this order: dead members are reaped and dying objects freed; loans in transit whose grace
is over and that nothing else keeps alive are given up; blocks that were trimmed get memory again;
sections are brought online. Head room is looked at first. Each is outside the arena's lock.

Sections are changed in turn. Between members the word CHANGING sees to that; it names a slot, so
the threads of one process, which have one, take turns by `Turns`: whoever is between the begin and
the finish of a change has the turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scamem.backing import huge_pages, system
from scamem.backing.nodes import memory_of_nodes
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS
from scamem.errors import ArenaDamagedError, OutOfMemoryError, ScamemError

from . import changes, lending

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
    return changes.zone_free(made.member, zone)


def online_frames(made: Attachment, zone: int = L.ZONE_NORMAL) -> int:
    """Return how many frames of a zone are in sections that are online."""
    online = made.member.read_word(L.ZONES + L.ZONE_WORDS * zone + L.ZONE_ONLINE)
    if online > made.geometry.spans[zone].sections:
        raise ArenaDamagedError(
            f"the arena is damaged: it says that {online:,} sections are online; zone {zone} has "
            f"{made.geometry.spans[zone].sections:,}. Make a new one"
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
    """See to it that `frames` frames of a zone are free, or say why they cannot be.

    Raises
    ------
    OutOfMemoryError : with the limit that was met, what was asked for and what is free.
    """
    member = made.member
    made.refresh_descriptors()
    member.reap()
    if free_frames(made, zone) >= frames:
        return
    lending.expire(member, member.read_word(L.TRANSIT_GRACE_S))
    while free_frames(made, zone) < frames:
        if not _add_memory(made, frames, zone):
            raise _out_of_frames(made, frames, zone)


def _add_memory(made: Attachment, frames: int, zone: int) -> bool:
    """Populate or bring online one section, or wait for another member; False: nothing is left."""
    member, size = made.member, made.geometry
    first = size.first_section(zone)
    end = first + size.spans[zone].sections
    waited = Patience(made, f"asked for {frames:,} frames")
    while True:
        with in_turn(made, waited):
            if free_frames(made, zone) >= frames:
                return True
            section = changes.find_section(member, changes.ABSENT, first, end)
            step = changes.POPULATE_BEGIN
            if section < 0:
                section = changes.find_section(member, changes.OFFLINE, first, end)
                step = changes.ONLINE_BEGIN
            if section >= 0:
                status = changes.change(member, step, section)
            elif member.read_word(L.CHANGING) == 0:
                return False
            else:
                status = L.ONLINE_BUSY  # perhaps the last one there is comes online just now
            if status < L.STATUS:
                if step == changes.POPULATE_BEGIN:
                    populate(made, section, status)
                else:
                    bring_online(made, section)
                return True
        if status == L.ONLINE_BUSY:
            waited.wait()


class Patience:
    """Waiting for whoever changes a section: a dead member is reaped, nobody awaited for ever.

    Parameters
    ----------
    wanted : what was asked for, as the error begins.
    """

    def __init__(self, made: Attachment, wanted: str) -> None:
        self.made = made
        self.wanted = wanted
        self.deadline_s = time.monotonic() + ONLINE_TIMEOUT_S

    def wait(self, *, nap: bool = False) -> None:
        """Look who is dead and nap; with `nap` also if nobody changes a section.

        Raises
        ------
        OutOfMemoryError : a living member has been changing sections for too long.
        ArenaDamagedError : the one that is said to be changing one is no member.
        """
        member = self.made.member
        member.reap()
        if changes.changed_by_nobody(member):
            raise ArenaDamagedError(
                f"the arena is damaged: {self.wanted}, and a section is said to be changed by who "
                "is no member. Nothing was changed; `scamem check` says more. Make a new arena"
            )
        owner = member.read_word(L.CHANGING) >> L.SHIFT_32
        if not owner:
            if nap:
                time.sleep(ONLINE_NAP_S)
            return
        if time.monotonic() > self.deadline_s:
            pid = member.read_word(L.SLOTS + L.SLOT_WORDS * owner + L.SLOT_PID)
            raise self.too_long(f"the process {pid}", "a stopped member")
        time.sleep(ONLINE_NAP_S)

    def too_long(self, who: str, limit: str) -> OutOfMemoryError:
        """Return the error for a wait without an end."""
        return OutOfMemoryError(
            f"{self.wanted}; {who} has been bringing memory online or offline for "
            f"{ONLINE_TIMEOUT_S:g} s and is alive, perhaps stopped. Let it go on, or end it",
            limit=limit,
        )


class Turns:
    """Which thread of this process changes a section; fork gives the child one that nobody has."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0  # how often the thread that has the turn took it


@contextlib.contextmanager
def in_turn(made: Attachment, waited: Patience | None) -> Iterator[bool]:
    """Have the turn for the body, from the begin of a change to its finish.

    Yields whether it is this thread's turn. What the body began is given up if it raises.

    Parameters
    ----------
    waited : how long to wait for another thread, and what for; None: not at all, then False is
        yielded if another thread has the turn or this one is in the middle of a change.

    Raises
    ------
    OutOfMemoryError : another thread has had the turn for too long; or this very thread is changing
        a section: this is a signal handler or finalizer that runs inside that.
    """
    turns = made.changing
    left_s = 0.0 if waited is None else max(0.0, waited.deadline_s - time.monotonic())
    if not turns.lock.acquire(blocking=waited is not None, timeout=left_s if waited else -1):
        if waited is not None:
            raise waited.too_long("another thread of this process", "another thread")
        yield False
        return
    turns.depth += 1
    try:
        if turns.depth == 1:
            changes.give_up(made.member)  # what could not be given up when it failed
        elif changes.is_changing(made.member):
            if waited is not None:
                raise OutOfMemoryError(
                    f"{waited.wanted} inside of a change of a section by the same thread, from a "
                    "signal handler or finalizer. Allocate outside of these",
                    limit="a change under way",
                )
            yield False
            return
        try:
            yield True
        except BaseException:
            with contextlib.suppress(ScamemError):  # whoever has the turn next gives it up
                changes.give_up(made.member)
            raise
    finally:
        turns.depth -= 1
        turns.lock.release()


def bring_online(made: Attachment, section: int) -> None:
    """Give memory to a section that this member has made ONLINING, and make its frames free.

    Needs: the turn.
    """
    size = made.geometry
    regions = size.regions()
    frames = size.section_frames
    tree = size.section_tree_words
    _allocate_frames(made, section, section * frames, frames)
    _allocate_words(made, regions["memdescs"].start, section * frames, (section + 1) * frames)
    _allocate_words(made, regions["section_trees"].start, section * tree, (section + 1) * tree)
    changes.change(made.member, changes.ONLINE_FINISH)


def populate(made: Attachment, section: int, blocks: int) -> None:
    """Give memory to the absent blocks of a section that this member has made POPULATING.

    Needs: the turn.
    """
    size = made.geometry
    first = section * size.section_frames
    for block in range(size.section_blocks):
        if blocks >> block & 1:
            start = first + block * size.block_frames
            _allocate_frames(made, section, start, size.block_frames)
    changes.change(made.member, changes.POPULATE_FINISH)
    made.member.set_word(L.POPULATED_S, int(time.monotonic()))


def _allocate_frames(made: Attachment, section: int, start: int, frames: int) -> None:
    """Give frames memory of their node, where this machine has it."""
    size = made.geometry
    offset, length = start * size.frame_bytes, frames * size.frame_bytes
    node = size.spans[size.zone_of_section(section)].node
    real = memory_of_nodes()
    if len(real) > 1:
        # Where it is not permitted or not known memory comes from where the kernel likes:
        # page_to_nid(verify=True) tells.
        with contextlib.suppress(OSError):
            system.bind(made.direct.address + offset, length, node if node in real else 0)
    file, within = made.direct.file_of(offset)
    if file is made.huge:
        huge_pages.allocate(file, within, length)
    else:
        file.allocate(within, length)


def _out_of_frames(made: Attachment, frames: int, zone: int) -> OutOfMemoryError:
    size = made.geometry
    span = size.spans[zone]
    free = free_frames(made, zone)
    loans = made.member.read_word(L.LOANS_COUNT)
    advice = "Drop objects (scamem ls lists them), or create an arena of larger capacity"
    if loans:
        advice += f"; {loans:,} loans are in transit: arena.reap(loans=True) gives up orphaned ones"
    where = "" if size.zones == 1 else f" on node {span.node}"
    return OutOfMemoryError(
        f"asked for {frames:,} frames ({frames * size.frame_bytes:,} bytes){where}; {free:,} free "
        f"of {span.sections << size.section_shift:,}; limit: the arena's capacity. {advice}",
        asked_bytes=frames * size.frame_bytes,
        free_bytes=free * size.frame_bytes,
        limit="capacity of the arena",
    )
