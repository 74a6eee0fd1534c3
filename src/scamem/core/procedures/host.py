"""What the core asks of the process that it runs in: the seam that the explorers replace.

The core knows no files, no mappings and no other arenas. It calls the functions of `table`, which
whoever introduces core and files fills once, when it is imported. Each is made of plain system
calls: no GIL, no malloc, so that fork's handlers may call it.

`local` are the words of this process (layout.LOCAL_*). An arena that it has joined has a number;
`is_joined`, `arena_of` and `mine_of` lead from it to the arena's words and the private ones, and
`forget` takes an arena out of the table. All of these need the local lock.
"""

import cython

if cython.compiled:
    pass
else:
    from ..store.words import Words, word

    class Interpreted:
        """The functions of one process; an explorer brings its own."""

        local: Words

        def is_joined(self, number: word) -> bool:
            """Tell whether a number is a joined arena's."""
            raise LookupError(number)

        def arena_of(self, number: word) -> Words:
            """Return the words of an arena."""
            raise LookupError(number)

        def mine_of(self, number: word) -> Words:
            """Return the private words of an arena."""
            raise LookupError(number)

        def forget(self, mine: Words) -> None:
            """Take an arena out of the table of those that fork's handlers go by."""
            raise LookupError

        def probe(self, mine: Words, slot: word) -> int:
            """Ask whether a slot's byte is locked: 1, 0, or -1 where there is no way to ask."""
            raise LookupError(slot)

        def lock_child(self, mine: Words, slot: word) -> word:
            """Lock a slot's byte for a child and map its page: OK; BUSY, another's; NOT_FOUND."""
            raise LookupError(slot)

        def keep_child(self, mine: Words) -> None:
            """In the child: the page that was mapped for it is its own from now on."""
            raise LookupError

        def drop_child(self, mine: Words) -> None:
            """Unmap the child's page, if there is one."""
            raise LookupError

        def open_mappings(self, mine: Words) -> None:
            """Let a child inherit all mappings of an arena."""
            raise LookupError

        def close_mappings(self, mine: Words) -> None:
            """Let no child inherit any mapping of an arena."""
            raise LookupError

        def back_table(self, mine: Words, which: word, records: word) -> bool:
            """Give memory to the first records of a table; False: there is none to have."""
            raise LookupError(which)

        def renew(self, mine: Words, pfn: word, frames: word, again: word) -> bool:
            """Give the memory of a run back (again: 0), or take new memory for it (1)."""
            raise LookupError(pfn)

        def pid(self) -> word:
            """Return this process's number."""
            raise LookupError

    table = Interpreted()
