"""Attaching to an arena's files: making them, finding them, believing them, taking a slot.

Anonymous arenas live in two memfds, named ones in a directory; from then on there is no difference.
Before a word of a control file is believed its owner, type, mode and size (backing), and its magic,
version, byte order, checksum and geometry (core) are checked.
"""

from __future__ import annotations

import os
import secrets
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from scamem.address_space.map import DirectMap
from scamem.backing import head_room, huge_pages, joining, places, slot_locks, system
from scamem.backing.files import SharedFile
from scamem.core.store import header as headers
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.store.words import pair
from scamem.errors import (
    ArenaBusyError,
    ArenaRefusedError,
    ArenaUnreachableError,
    OutOfMemoryError,
)

from . import reboot
from .member import Member
from .room import Turns

CONTROL_LABEL = "scamem-control-"
DEFAULT_LABEL = "scamem-default-"  # the control file of a process's default arena
FRAMES_LABEL = "scamem-frames-"
HUGE_LABEL = "scamem-huge-"
RANGES_MAX = 65_530
GUEST_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Address:
    """Where an arena is, as data: what a handle carries so that another process can join.

    Attributes
    ----------
    arena_id : 128 random bits.
    device, inode : of the control file.
    path : directory of a named arena, "" of an anonymous one.
    candidates : (pid, descriptor of the control file) of members, best first.
    """

    arena_id: int
    device: int
    inode: int
    path: str
    candidates: tuple[tuple[int, int], ...]


@dataclass
class Attachment:
    """What a process has of an arena that it has joined."""

    arena_id: int
    geometry: Geometry
    control: SharedFile
    frames: SharedFile
    huge: SharedFile | None
    control_address: int
    direct: DirectMap
    member: Member
    path: str
    mine: int
    ranges: int
    settings: int
    changing: Turns = field(default_factory=Turns)

    def drop_private_memory(self) -> None:
        """Give the private memory back but for its first page, which says that the arena is closed.

        References that are deallocated later look there.
        """
        kept = system.PAGE_BYTES
        length = -(-self.geometry.private_words * L.WORD_BYTES // kept) * kept
        if length > kept:
            system.munmap(self.mine + kept, length - kept)
        system.munmap(self.ranges, RANGES_MAX * 2 * L.WORD_BYTES)

    def refresh_descriptors(self) -> None:
        """Look at the kept descriptors; find lost ones again, and say where they are now.

        Raises
        ------
        BlindError : no way leads to the control file.
        """
        fd = self.control.descriptor()
        self.member.set_my_word(L.MINE_CONTROL_FD, fd)


class Files(NamedTuple):
    """The files of an arena. `huge` has the frames of zone HUGE, where there is one."""

    control: SharedFile
    frames: SharedFile
    huge: SharedFile | None = None

    def close(self) -> None:
        """Close all of them; mappings stay."""
        for file in self:
            if file is not None:
                file.close()


def new_files(size: Geometry, path: str, label: str, settings: int = 0) -> Files:
    """Make the files of a new arena and write its header. Ownership: the caller's.

    The files appear under a named arena's path only when all of it is there.
    """
    arena_id = secrets.randbits(128)
    name = f"{arena_id:032x}"
    control_bytes = size.control_words * L.WORD_BYTES
    frame_bytes = size.normal_frames * size.frame_bytes
    huge_bytes = size.frames * size.frame_bytes - frame_bytes
    if not path:
        huge = huge_pages.memfd(HUGE_LABEL + name, huge_bytes) if huge_bytes else None
        control = SharedFile.memfd(label + name, control_bytes)
        frames = SharedFile.memfd(FRAMES_LABEL + name, frame_bytes)
        _write_header(size, arena_id, settings, Files(control, frames, huge))
        return Files(control, frames, huge)
    if huge_bytes:
        raise OutOfMemoryError(
            f"asked for {huge_bytes:,} bytes of huge pages in the named arena {path}; they lie in "
            "memory without a name. Use an anonymous arena (no name) and send handles of its "
            "objects, or huge=0",
            asked_bytes=huge_bytes,
            limit="huge pages of a named arena",
        )
    with places.creating(path) as made:
        control = made.create("control", control_bytes)
        frames = made.create("frames", frame_bytes)
        _write_header(size, arena_id, settings, Files(control, frames))
    return Files(control, frames)


def _write_header(size: Geometry, arena_id: int, settings: int, files: Files) -> None:
    control, frames, huge = files
    control.allocate(0, size.fixed_words() * L.WORD_BYTES)
    words = array("Q", bytes(L.SLOTS * L.WORD_BYTES))
    # The clock that transit counts by; a value of this boot, as is the boot id beside it.
    now_ns = _monotonic_ns()
    headers.write_header(words, size, arena_id, now_ns, settings)
    boot = places.boot_id()
    words[L.HEADER_BOOT_LOW] = boot & L.ALL_ONES
    words[L.HEADER_BOOT_HIGH] = boot >> 64
    words[L.HEADER_FRAMES_DEVICE] = frames.device
    words[L.HEADER_FRAMES_INODE] = frames.inode
    if huge is not None:
        words[L.HEADER_HUGE_DEVICE] = huge.device
        words[L.HEADER_HUGE_INODE] = huge.inode
    data = memoryview(words).cast("B")
    fd = control.descriptor()
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], done)


def _monotonic_ns() -> int:
    import time

    return time.monotonic_ns()


def read_header(control: SharedFile, *, any_boot: bool = False) -> array[int]:
    """Return a control file's first words; `any_boot`: also one from before a reboot.

    Raises
    ------
    ArenaRefusedError : it is no control file that this version can use; says why.
    """
    data = os.pread(control.descriptor(), L.SLOTS * L.WORD_BYTES, 0)
    words = array("Q", data[: len(data) // L.WORD_BYTES * L.WORD_BYTES])
    found = headers.header_problems(words, min(control.size // L.WORD_BYTES, _words(control)))
    if not found and not any_boot and not reboot.is_of_this_boot(words):
        found = ["it was written before the machine was started anew"]
    if found:
        raise ArenaRefusedError(
            f"{control.path or control.label} is refused: {'; '.join(found)}. Nothing in it was "
            "touched; remove it, or use the version of scamem that made it",
            path=control.path or control.label,
            reason="header",
        )
    return words


def _words(control: SharedFile) -> int:
    return os.fstat(control.descriptor()).st_size // L.WORD_BYTES


def open_named(name: str) -> Files:
    """Open the files of a named arena, recovered if they are of an earlier boot.

    Ownership: the caller's.
    """
    control, frames = places.open_files(name)
    try:
        words = read_header(control, any_boot=True)
        expected = Geometry.from_words(words)
        if frames.size < expected.normal_frames * expected.frame_bytes:
            raise ArenaRefusedError(
                f"{frames.path} is refused: it has {frames.size:,} bytes, the arena's header asks "
                f"for {expected.normal_frames * expected.frame_bytes:,}",
                path=frames.path or "",
                reason="size",
            )
        if not reboot.is_of_this_boot(words):
            reboot.recover(control, expected)
    except BaseException:
        control.close()
        frames.close()
        raise
    return Files(control, frames)


def reach(address: Address) -> Files:
    """Open an arena's files from a handle's address: path, inherited, the sender's, others'.

    Raises
    ------
    ArenaUnreachableError : all failed; says what was tried, and the ways out.
    """
    if address.path:
        files = open_named(address.path)
        if headers.arena_id(read_header(files.control)) == address.arena_id:
            return files
        files.close()
        raise ArenaUnreachableError(
            f"asked to join the arena at {address.path}; the one there now is another: the arena "
            "of this handle was removed. Send the handle again from a living arena"
        )

    def verify(file: SharedFile) -> str | None:
        try:
            found = headers.arena_id(read_header(file))
        except ArenaRefusedError as error:
            return str(error)
        return None if found == address.arena_id else "it is another arena"

    control = joining.reach(
        address.candidates,
        device=address.device,
        inode=address.inode,
        verify=verify,
        label=CONTROL_LABEL + f"{address.arena_id:032x}",
    )
    words = read_header(control)
    pids = [(pid, -1) for pid, _ in address.candidates]
    with ExitStack() as undo:
        undo.callback(control.close)
        found = [control]
        for device, inode, label in (
            (L.HEADER_FRAMES_DEVICE, L.HEADER_FRAMES_INODE, FRAMES_LABEL),
            (L.HEADER_HUGE_DEVICE, L.HEADER_HUGE_INODE, HUGE_LABEL),
        ):
            if words[inode] == 0:
                continue
            found.append(
                joining.reach(
                    pids,
                    device=words[device],
                    inode=words[inode],
                    verify=lambda _: None,
                    label=label + f"{address.arena_id:032x}",
                )
            )
            undo.callback(found[-1].close)
        undo.pop_all()
    return Files(*found)


def attach(files: Files) -> Attachment:
    """Map an arena's files and become a member of it.

    Raises
    ------
    ArenaRefusedError, OutOfMemoryError : as the checks and mappings say.
    ArenaBusyError : no slot is free, and no dead member's could be reaped.
    """
    control, frames, huge = files
    words = read_header(control)
    size = Geometry.from_words(words)
    control_bytes = size.control_words * L.WORD_BYTES
    path = os.path.dirname(control.path) if control.path else ""
    with ExitStack() as undo:  # a process that failed to join tries again with less
        mine = _private_memory(size.private_words * L.WORD_BYTES, undo)
        ranges = _private_memory(RANGES_MAX * 2 * L.WORD_BYTES, undo)
        size.describe_to(_words_at(mine, L.MINE_TABLES_AT))
        control_address = control.map(0, control_bytes)
        undo.callback(control.unmap, control_address, control_bytes)
        direct = DirectMap(frames) if huge is None else DirectMap(frames, huge)
        if direct.length != size.frames * size.frame_bytes:
            raise ArenaRefusedError(
                f"the arena's frame files have {direct.length:,} bytes, its header asks for "
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
        made = Attachment(
            headers.arena_id(words),
            size,
            control,
            frames,
            huge,
            control_address,
            direct,
            member,
            path,
            mine,
            ranges,
            words[L.HEADER_SETTINGS] & L.MASK_32,
        )
        member.init_on_alloc = bool(made.settings & L.SETTING_INIT_ON_ALLOC)
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


def take_slot(made: Attachment) -> None:
    """Lock a FREE slot's byte and join in its place, reaping dead members if there is none.

    Raises
    ------
    ArenaBusyError : every slot has a living member.
    """
    member, control = made.member, made.control
    descriptors = pair(control.descriptor(), made.frames.descriptor())
    for _ in range(2):
        slot = member.find_free_slot(0)
        while slot:
            page = _lock_byte(control, slot)
            if page:
                if member.join(slot, os.getpid(), descriptors):
                    member.set_my_word(L.MINE_SLOT_PAGE, page)
                    member.reap()
                    return
                slot_locks.let_go(page)
            slot = member.find_free_slot(slot)
        page = _lock_byte(control, L.SLOT_GUEST)  # busy: another joiner reaps
        if page:
            try:
                member.reap_as_guest()
            finally:
                slot_locks.let_go(page)
    raise ArenaBusyError(
        f"asked to join an arena whose {made.geometry.slots_max - L.SLOT_FIRST:,} slots all have "
        "living members. End some, or create the arena with more slots",
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
    import ctypes

    return memoryview((ctypes.c_uint64 * count).from_address(address)).cast("B").cast("Q")


def member_pids(member: Member) -> Iterator[tuple[int, int, int]]:
    """Yield (slot, pid, descriptors) of every slot in use, this process's too."""
    end = min(member.read_word(L.SLOTS_NEXT), member.my_word(L.MINE_SLOTS_MAX))
    for slot in range(L.SLOT_FIRST, end):
        about = L.SLOTS + L.SLOT_WORDS * slot
        if member.read_word(about + L.SLOT_STATE) & L.MASK_8 in (
            L.SLOT_STATE_ACTIVE,
            L.SLOT_STATE_FORKING,
        ):
            yield (
                slot,
                member.read_word(about + L.SLOT_PID),
                member.read_word(about + L.SLOT_DESCRIPTORS),
            )


def other_pids(member: Member) -> Sequence[int]:
    """Return the pids of the other members."""
    own = os.getpid()
    return [pid for _, pid, _ in member_pids(member) if pid not in (0, own)]


def address_of(made: Attachment) -> Address:
    """Return an arena's address for handles: this process first, then others."""
    own = (os.getpid(), made.control.descriptor())
    others: list[tuple[int, int]] = []
    if not made.path:
        for _, pid, descriptors in member_pids(made.member):
            if pid not in (0, own[0]) and len(others) < 3:
                others.append((pid, descriptors & L.MASK_32))
    return Address(
        made.arena_id,
        made.control.device,
        made.control.inode,
        made.path,
        (own, *others),
    )
