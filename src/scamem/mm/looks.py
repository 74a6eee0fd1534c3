"""`struct scamem`, looked at from a page or an area."""

from __future__ import annotations

from scamem.arena import Arena
from scamem.core.store import layout as L
from scamem.core.store.words import low
from scamem.errors import StaleHandleError
from scamem.looks.objects import Holder

from .pages import Page


class ScamemLook:
    """A scamem as seen from a page or an area, without a reference to it.

    Looks are equal where they show the same object, and hash accordingly. They go to other
    processes as they are: numbers. `remap_vmalloc_range` takes one, and a reference then.

    Attributes
    ----------
    arena : the arena that the object is of.
    index, generation : which object of it; a number may come again, both together never do.

    Ownership: none. Once the last reference to the object is gone its look says so: `freed`, its
    repr, a `refcount` of 0, and StaleHandleError from all that needs the object.
    """

    __slots__ = ("arena", "generation", "index")

    def __init__(self, arena: Arena, index: int, generation: int) -> None:
        self.arena = arena
        self.index = index
        self.generation = generation

    def _nr(self) -> int | None:
        """Frames of the object, None once it is freed."""
        words = self.arena._seat.member.object_words(self.index)
        if words is None or words[L.OBJECT_GENERATION] != self.generation:
            return None
        if words[L.OBJECT_STATE] & L.OBJECT_STATE_MASK != L.OBJECT_STATE_LIVE:
            return None
        return int(low(words[L.OBJECT_NR]))

    @property
    def freed(self) -> bool:
        """Whether the object is gone. False may be out of date the moment that one reads it."""
        return self._nr() is None

    @property
    def nr(self) -> int:
        """Frames of the object; StaleHandleError once it is freed."""
        found = self._nr()
        if found is None:
            raise StaleHandleError(
                f"scamem {self.index} (generation {self.generation}) was freed: its last reference "
                "was dropped, and a look holds none. Keep an area, a VMA or a page of it"
            )
        return found

    @property
    def holders(self) -> list[Holder]:
        """Who holds the object, by kind and pid, after reaping dead processes; [] once freed."""
        found = self.arena.holders(self.index)
        return [] if self.freed else found

    @property
    def refcount(self) -> int:
        """References of everybody: areas, mappings, pages, objects in hand, handles on their way.

        After reaping dead processes; 0 once the object is freed.
        """
        return sum(holder.count for holder in self.holders)

    @property
    def pages(self) -> list[Page]:
        """The object's pages, in its order, without references; StaleHandleError once freed."""
        _ = self.nr
        runs = self.arena._seat.member.runs_of(self.index)
        _ = self.nr  # still the same object: so these were its runs
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
    """Return the scamem that a page belongs to, as a look; None if it is free or offline."""
    number, generation = page.arena._seat.member.page_to_object(page.pfn)
    return ScamemLook(page.arena, number, generation) if number else None


def page_count(page: Page) -> int:
    """Return the references on a page's scamem, of everybody; 0 for a free page."""
    found = page_to_scamem(page)
    return 0 if found is None else found.refcount
