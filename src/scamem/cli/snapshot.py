"""A copy of the control file of a named arena at one moment, made without joining.

Nothing is stored in the arena, so this also works on a damaged one. The lock word is read before
and after the copy. It contains the slot of the member inside, and a ticket that grows each time. If
nobody was inside and the ticket is the same, no member stored anything meanwhile. If the same
member stays inside and nothing changes between two copies, it is stopped or dead. Its unfinished
changes are undone in the copy, as the next member would do in the arena.

Only parts that have memory are read: reading a hole through a mapping would allocate it.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from typing import Final

from scamem.backing import places
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import LockTimeoutError
from scamem.membership import files, image

PATIENCE_S: Final = 10.0
NAP_S: Final = 0.002
WORD: Final = struct.Struct("=Q")


@dataclass
class Snapshot:
    """A control file at one moment.

    Attributes
    ----------
    words : a copy, writable, of unsigned 64-bit words.
    inside : slot of the dead or stopped member that has the lock; 0: nobody.
    put_back : number of words that it had changed, which are restored in the copy.
    """

    geometry: Geometry
    path: str
    words: memoryview
    inside: int
    put_back: int

    def pid(self, slot: int) -> int:
        """Return the pid in a slot."""
        return int(self.words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID])


def take(name: str) -> Snapshot:
    """Copy the control file of a named arena.

    Raises
    ------
    ArenaNotFoundError, ArenaRefusedError : there is no such arena, or its header is invalid.
    LockTimeoutError : the arena changed all the time.
    """
    control = places.open_file(name, "control")
    try:
        geometry = Geometry.from_words(files.read_header(control, any_boot=True))
        fd = control.descriptor()
        words, inside = _still_copy(fd, geometry.control_words * L.WORD_BYTES)
        return Snapshot(
            geometry, control.path or name, words, inside, image.put_back(words) if inside else 0
        )
    finally:
        control.close()


def _still_copy(fd: int, nbytes: int) -> tuple[memoryview, int]:
    deadline = time.monotonic() + PATIENCE_S
    last: tuple[int, memoryview] | None = None
    while True:
        before = _lock_word(fd)
        words = image.copy(fd, nbytes)
        if _lock_word(fd) == before:
            slot = before & L.LOCK_SLOT_MASK
            if slot == 0:
                return words, 0
            if last is not None and last[0] == before and last[1] == words:
                return words, slot
            last = before, words
        if time.monotonic() > deadline:
            raise LockTimeoutError(
                f"could not copy the arena in a consistent state: its members changed it all the "
                f"time for {PATIENCE_S:g} s. Try again when they do less"
            )
        time.sleep(NAP_S)


def _lock_word(fd: int) -> int:
    """Return the lock word (holder and ticket) without its flags."""
    value: int = WORD.unpack(os.pread(fd, WORD.size, L.LOCK * L.WORD_BYTES))[0]
    return value & ~L.LOCK_FLAGS
