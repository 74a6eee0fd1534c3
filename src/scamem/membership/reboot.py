"""A named arena from before a reboot: made usable, or refused untouched.

State. The header's boot id. What another boot wrote belongs to no process: its members are dead by
the usual test (no slot's byte is locked). So the lock, the rest of the journal, their records and
everything they owned are taken over and reaped by the next process that joins. What a reboot
changes beside that is the clock: CLOCK_MONOTONIC starts again, and old times have no meaning.

Steps, behind the arena's door and with every slot's byte locked. Copy the file. In the copy, undo
what was begun, since a later roll-back would restore old times; and count loans in transit, and the
ages of names and loans, from now. Run `check`. If it finds nothing: store the words that differ,
and the journal's length after everything that it covers; sync the file to disk; store the boot id,
low half first.

Why safe: until both halves of the boot id are stored, the next opener repeats everything, from the
file's words, and each step gives the same words again, except for a later `now`. A journal whose
length still counts is undone again. No process works in the arena before that, since the boot id is
checked first. If the recovering process dies, the kernel unlocks door and slots.

After a power failure no process can know whether everything that was written reached the disk:
therefore `check` runs before anything is stored.

Another machine's arena on a shared file system looks the same; a slot that it has locked is seen if
the file system supports locks. Keep arenas on a file system of this machine.
"""

from __future__ import annotations

import os
import time

from scamem.backing import places
from scamem.backing.files import SharedFile
from scamem.backing.text import counted
from scamem.core import walk
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.errors import ArenaRefusedError

from . import image
from .files import is_of_this_boot

DOOR_TIMEOUT_S = 30.0


def recover(control: SharedFile, geometry: Geometry) -> None:
    """Make an arena of an earlier boot one of this boot; other processes may be trying the same.

    Raises
    ------
    ArenaRefusedError : it was not written completely; nothing was changed.
    ArenaBusyError : a process has one of its slots nevertheless.
    LockTimeoutError : another process has been recovering it for too long.
    """
    with places.door(control, DOOR_TIMEOUT_S):
        fd = control.descriptor()
        if is_of_this_boot(image.copy(fd, L.HEADER_WORDS * L.WORD_BYTES)):
            return  # another process was faster
        with places.without_members(control, geometry.slots_max):
            _recover(fd, control.path or control.label, geometry)


def _recover(fd: int, path: str, geometry: Geometry) -> None:
    nbytes = geometry.control_words * L.WORD_BYTES
    before, words = image.copy(fd, nbytes), image.copy(fd, nbytes)
    mine = image.private_words(geometry)
    if words[L.LOCK] & L.LOCK_SLOT_MASK:
        image.put_back(words)
    found = check(words, mine)
    if found:
        raise ArenaRefusedError(
            f"{path} is refused: the machine restarted while it was being written, and not all "
            f"of it reached the disk ({found[0].place}: {found[0].message}; "
            f"{counted(len(found), 'finding')}). Nothing was changed. `scamem check --repair` may "
            "repair it; else remove it",
            path=path,
            reason="damaged",
        )
    restart_clock(words, mine, time.monotonic_ns())
    changed = [at for at in image.changed(before, words) if at != L.JOURNAL_LENGTH]
    image.write_words(fd, words, [*changed, L.JOURNAL_LENGTH])
    os.fsync(fd)
    boot = places.boot_id()
    image.write_word(fd, L.HEADER_BOOT_LOW, boot & L.ALL_ONES)
    image.write_word(fd, L.HEADER_BOOT_HIGH, boot >> 64)


def restart_clock(words: memoryview, mine: walk.Image, now_ns: int) -> None:
    """Count all ages from now: of the arena, of loans in transit, and of the rest."""
    words[L.HEADER_CREATED_NS] = now_ns
    for record in range(1, walk.table_end(words, mine, L.TABLE_HOLDERS)):
        at = walk.place(mine, L.TABLE_HOLDERS, record)
        if words[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT == L.HOLDER_TRANSIT:
            words[at + L.HOLDER_LOANS] &= L.MASK_32
    for loan in range(1, walk.table_end(words, mine, L.TABLE_LOANS)):
        words[walk.place(mine, L.TABLE_LOANS, loan) + L.LOAN_LENT_NS] = now_ns
    for area in range(1, walk.table_end(words, mine, L.TABLE_AREAS)):
        words[walk.place(mine, L.TABLE_AREAS, area) + L.AREA_PUBLISHED_NS] = now_ns
