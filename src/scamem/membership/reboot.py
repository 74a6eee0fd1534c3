"""A named arena from before the machine was started anew: made usable, or refused untouched.

State. The header's boot id. What another boot wrote is nobody's: its members are dead by the same
test as ever (no slot's byte is locked), so the lock, the journal's rest, their records and whatever
they owned are taken over and reaped by whoever joins. What a reboot changes beside that is the
clock: CLOCK_MONOTONIC began again, and seconds of the old one mean nothing.

Steps, behind the arena's door and with every slot's byte locked: copy the file; in the copy put
back what was begun, since a roll-back would bring old seconds back, and count loans in transit,
names' and loans' ages from now on; ask `check`. Nothing wrong: store the words that differ, the
journal's length after all that it covers; give it to the disk; store the boot id, low half first.

Why safe: until both halves of the boot id are there the next opener does all of it again, from the
file's words, and each step gives the same words twice but for a later `now`. A journal whose length
still counts is put back again. Nobody works in the arena before, as the boot id is asked first, and
the kernel opens door and slots when the one inside dies.

Whether all that was written reached the disk nobody can know after a power failure: it is why
`check` is asked before anything is stored.

Other machines' arenas on a shared file system look like this one too; a slot that one of them has
locked is seen where the file system carries locks. Keep arenas on a file system of this machine.
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

DOOR_TIMEOUT_S = 30.0


def is_of_this_boot(words: walk.Image) -> bool:
    """Tell whether a header was written, or recovered, since the machine was started."""
    return words[L.HEADER_BOOT_LOW] | words[L.HEADER_BOOT_HIGH] << 64 == places.boot_id()


def recover(control: SharedFile, geometry: Geometry) -> None:
    """Make an arena of an earlier boot one of this boot, whoever else is trying to.

    Raises
    ------
    ArenaRefusedError : it was not written whole; nothing was changed.
    ArenaBusyError : somebody has a slot of it all the same.
    LockTimeoutError : another process has been recovering it for too long.
    """
    with places.door(control, DOOR_TIMEOUT_S):
        fd = control.descriptor()
        if is_of_this_boot(image.copy(fd, L.HEADER_WORDS * L.WORD_BYTES)):
            return  # another was faster
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
    """Count all ages from now: the second 0 of the arena, of loans in transit, and of the rest."""
    words[L.HEADER_CREATED_NS] = now_ns
    for record in range(1, walk.table_end(words, mine, L.TABLE_HOLDERS)):
        at = walk.place(mine, L.TABLE_HOLDERS, record)
        if words[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT == L.HOLDER_TRANSIT:
            words[at + L.HOLDER_LOANS] &= L.MASK_32
    for loan in range(1, walk.table_end(words, mine, L.TABLE_LOANS)):
        words[walk.place(mine, L.TABLE_LOANS, loan) + L.LOAN_LENT_NS] = now_ns
    for area in range(1, walk.table_end(words, mine, L.TABLE_AREAS)):
        words[walk.place(mine, L.TABLE_AREAS, area) + L.AREA_PUBLISHED_NS] = now_ns
