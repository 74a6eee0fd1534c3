"""Objects of this process that are looked up by address, as long as they are in use."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Known(Generic[Thing]):
    """Objects that are forgotten with their last reference, without a weak-reference callback.

    A callback can run inside any other code, and an exception from a signal handler that runs in it
    is lost.

    Threads: any.
    """

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Thing]] = []

    def add(self, thing: Thing) -> None:
        """Remember one more. Dead references are dropped at each power of two."""
        refs = self._refs
        refs.append(weakref.ref(thing))
        count = len(refs)
        if not count & count - 1:
            seen = refs[:count]
            refs[:count] = [ref for ref in seen if ref() is not None]

    def __iter__(self) -> Iterator[Thing]:
        for ref in list(self._refs):
            thing = ref()
            if thing is not None:
                yield thing
