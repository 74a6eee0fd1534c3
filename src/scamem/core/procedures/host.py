"""What the core asks of its process: the interface that the explorers replace.

The core knows no files, no mappings and no other arenas. It calls the functions of `table`. The
module that connects the core with the files fills this table once, at import. Each function
consists of plain system calls, without the GIL and malloc, so fork's handlers may call it.

`local` holds the words of this process (layout.LOCAL_*). Each joined arena has a number:
`is_joined`, `arena_of` and `mine_of` lead from it to the arena's words and the private ones, and
`forget` removes an arena from the table. All of these need the local lock.
"""

import cython

if cython.compiled:
    pass
else:
    from ..store.words import Words, word

    class Interpreted:
        """The functions of one process; each explorer has its own."""

        local: Words

        def is_joined(self, number: word) -> bool:
            """Tell whether a number belongs to a joined arena."""
            raise LookupError(number)

        def arena_of(self, number: word) -> Words:
            """Return the words of an arena."""
            raise LookupError(number)

        def mine_of(self, number: word) -> Words:
            """Return the private words of an arena."""
            raise LookupError(number)

        def forget(self, mine: Words) -> None:
            """Remove an arena from the table that fork's handlers use."""
            raise LookupError

        def probe(self, mine: Words, slot: word) -> int:
            """Ask whether a slot's byte is locked: 1, 0, or -1 if it cannot be asked."""
            raise LookupError(slot)

        def lock_child(self, mine: Words, slot: word) -> word:
            """Lock a slot's byte for a child and map its page: OK; BUSY, if taken; NOT_FOUND."""
            raise LookupError(slot)

        def keep_child(self, mine: Words) -> None:
            """In the child: make the page that was mapped for it its own."""
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
            """Give memory to the first records of a table; False if there is no memory."""
            raise LookupError(which)

        def renew(self, mine: Words, pfn: word, frames: word, again: word) -> bool:
            """Give back the memory of a run (again = 0), or take new memory for it (again = 1)."""
            raise LookupError(pfn)

        def pid(self) -> word:
            """Return this process's number."""
            raise LookupError

    table = Interpreted()
