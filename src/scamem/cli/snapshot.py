"""A copy of a named arena's control file as it was at one moment, made without joining.

Nothing is stored in the arena, so it works on a damaged one too. The lock word is read before and
after: it holds the slot of who is inside, and a ticket that is larger each time; if nobody was
inside and the ticket is the same, no member stored anything meanwhile. If the same member stays
inside and nothing changes between two copies, it is stopped or dead: what it had begun is put back
in the copy, as the next member would do in the arena.

Only what has memory is read: a mapping would give memory to every hole that is looked at.
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
    inside : slot of the member that is inside the lock and does not move; 0: nobody.
    put_back : words that it had changed, and that are as before in the copy.
    """

    geometry: Geometry
    path: str
    words: memoryview
    inside: int
    put_back: int

    def pid(self, slot: int) -> int:
        """Return the pid that is written in a slot."""
        return int(self.words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID])


def take(name: str) -> Snapshot:
    """Copy the control file of a named arena.

    Raises
    ------
    ArenaNotFoundError, ArenaRefusedError : there is none, or not one that can be believed.
    LockTimeoutError : the arena was never still for long enough.
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
                f"the arena was changed all the time for {PATIENCE_S:g} s, so that it could not be "
                "copied at one moment. Try again when its members do less"
            )
        time.sleep(NAP_S)


def _lock_word(fd: int) -> int:
    """Return who is inside the lock, and its ticket, without the flags."""
    value: int = WORD.unpack(os.pread(fd, WORD.size, L.LOCK * L.WORD_BYTES))[0]
    return value & ~L.LOCK_FLAGS
