"""What a member reads of its arena: words, records and lists, each as of about one moment.

A look takes the arena's lock if words must agree, for one record or list at a time. In a damaged
arena it raises, or stops at a bound.
"""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.scamem.core import objects
from cython.cimports.scamem.core.frames import free_runs, memdesc, sections
from cython.cimports.scamem.core.store import layout as L
from cython.cimports.scamem.core.store import tables
from cython.cimports.scamem.core.store.words import Words, high, low, word
from cython.cimports.scamem.membership.membership import Membership


@cython.cclass
class Looks(Membership):
    """This process as a member of an arena: what it can read. See Membership."""

    def read_word(self, at: int) -> int:
        """Read one word of the control file, without the lock."""
        self.check_active()
        place: word = at
        if place >= self.mine[L.MINE_CONTROL_WORDS]:
            raise IndexError(f"word {at} of {self.mine[L.MINE_CONTROL_WORDS]}")
        return self.arena[place]

    def set_word(self, at: int, value: int) -> None:
        """Store one of the settings, or the time when memory was populated, under the lock."""
        place: word = at
        number: word = value
        if place not in (L.LOANS_LIMIT, L.TRANSIT_GRACE_S, L.RETENTION_FRAMES, L.POPULATED_S):
            raise ValueError(f"word {at} is not a setting")
        self.begin()
        self.arena[place] = number
        self.end()

    def my_word(self, at: int) -> int:
        """Read one of this member's private words."""
        place: word = at
        return self.mine[place] if place < L.MINE_TABLES_AT else 0

    def set_my_word(self, at: int, value: int) -> None:
        """Set one of the private words that describe this process (descriptors, pages)."""
        place: word = at
        number: word = value
        if L.MINE_CONTROL_FD <= place < L.MINE_TABLES_AT:
            self.mine[place] = number

    def runs_of(self, index: word) -> list[tuple[int, int]]:
        """Return an object's runs at about this moment; the object need not be held."""
        self.check_active()
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            raise self.refuse(L.DAMAGED)
        run: word = low(self.arena[tables.place(self.mine, L.TABLE_OBJECTS, index) + L.OBJECT_RUNS])
        left: word = self.mine[L.MINE_FRAMES]
        value: word
        found = []
        while run != 0:  # bound: the arena's frames, since each run has at least one
            value = objects.run_frames(self.arena, self.mine, run)
            if value == 0:
                raise self.refuse(L.DAMAGED)
            if high(value) > left:
                break  # it was freed meanwhile, and its records are in use elsewhere
            found.append((low(value), high(value)))
            left -= high(value)
            run = objects.next_run(self.arena, self.mine, run)
        return found

    def copy_into(self, target: int, ranges: object) -> None:
        """Copy ranges of the control file to the same places in other memory, as of one moment.

        Parameters
        ----------
        target : address of writable memory as large as the control file.
        ranges : an array("Q") of {first word, words} pairs.
        """
        pairs: cython.ulonglong[::1] = ranges
        into: Words = cython.cast(Words, cython.cast(word, target))
        k: cython.Py_ssize_t
        count: cython.Py_ssize_t = len(pairs) // 2
        for k in range(count):
            if pairs[2 * k] + pairs[2 * k + 1] > self.mine[L.MINE_CONTROL_WORDS]:
                raise IndexError(f"words from {pairs[2 * k]} on are not all in the control file")
        self.begin()
        for k in range(count):
            memcpy(
                cython.cast(cython.p_void, into + pairs[2 * k]),
                cython.cast(cython.p_void, self.arena + pairs[2 * k]),
                pairs[2 * k + 1] * L.WORD_BYTES,
            )
        self.end()

    def object_words(self, index: word) -> tuple[int, ...] | None:
        """Return the words of an object's record at one moment, None for an impossible number."""
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return None
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, index)
        values: word[6]
        k: cython.int
        self.begin()
        for k in range(6):
            values[k] = self.arena[place + k]
        self.end()
        return tuple([values[k] for k in range(6)])

    def loan_words(self, loan: word) -> object:
        """Return (id, object, kind of lender, lender's slot, ns when lent); None if it is free."""
        found = None
        values: word[4]
        holder: word
        if not tables.valid(self.arena, self.mine, L.TABLE_LOANS, loan):
            return None
        self.begin()
        place: word = tables.place(self.mine, L.TABLE_LOANS, loan)
        values[0] = self.arena[place + L.LOAN_ID]
        holder = self.arena[place + L.LOAN_HOLDER]
        values[1] = self.arena[place + L.LOAN_LENT_NS]
        values[2] = 0
        if values[0] != 0 and tables.valid(self.arena, self.mine, L.TABLE_HOLDERS, holder):
            values[2] = self.arena[
                tables.place(self.mine, L.TABLE_HOLDERS, holder) + L.HOLDER_OBJECT
            ]
        self.end()
        if values[2] != 0:
            found = (
                values[0],
                low(values[2]),
                values[2] >> L.HOLDER_KIND_SHIFT,
                values[2] >> L.HOLDER_SLOT_SHIFT & L.MASK_16,
                values[1],
            )
        return found

    def count_runs(self, index: word) -> int:
        """Return how many runs an object has, at about this moment."""
        if not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, index):
            return 0
        place: word = tables.place(self.mine, L.TABLE_OBJECTS, index)
        run: word = low(self.arena[place + L.OBJECT_RUNS])
        left: word = low(self.arena[place + L.OBJECT_NR])
        found: word = 0
        while tables.valid(self.arena, self.mine, L.TABLE_RUNS, run) and found < left:
            found += 1
            run = low(self.arena[tables.place(self.mine, L.TABLE_RUNS, run) + L.RUN_LINK])
        return found

    def page_to_object(self, pfn: word) -> tuple[int, int]:
        """Return (object, generation) of a frame's object, (0, 0) if it belongs to none.

        No lock: reads the memdesc first, then the object's generation and state.
        """
        self.check_active()
        if pfn >= self.mine[L.MINE_FRAMES]:
            raise IndexError(f"asked for frame {pfn:,}; the arena has {self.mine[L.MINE_FRAMES]:,}")
        section: word = pfn >> self.mine[L.MINE_SECTION_SHIFT]
        if sections.flags(self.arena, self.mine, section) & L.SECTION_BACKED == 0:
            return 0, 0
        value: word = memdesc.read(self.arena, self.mine, pfn)
        obj: word = memdesc.object_of(value)
        if obj == 0 or not tables.valid(self.arena, self.mine, L.TABLE_OBJECTS, obj):
            return 0, 0
        generation: word = objects.generation(self.arena, self.mine, obj)
        if low(generation) != memdesc.generation_of(value):
            return 0, 0
        if not objects.is_live(self.arena, self.mine, obj, generation):
            return 0, 0
        return obj, generation

    def longest_free_run(self, zone: word) -> int:
        """Return the length of a zone's longest free run, in frames."""
        self.begin()
        found: word = free_runs.longest(self.arena, self.mine, zone)
        self.end()
        return found
