"""Read an arena's objects, holders and numbers from a copy of its control file.

For looking at an arena without being a member: nothing is held, reaped or changed, and no slot is
taken. The copy may come from a damaged arena, so every index is checked before use (core/walk.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scamem.core import walk
from scamem.core.store import header
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.membership.image import private_words

from .objects import STATE_NAMES, AreaWords, Holder, ObjectInfo, holder_of
from .stats import MemberInfo, Stats

IN_USE = (L.SLOT_STATE_ACTIVE, L.SLOT_STATE_FORKING)


class Image:
    """The contents of a copy of a control file.

    Parameters
    ----------
    words : the copy, as unsigned 64-bit words.
    path : the arena's path. control_bytes : the memory that its control file takes.
    """

    def __init__(
        self, words: memoryview, geometry: Geometry, path: str = "", control_bytes: int = 0
    ) -> None:
        self.words = words
        self.geometry = geometry
        self.mine = private_words(geometry)
        self.path = path
        self.control_bytes = control_bytes

    def _at(self, table: int, index: int) -> int:
        """Return the place of a record; that of record 0 for an impossible number."""
        known = 0 < index < walk.table_end(self.words, self.mine, table)
        return int(walk.place(self.mine, table, index if known else 0))

    def _slot(self, slot: int, word: int) -> int:
        about = L.SLOTS + L.SLOT_WORDS * min(slot, self.geometry.slots_max - 1)
        return int(self.words[about + word])

    def objects(self) -> Iterator[ObjectInfo]:
        """Yield every object that is not free, lowest number first."""
        for index, at in walk.objects_in(self.words, self.mine, walk.WITH_RUNS):
            words = self.words[at : at + L.OBJECT_WORDS]
            yield ObjectInfo(
                index=index,
                generation=words[L.OBJECT_GENERATION],
                state=STATE_NAMES[words[L.OBJECT_STATE] & L.OBJECT_STATE_MASK],
                nr=walk.low(words[L.OBJECT_NR]),
                nbytes=walk.low(words[L.OBJECT_NR]) * self.geometry.frame_bytes,
                runs=len(self.runs(index)),
                holders=tuple(self._holders(words[L.OBJECT_HOLDERS])),
            )

    def runs(self, index: int) -> list[tuple[int, int]]:
        """Return (first pfn, frames) of each run of an object."""
        return walk.runs_of(self.words, self.mine, self._at(L.TABLE_OBJECTS, index))[0]

    def _holders(self, heads: int) -> Iterator[Holder]:
        first = walk.low(heads)
        for record in walk.chain(
            self.words, self.mine, L.TABLE_HOLDERS, first, L.HOLDER_OBJECT_LINKS
        )[0]:
            at = self._at(L.TABLE_HOLDERS, record)
            owner = self.words[at + L.HOLDER_OBJECT]
            kind, slot = owner >> L.HOLDER_KIND_SHIFT, owner >> L.HOLDER_SLOT_SHIFT & L.MASK_16
            link = walk.low(self.words[at + L.HOLDER_LOANS])
            area, loans = None, 0
            if kind == L.HOLDER_AREA:
                area = self._area(link)
            else:
                links = L.LOAN_LINKS
                loans = len(walk.chain(self.words, self.mine, L.TABLE_LOANS, link, links)[0])
            pid = self._slot(slot, L.SLOT_PID)
            counts, pins = self.words[at + L.HOLDER_COUNTS], self.words[at + L.HOLDER_PINS]
            yield holder_of(kind, slot, pid, counts, pins, area, loans)

    def _area(self, area: int) -> AreaWords:
        at = self._at(L.TABLE_AREAS, area)
        sizes = self.words[at + L.AREA_SIZES]

        def text(first: int, words: int, nbytes: int) -> bytes:
            return bytes(self.words[at + first : at + first + words].cast("B")[:nbytes])

        return AreaWords(
            text(L.AREA_NAME, L.AREA_NAME_WORDS, walk.low(sizes)),
            text(L.AREA_DESCRIPTION, L.AREA_DESCRIPTION_WORDS, walk.high(sizes)),
            self.words[at + L.AREA_PUBLISHED_NS],
        )

    def members(self) -> Iterator[MemberInfo]:
        """Yield every member with a slot in use, including dead ones that were not reaped yet."""
        for slot in range(L.SLOT_FIRST, min(self.words[L.SLOTS_NEXT], self.geometry.slots_max)):
            if self._slot(slot, L.SLOT_STATE) & L.MASK_8 in IN_USE:
                pid, count = self._slot(slot, L.SLOT_PID), self._slot(slot, L.SLOT_HOLDERS_COUNT)
                yield MemberInfo(slot, pid, count)

    def stats(self) -> Stats:
        """Return the arena's sizes and counts."""
        read, size = self.words, self.geometry
        zones = [L.ZONES + L.ZONE_WORDS * zone for zone in range(size.zones)]
        sections = size.regions()["sections"].start
        absent = sum(
            (value >> L.SECTION_ABSENT_SHIFT & L.MASK_16).bit_count()
            for value in read[sections : sections + size.sections]
            if value & L.MASK_8 in walk.USABLE
        )
        online = sum(read[zone + L.ZONE_ONLINE] for zone in zones)
        free = walk.free_runs(read, self.mine)[0]
        return Stats(
            arena_id=f"{header.arena_id(read):032x}",
            path=self.path,
            capacity_bytes=size.frames * size.frame_bytes,
            frame_bytes=size.frame_bytes,
            frames_online=online * size.section_frames - (absent << size.block_shift),
            frames_free=sum(read[zone + L.ZONE_FREE] for zone in zones),
            frames_reserved=sum(read[zone + L.ZONE_RESERVED] for zone in zones),
            longest_free_run=_longest(free),
            sections_online=online,
            objects=read[L.OBJECTS_COUNT],
            areas=read[L.AREAS_COUNT],
            loans=read[L.LOANS_COUNT],
            members=tuple(self.members()),
            takeovers=read[L.LOCK_TAKEOVERS],
            rollbacks=read[L.LOCK_ROLLBACKS],
            reaped_members=read[L.REAPED_MEMBERS],
            reaped_holders=read[L.REAPED_HOLDERS],
            loans_orphaned=read[L.LOANS_ORPHANED],
            control_bytes=self.control_bytes,
        )

    def free_bitmap(self) -> NDArray[np.bool_]:
        """Return which frames are free: bool, one per frame, as `looks.stats.free_bitmap`."""
        size = self.geometry
        start = size.regions()["sections"].start
        states = self.words[start : start + size.sections]
        online = max(
            (k + 1 for k, one in enumerate(states) if one & L.MASK_8 in walk.USABLE), default=0
        )
        used = np.zeros(online << size.section_shift, dtype=bool)
        for index, _ in walk.objects_in(self.words, self.mine, walk.WITH_RUNS):
            for first, count in self.runs(index):
                used[first : first + count] = True
        return ~used


def _longest(runs: list[tuple[int, int]]) -> int:
    """Return the length of the longest run in frames; pieces may be adjacent."""
    longest = length = end = 0
    for start, frames in sorted(runs):
        length = length + frames if start == end else frames
        end = start + frames
        longest = max(longest, length)
    return longest
