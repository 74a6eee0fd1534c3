"""The arena of segments, and what this process keeps there: what it has open, what it created."""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from itertools import islice
from typing import Any, Final

from scamem.errors import ArenaExistsError, ArenaNotFoundError, ArenaRemovedError, ScamemError
from scamem.handles import names
from scamem.membership import joined
from scamem.membership.member import Hold
from scamem.membership.seat import Seat
from scamem.memory import sections

ARENA: Final = "shared_memory"
RETENTION_BYTES: Final = 64 << 20  # of freed memory, which the arena keeps for the next segment
LOOKED_AT: Final = 16  # kept segments that are looked at each time

_joined: Seat | None = None
opened: weakref.WeakSet[Any] = weakref.WeakSet()  # the SharedMemory objects that are open
# Segments that this process created and closed, by {arena, version}: where, the name, and what
# keeps it. Versions begin again in an arena that was removed and made again.
kept: dict[tuple[int, int], tuple[Seat, bytes, Hold]] = {}


def arena() -> Seat:
    """Return this process's seat in the arena of segments; join or create it if necessary."""
    global _joined
    found = _joined
    if found is not None and found.is_usable():
        with contextlib.suppress(ArenaRemovedError):
            found.check_still_there()
            return found
    try:
        found = joined.join(ARENA)
    except ArenaNotFoundError:
        try:
            found = joined.create(ARENA, None)
            sections.set_retention(found, RETENTION_BYTES)
        except ArenaExistsError:  # another process was faster
            found = joined.join_or_create(ARENA, None)
    _joined = found
    return found


def drop_unlinked(most: int = LOOKED_AT) -> None:
    """Let go of segments that this process keeps open, and that others have unlinked."""
    for key in list(islice(kept, most)):
        one = kept.get(key)
        if one is None:  # another thread was faster
            continue
        seat, name, _ = one
        there = names.contains_version(seat, name, key[1])  # may raise: it is still kept
        if kept.pop(key, None) is not None and there:
            kept[key] = one  # at the end: the others have their turn first


def _leave() -> None:
    """At exit: close what is open, and leave no free memory behind if nobody else is there."""
    for segment in list(opened):
        with contextlib.suppress(BufferError, ScamemError):
            segment.close()
    kept.clear()
    seat = _joined
    if seat is None or not seat.is_usable():
        return
    with contextlib.suppress(ScamemError, OSError):
        seat.reap()
        if not seat.has_other_members():
            sections.trim_to(seat, 0, None)
        joined.close(seat)


atexit.register(_leave)
os.register_at_fork(after_in_child=kept.clear)  # only their creator keeps them
