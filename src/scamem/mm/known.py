"""What this process looks up by address, for as long as others keep it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Known(Generic[Thing]):
    """Things that are forgotten when nobody keeps them, without a callback on their end.

    A callback may run inside anything, and a signal that arrives just then is lost.

    Threads: any.
    """

    def __init__(self) -> None:
        self._refs: list[weakref.ref[Thing]] = []

    def add(self, thing: Thing) -> None:
        """Know one more; whichever are gone are forgotten at each power of two."""
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
