"""The sizes of one arena, and the resulting places of its tables in the control file.

Plain Python, used when an arena is made and when one is joined. The core itself reads the result
from its member's private words. Geometry is data, so tests can explore arenas of 8 frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple, Self

from . import layout as L
from .spans import Region, Span, top_height
from .words import WordArray

FRAME_BYTES = L.FRAME_BYTES
TABLE_RECORDS = (
    ("objects_max", L.OBJECT_WORDS, L.OBJECT_LINK),
    ("holders_max", L.HOLDER_WORDS, L.HOLDER_OBJECT_LINKS),
    ("runs_max", L.RUN_WORDS, L.RUN_LINK),
    ("loans_max", L.LOAN_WORDS, L.LOAN_LINKS),
    ("areas_max", L.AREA_WORDS, L.AREA_LINK),
    ("queues_max", L.QUEUE_WORDS, L.QUEUE_LINK),
    ("items_max", L.ITEM_WORDS, L.ITEM_LINKS),
    ("consumers_max", L.CONSUMER_WORDS, L.CONSUMER_SLOT_LINKS),
)


class Sizes(NamedTuple):
    frames: int
    section_shift: int
    leaf_shift: int
    slots_max: int
    objects_max: int
    holders_max: int
    runs_max: int
    loans_max: int
    areas_max: int
    hash_buckets: int
    zones: int = 1
    frame_bytes: int = FRAME_BYTES
    block_shift: int = 1
    queues_max: int = 4
    items_max: int = 10
    consumers_max: int = 8
    spans: tuple[Span, ...] = ()


class Geometry(Sizes):
    """What an arena's creator decided, for good. All are counts; the shifts are powers of two.

    `spans` are the zones, NORMAL ones of all nodes first; by default all frames on node 0.
    """

    __slots__ = ()

    def __new__(cls, *sizes: Any, **named: Any) -> Self:
        made = super().__new__(cls, *sizes, **named)
        alone = Span(0, L.KIND_NORMAL, made.frames >> min(made.section_shift, L.MASK_8))
        return made if made.spans else made._replace(spans=(alone,))

    @classmethod
    def for_capacity(cls, capacity_bytes: int, *, slots_max: int = L.SLOTS_DEFAULT) -> Geometry:
        """Return the geometry of an arena of one zone that can grow to `capacity_bytes`."""
        return cls.for_zones(((0, L.KIND_NORMAL, capacity_bytes),), slots_max=slots_max)

    @classmethod
    def for_zones(
        cls, zones: Iterable[tuple[int, int, int]], *, slots_max: int = L.SLOTS_DEFAULT
    ) -> Geometry:
        """Return the geometry of an arena with the zones {node, kind, bytes}, each rounded up."""
        section_shift = L.SECTION_SHIFT
        section_bytes = FRAME_BYTES << section_shift
        spans = tuple(
            Span(node, kind, max(1, -(-nbytes // section_bytes)))
            for node, kind, nbytes in sorted(zones, key=lambda zone: (zone[1], zone[0]))
        )
        frames = sum(span.sections for span in spans) << section_shift
        areas = min(max(frames // L.AREA_FRAMES, L.AREAS_MIN), L.AREAS_MAX)
        return cls(
            frames=frames,
            section_shift=section_shift,
            leaf_shift=6,
            slots_max=slots_max,
            objects_max=min(frames, L.MASK_28) + 1,
            holders_max=2 * frames + L.HOLDERS_EXTRA,
            runs_max=frames + 1,
            loans_max=min(max(frames, L.LOANS_MIN), L.LOANS_MAX) + 1,
            areas_max=areas,
            hash_buckets=min(areas // L.CHAIN_AREAS, L.HASH_BUCKETS_MAX),
            zones=len(spans),
            block_shift=L.BLOCK_SHIFT,
            queues_max=L.QUEUES_MAX,
            items_max=min(max(frames, L.ITEMS_MIN), L.ITEMS_MAX),
            consumers_max=L.CONSUMERS_MAX,
            spans=spans,
        )

    def words(self) -> tuple[Any, ...]:
        """Return the header's words for this geometry; those of the spans are elsewhere."""
        return self[: L.GEOMETRY_WORDS]

    def span_words(self) -> tuple[int, ...]:
        """Return the words of the spans, SPAN_WORDS each."""
        pairs = ((one.node | one.kind << L.SPAN_KIND_SHIFT, one.sections) for one in self.spans)
        return tuple(number for pair in pairs for number in pair)

    @classmethod
    def from_words(cls, words: WordArray, at: int = L.HEADER_GEOMETRY) -> Geometry:
        """Read a geometry from a header. It is untrusted: `problems()` says what is wrong."""
        values: list[Any] = [words[at + k] for k in range(L.GEOMETRY_WORDS)]
        made = cls(*values)
        spans = []
        for k in range(min(made.zones, L.ZONES_MAX)):
            span = L.SPANS + L.SPAN_WORDS * k
            place, sections = words[span + L.SPAN_PLACE], words[span + L.SPAN_SECTIONS]
            spans.append(Span(place & L.MASK_16, place >> L.SPAN_KIND_SHIFT, sections))
        return made._replace(spans=tuple(spans))

    def problems(self) -> list[str]:
        """Describe the values that no version of this library could have written."""
        found = []
        bounds = {
            "frames": (1, 1 << 30),
            "section_shift": (1, 24),
            "leaf_shift": (0, 6),
            "slots_max": (L.SLOT_FIRST + 1, L.MASK_16),
            "objects_max": (2, 1 << 28),
            "holders_max": (2, 1 << 31),
            "runs_max": (2, 1 << 31),
            "loans_max": (2, 1 << 28),
            "areas_max": (2, 1 << 28),
            "hash_buckets": (1, 1 << 20),
            "zones": (1, L.ZONES_MAX),
            "frame_bytes": (FRAME_BYTES, FRAME_BYTES),
            "block_shift": (0, 24),
            "queues_max": (2, 1 << 20),
            "items_max": (2, 1 << 28),
            "consumers_max": (2, 1 << 28),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                found.append(f"{name} is {value:,}, expected {least:,} to {most:,}")
        if not found and (
            self.section_shift <= self.leaf_shift or self.frames % self.section_frames
        ):
            found.append("the number of frames is not a multiple of the section size")
        blocks = self.section_shift - self.block_shift
        divided = 0 <= blocks < L.SECTION_BLOCKS_MAX.bit_length()
        if not found and (self.block_shift < self.leaf_shift or not divided):
            found.append("the section size is not a multiple of the block size")
        return found or self._span_problems()

    def _span_problems(self) -> list[str]:
        found = []
        order = [(span.kind, span.node) for span in self.spans]
        if len(self.spans) != self.zones or order != sorted(set(order)):
            found.append("its zones are not in order: first NORMAL, then HUGE, by node")
        if order and (order[0][0] != L.KIND_NORMAL or order[-1][0] > L.KIND_HUGE):
            found.append("its first zone is not NORMAL, or a zone has an unknown kind")
        if any(span.node >= L.NODES_MAX or span.sections < 1 for span in self.spans):
            found.append("a zone has an impossible node or number of sections")
        elif sum(span.sections for span in self.spans) != self.sections:
            found.append("its zones have a different number of sections than the arena")
        return found

    @property
    def section_frames(self) -> int:
        """Frames of a section."""
        return 1 << self.section_shift

    @property
    def sections(self) -> int:
        """Sections of the arena."""
        return self.frames // self.section_frames

    def first_section(self, zone: int) -> int:
        """Return the first section of a zone."""
        return sum(span.sections for span in self.spans[:zone])

    def zone_of_section(self, section: int) -> int:
        """Return the zone of a section. Needs: it is below `sections`."""
        zone = 0
        while section >= self.spans[zone].sections:
            section -= self.spans[zone].sections
            zone += 1
        return zone

    @property
    def normal_frames(self) -> int:
        """Frames of NORMAL zones: those in the frame file. The others are in the huge file."""
        return sum(s.sections for s in self.spans if s.kind == L.KIND_NORMAL) << self.section_shift

    @property
    def block_frames(self) -> int:
        """Frames of a block: the unit that is given back to the system."""
        return 1 << self.block_shift

    @property
    def section_blocks(self) -> int:
        """Blocks of a section."""
        return 1 << (self.section_shift - self.block_shift)

    def top_words(self) -> list[int]:
        """Return the words of each zone's tree above its sections."""
        return [L.NODE_WORDS << (top_height(span) + 1) for span in self.spans]

    @property
    def section_tree_words(self) -> int:
        """Words of one section's part of the tree: its leaves, and two per node."""
        return 3 << (self.section_shift - self.leaf_shift)

    @cache  # noqa: B019 - a few arenas in a process, and small
    def regions(self) -> dict[str, Region]:
        """Return the place of each table; the last one ends at the end of the control file."""
        sizes = {
            "globals": L.SLOTS,
            "slots": self.slots_max * L.SLOT_WORDS,
            "sections": self.sections * L.SECTION_WORDS,
            "top_tree": sum(self.top_words()),
            "hash": self.hash_buckets,
            "section_trees": self.sections * self.section_tree_words,
            "memdescs": self.frames,
        }
        for name, record_words, _ in TABLE_RECORDS:
            sizes[name] = getattr(self, name) * record_words
        regions = {}
        start = 0
        for name, words in sizes.items():
            regions[name] = Region(start, words)
            start += -(-words // L.PAGE_WORDS) * L.PAGE_WORDS
        return regions

    @property
    def control_words(self) -> int:
        """Words of the whole control file."""
        last = list(self.regions().values())[-1]
        return last.start + -(-last.words // L.PAGE_WORDS) * L.PAGE_WORDS

    @property
    def private_words(self) -> int:
        """Words of a member's private memory."""
        return L.MINE_TABLES_AT + 2 * self.objects_max

    def fixed_words(self) -> int:
        """Words at the file's start that have memory from the arena's creation on."""
        return self.regions()["section_trees"].start

    def describe_to(self, mine: WordArray) -> None:
        """Fill a member's private words with the places that the core uses."""
        regions = self.regions()
        mine[L.MINE_FRAMES] = self.frames
        mine[L.MINE_LEAF_SHIFT] = self.leaf_shift
        mine[L.MINE_SECTION_SHIFT] = self.section_shift
        mine[L.MINE_SECTIONS] = self.sections
        mine[L.MINE_SLOTS_MAX] = self.slots_max
        mine[L.MINE_HASH_BUCKETS] = self.hash_buckets
        mine[L.MINE_SECTIONS_AT] = regions["sections"].start
        mine[L.MINE_MEMDESCS_AT] = regions["memdescs"].start
        mine[L.MINE_HASH_AT] = regions["hash"].start
        mine[L.MINE_ZONES] = self.zones
        mine[L.MINE_SECTION_TREE_WORDS] = self.section_tree_words
        mine[L.MINE_CONTROL_WORDS] = self.control_words
        mine[L.MINE_RECORDS_AT] = L.MINE_TABLES_AT
        mine[L.MINE_OTHER_AT] = L.MINE_TABLES_AT + self.objects_max
        mine[L.MINE_BLOCK_SHIFT] = self.block_shift
        mine[L.MINE_TREE_HEIGHT] = self.section_shift - self.leaf_shift
        top = regions["top_tree"].start
        for number, span in enumerate(self.spans):
            zone = L.MINE_ZONE_TABLE + L.MINE_ZONE_WORDS * number
            mine[zone + L.MINE_ZONE_FIRST] = self.first_section(number) << self.section_shift
            mine[zone + L.MINE_ZONE_FRAMES] = span.sections << self.section_shift
            mine[zone + L.MINE_ZONE_TOP_AT] = top
            mine[zone + L.MINE_ZONE_TOP_HEIGHT] = top_height(span)
            trees = regions["section_trees"].start
            trees += self.first_section(number) * self.section_tree_words
            mine[zone + L.MINE_ZONE_TREES_AT] = trees
            top += self.top_words()[number]
        for table, (name, record_words, link) in enumerate(TABLE_RECORDS):
            about = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
            mine[about + L.MINE_TABLE_AT] = regions[name].start
            mine[about + L.MINE_TABLE_RECORD] = record_words
            mine[about + L.MINE_TABLE_LINK] = link
            mine[about + L.MINE_TABLE_MAX] = getattr(self, name)
