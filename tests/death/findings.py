"""What the seven rules say of an arena at rest, read from its control file."""

from __future__ import annotations

import mmap
import os
from array import array

from scamem import Arena
from scamem.core import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry


def findings(arena: Arena) -> list[str]:
    """Findings of I1 to I7; nobody may be at work in the arena meanwhile.

    Only what has data is read: a copy of a file of 100 MB that is nearly all holes costs nothing.
    """
    control = arena._made.control
    size = control.size
    words = mmap.mmap(-1, size)
    view = memoryview(words)
    fd = os.open(f"/proc/self/fd/{control.descriptor()}", os.O_RDONLY)  # its own file position
    try:
        at = 0
        while at < size:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break  # holes to the end
            at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            done = start
            while done < at:
                done += os.preadv(fd, [view[done:at]], done)
    finally:
        os.close(fd)
    mine = array("Q", bytes(L.MINE_TABLES_AT * L.WORD_BYTES))
    Geometry.from_words(view[: L.SLOTS * L.WORD_BYTES].cast("Q")).describe_to(mine)
    return [str(finding) for finding in check.check(view.cast("Q"), mine)]
