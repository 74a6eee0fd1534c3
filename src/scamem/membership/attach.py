"""Attach to an arena: map its files, and become a member."""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from contextlib import ExitStack

from scamem.address_space.map import DirectMap
from scamem.backing import head_room, slot_locks, system
from scamem.backing.files import SharedFile
from scamem.core.store import header as headers
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.store.words import pair
from scamem.errors import ArenaBusyError, ArenaRefusedError

from .files import Files, read_header
from .member import Member
from .seat import RANGES_MAX, Seat, other_pids

PIDS_SHOWN = 5


def attach(files: Files, *, readonly: bool = False) -> Seat:
    """Map an arena's files and become a member of it. `readonly`: map the frames read-only.

    Raises
    ------
    ArenaRefusedError : the files do not fit its header.
    OutOfMemoryError : no memory or address space for the mappings.
    ArenaBusyError : no slot is free, and no dead member's slot could be reaped.
    """
    control = files.control
    words = read_header(control)
    size = Geometry.from_words(words)
    control_bytes = size.control_words * L.WORD_BYTES
    with ExitStack() as undo:  # a process that failed to join may try again with less memory
        mine = _private_memory(size.private_words * L.WORD_BYTES, undo)
        ranges = _private_memory(RANGES_MAX * 2 * L.WORD_BYTES, undo)
        size.describe_to(_words_at(mine, L.MINE_TABLES_AT))
        control_address = control.map(0, control_bytes)
        undo.callback(control.unmap, control_address, control_bytes)
        direct = DirectMap(*(file for file in files[1:] if file), writable=not readonly)
        if direct.length != size.frames * size.frame_bytes:
            raise ArenaRefusedError(
                f"the arena's frame files have {direct.length:,} bytes, its header needs "
                f"{size.frames * size.frame_bytes:,}",
                reason="size",
            )
        undo.callback(direct.close)
        member = Member(control_address, mine)
        member.set_my_word(L.MINE_CONTROL_FD, control.descriptor())
        member.set_my_word(L.MINE_CONTROL_DEVICE, control.device)
        member.set_my_word(L.MINE_CONTROL_INODE, control.inode)
        member.set_my_word(L.MINE_RANGES, ranges)
        member.set_my_word(L.MINE_RANGES_MAX, RANGES_MAX)
        made = Seat(
            headers.arena_id(words),
            size,
            files,
            control_address,
            direct,
            member,
            words[L.HEADER_SETTINGS] & L.MASK_32,
        )
        member.seat = made
        member.descriptors = tuple(file.kept for file in files if file is not None)
        member.private_bytes = size.private_words * L.WORD_BYTES
        member.direct_address = direct.address
        member.init_on_alloc = made.init_on_alloc
        member.fast_zone = _fast_zone(made)
        member.set_my_word(L.MINE_DIRECT, direct.address)
        member.find_descriptor = made.refresh_descriptors
        member.add_range(control_address, control_bytes)
        for address, length in direct.ranges():
            member.add_range(address, length)
        take_slot(made)
        undo.pop_all()
    control.other_pids = lambda: other_pids(member)
    for file in direct.files:
        file.other_pids = control.other_pids
    return made


def _fast_zone(made: Seat) -> int:
    """Return the zone for small allocations without a choice; a status if there is a choice."""
    if made.readonly:
        return L.STATUS  # allocate() refuses
    plain = made.default_node is None and made.default_zone in (None, "NORMAL")
    normal = [span for span in made.geometry.spans if span.kind == L.KIND_NORMAL]
    return L.ZONE_NORMAL if plain and len(normal) == 1 else L.STATUS


def take_slot(made: Seat) -> None:
    """Lock the byte of a FREE slot and join there; if there is none, reap dead members first.

    Raises
    ------
    ArenaBusyError : every slot has a living member; names their pids.
    """
    member, control = made.member, made.control
    descriptors = pair(control.descriptor(), made.frames.descriptor())
    for _ in range(2):
        slot = member.find_free_slot(0)
        while slot:
            page = _lock_byte(control, slot)
            if page:
                with ExitStack() as undo:
                    undo.callback(slot_locks.let_go, page)
                    undo.callback(member.abandon)
                    if member.join(slot, os.getpid(), descriptors):
                        member.set_my_word(L.MINE_SLOT_PAGE, page)
                        member.reap()
                        member.enter_table()
                        undo.pop_all()
                        return
            slot = member.find_free_slot(slot)
        page = _lock_byte(control, L.SLOT_GUEST)  # busy: another joiner reaps
        if page:
            try:
                member.reap_as_guest()
            finally:
                slot_locks.let_go(page)
    raise _busy(made)


def _busy(made: Seat) -> ArenaBusyError:
    """Return an error that names the processes that have the slots."""
    limit = made.geometry.slots_max - L.SLOT_FIRST
    words = _words_at(made.control_address, L.SLOTS + L.SLOT_WORDS * made.geometry.slots_max)
    slots = range(L.SLOTS + L.SLOT_WORDS * L.SLOT_FIRST, len(words), L.SLOT_WORDS)
    by_pid = Counter(words[at + L.SLOT_PID] for at in slots if words[at + L.SLOT_PID])
    most = [
        f"{pid} ({count:,} slots)" if count > 1 else str(pid)
        for pid, count in by_pid.most_common(PIDS_SHOWN)
    ]
    more = f" and {len(by_pid) - PIDS_SHOWN:,} more" if len(by_pid) > PIDS_SHOWN else ""
    return ArenaBusyError(
        f"asked to join an arena whose {limit:,} slots are all used by living members: pid "
        f"{', '.join(most)}{more}. End some of them, let them close() the arena and drop its "
        "arrays, or create an arena with more slots (Arena.create(slots=)). `scamem ls`, `stat` "
        "and `check` need no slot",
        members=by_pid.total(),
        limit=limit,
    )


def _lock_byte(control: SharedFile, slot: int) -> int:
    try:
        return slot_locks.hold_slot(control.descriptor(), control.device, control.inode, slot)
    except BlockingIOError:
        return 0


def _private_memory(wanted_bytes: int, undo: ExitStack) -> int:
    nbytes = -(-wanted_bytes // system.PAGE_BYTES) * system.PAGE_BYTES
    flags = system.MAP_PRIVATE | system.MAP_ANONYMOUS | system.MAP_NORESERVE
    protection = system.PROT_READ | system.PROT_WRITE
    try:
        address = system.mmap(None, nbytes, protection, flags, -1, 0)
    except OSError as error:
        raise head_room.address_space_error(nbytes) from error
    undo.callback(system.munmap, address, nbytes)
    return address


def _words_at(address: int, count: int) -> memoryview:
    return memoryview((ctypes.c_uint64 * count).from_address(address)).cast("B").cast("Q")
