"""Wait until a thread or process waits for a primitive."""

from __future__ import annotations

import os
from collections.abc import Callable

from scamem.core.sync import places as P


def until(is_so: Callable[[], object]) -> None:
    """Let others run until something is so; the test's own timeout ends it."""
    while not is_so():
        os.sched_yield()


def waits_for(lock: object) -> bool:
    """Return whether somebody waits for a Lock or RLock."""
    return bool(lock.words.load(P.MUTEX) & P.WAITERS)  # type: ignore[attr-defined]


def entries(primitive: object, state: int) -> int:
    """Return how many entries of a table are in a state."""
    words = primitive.words  # type: ignore[attr-defined]
    found = 0
    for entry in range(words.load(P.USED)):
        at = P.ENTRIES + P.ENTRY_WORDS * entry
        found += words.load(at) != 0 and words.load(at + P.ENTRY_WHAT) & 0xFF == state
    return found
