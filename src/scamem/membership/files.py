"""The files of an arena: created, found, and checked before they are trusted.

An anonymous arena lives in two memfds, a named one in a directory; after that there is no
difference. Before any word of a control file is trusted, its owner, type, mode and size are checked
(backing), and its magic, version, byte order, checksum and geometry (core).
"""

from __future__ import annotations

import os
import time
from array import array
from contextlib import ExitStack
from typing import NamedTuple

from scamem.backing import huge_pages, joining, places
from scamem.backing.files import SharedFile
from scamem.core.store import header as headers
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.core.store.words import WordArray
from scamem.errors import ArenaRefusedError, ArenaUnreachableError, OutOfMemoryError
from scamem.later import Later

reboot = Later("scamem.membership.reboot")

CONTROL_LABEL = "scamem-control-"
DEFAULT_LABEL = "scamem-default-"  # the control file of a process's default arena
FRAMES_LABEL = "scamem-frames-"
HUGE_LABEL = "scamem-huge-"


class Address(NamedTuple):
    """Where an arena is, as data: a handle carries it so that another process can join.

    Attributes
    ----------
    arena_id : 128 random bits.
    device, inode : of the control file.
    path : the directory of a named arena, "" for an anonymous one.
    candidates : (pid, descriptor of the control file) of members, best first.
    """

    arena_id: int
    device: int
    inode: int
    path: str
    candidates: tuple[tuple[int, int], ...]


class Files(NamedTuple):
    """The files of an arena. `huge` has the frames of zone HUGE, or is None."""

    control: SharedFile
    frames: SharedFile
    huge: SharedFile | None = None

    def close(self) -> None:
        """Close all of them; mappings remain."""
        for file in self:
            if file is not None:
                file.close()


def new_files(size: Geometry, path: str, label: str, settings: int = 0) -> Files:
    """Create the files of a new arena and write its header. Ownership: the caller's.

    The files of a named arena appear under its path only when they are complete.
    """
    arena_id = int.from_bytes(os.urandom(16), "little")
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
            f"asked for {huge_bytes:,} bytes of huge pages in the named arena {path}; they are "
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
    # The clock for transit; its value is valid for this boot, hence the boot id beside it.
    now_ns = time.monotonic_ns()
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


def read_header(control: SharedFile, *, any_boot: bool = False) -> array[int]:
    """Return a control file's first words; with `any_boot`, also if it is from before a reboot.

    Raises
    ------
    ArenaRefusedError : this version cannot use it as a control file; says why.
    """
    data = os.pread(control.descriptor(), L.SLOTS * L.WORD_BYTES, 0)
    words = array("Q", data[: len(data) // L.WORD_BYTES * L.WORD_BYTES])
    found = headers.header_problems(words, min(control.size // L.WORD_BYTES, _words(control)))
    if not found and not any_boot and not is_of_this_boot(words):
        found = ["it was written before the last restart of the machine"]
    if found:
        raise ArenaRefusedError(
            f"{control.path or control.label} is refused: {'; '.join(found)}. Nothing in it was "
            "changed; remove it, or use the version of scamem that made it",
            path=control.path or control.label,
            reason="header",
        )
    return words


def is_of_this_boot(words: WordArray) -> bool:
    """Return whether a header was written, or recovered, since the machine booted."""
    return words[L.HEADER_BOOT_LOW] | words[L.HEADER_BOOT_HIGH] << 64 == places.boot_id()


def _words(control: SharedFile) -> int:
    return os.fstat(control.descriptor()).st_size // L.WORD_BYTES


def open_named(name: str) -> Files:
    """Open the files of a named arena; recover them first if they are from an earlier boot.

    Ownership: the caller's.
    """
    control, frames = places.open_files(name)
    try:
        words = read_header(control, any_boot=True)
        expected = Geometry.from_words(words)
        if frames.size < expected.normal_frames * expected.frame_bytes:
            raise ArenaRefusedError(
                f"{frames.path} is refused: it has {frames.size:,} bytes, the header of the arena "
                f"needs {expected.normal_frames * expected.frame_bytes:,}",
                path=frames.path or "",
                reason="size",
            )
        if not is_of_this_boot(words):
            reboot.recover(control, expected)
    except BaseException:
        control.close()
        frames.close()
        raise
    return Files(control, frames)


def reach(address: Address) -> Files:
    """Open the files at a handle's address: by path, inherited, from the sender, from others.

    Raises
    ------
    ArenaUnreachableError : all ways failed; says what was tried, and what the user can do.
    """
    if address.path:
        files = open_named(address.path)
        if headers.arena_id(read_header(files.control)) == address.arena_id:
            return files
        files.close()
        raise ArenaUnreachableError(
            f"asked to join the arena at {address.path}; it is a different arena now: the arena "
            "of this handle was removed. Send the handle again from an existing arena"
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
