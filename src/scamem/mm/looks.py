"""`struct scamem`, seen from a page or an area."""

from __future__ import annotations

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.core.store.words import low
from scamem.errors import StaleHandleError
from scamem.looks.objects import Holder

from .pages import Page


class ScamemLook:
    """A scamem seen from a page or an area, without a reference to it.

    Looks at the same object are equal and have the same hash. They travel to other processes as
    numbers. `remap_vmalloc_range` accepts one, and takes a reference then.

    Attributes
    ----------
    arena : the arena that the object belongs to.
    index, generation : identify the object. A number can be used again, but not the pair.

    Ownership: none. Once the object is freed, its look says so: by `freed`, its repr, a `refcount`
    of 0, and StaleHandleError from everything that needs the object.
    """

    __slots__ = ("arena", "generation", "index")

    def __init__(self, arena: Arena, index: int, generation: int) -> None:
        self.arena = arena
        self.index = index
        self.generation = generation

    def _nr(self) -> int | None:
        """Number of frames in the object, None once it is freed."""
        words = self.arena._seat.member.object_words(self.index)
        if words is None or words[L.OBJECT_GENERATION] != self.generation:
            return None
        if words[L.OBJECT_STATE] & L.OBJECT_STATE_MASK != L.OBJECT_STATE_LIVE:
            return None
        return int(low(words[L.OBJECT_NR]))

    @property
    def freed(self) -> bool:
        """Whether the object is freed. False may be out of date as soon as it is read."""
        return self._nr() is None

    @property
    def nr(self) -> int:
        """Number of frames in the object; StaleHandleError once it is freed."""
        found = self._nr()
        if found is None:
            raise StaleHandleError(
                f"scamem {self.index} (generation {self.generation}) was freed: its last reference "
                "was dropped, and a look holds none. Keep an area, a VMA or a page of it"
            )
        return found

    @property
    def holders(self) -> list[Holder]:
        """The object's holders, by kind and pid, after reaping dead processes; [] once freed."""
        found = self.arena.holders(self.index)
        return [] if self.freed else found

    @property
    def refcount(self) -> int:
        """References of all processes: areas, mappings, pages, objects in hand, unread handles.

        Dead processes are reaped first. 0 once the object is freed.
        """
        return sum(holder.count for holder in self.holders)

    @property
    def pages(self) -> list[Page]:
        """The object's pages, in order, without references; StaleHandleError once freed."""
        _ = self.nr
        runs = self.arena._seat.member.runs_of(self.index)
        _ = self.nr  # still the same object, so these were its runs
        return [Page(self.arena, pfn + k) for pfn, count in runs for k in range(count)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScamemLook):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, int, int]:
        return self.arena.arena_id, self.index, self.generation

    def __repr__(self) -> str:
        nr = self._nr()
        if nr is None:
            return f"<scamem {self.index}, freed>"
        return f"<scamem {self.index}: nr={nr} refcount={self.refcount}>"


def page_to_scamem(page: Page) -> ScamemLook | None:
    """Return a page's scamem, as a look; None if the page is free or offline."""
    number, generation = page.arena._seat.member.page_to_object(page.pfn)
    return ScamemLook(page.arena, number, generation) if number else None


def page_count(page: Page) -> int:
    """Return the number of references on a page's scamem, of all processes; 0 for a free page."""
    found = page_to_scamem(page)
    return 0 if found is None else found.refcount
