"""The sizes of one arena, and where its tables therefore lie in the control file.

Plain Python, used when an arena is made and when one is joined; the core itself reads the result
from its member's private words. Geometry is data, so that tests explore arenas of 8 frames.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

from . import layout as L
from .words import WordArray

PAGE_WORDS = L.PAGE_WORDS
FRAME_BYTES = L.FRAME_BYTES
TABLE_RECORDS = (
    ("objects_max", L.OBJECT_WORDS, L.OBJECT_LINK),
    ("holders_max", L.HOLDER_WORDS, L.HOLDER_OBJECT_LINKS),
    ("runs_max", L.RUN_WORDS, L.RUN_LINK),
    ("loans_max", L.LOAN_WORDS, L.LOAN_LINKS),
    ("areas_max", L.AREA_WORDS, L.AREA_LINK),
)


class Region(NamedTuple):
    """A part of the control file, in words."""

    start: int
    words: int


@dataclass(frozen=True)
class Geometry:
    """What an arena's creator decided, once. All are counts; the shifts are powers of two."""

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

    @classmethod
    def for_capacity(cls, capacity_bytes: int, *, slots_max: int = L.SLOTS_DEFAULT) -> Geometry:
        """Return the geometry of an arena that can grow to `capacity_bytes`, rounded up."""
        section_shift = L.SECTION_SHIFT
        section_bytes = FRAME_BYTES << section_shift
        frames = max(1, -(-capacity_bytes // section_bytes)) << section_shift
        return cls(
            frames=frames,
            section_shift=section_shift,
            leaf_shift=6,
            slots_max=slots_max,
            objects_max=min(frames, L.MASK_28) + 1,
            holders_max=2 * frames + L.HOLDERS_EXTRA,
            runs_max=frames + 1,
            loans_max=L.LOANS_MAX,
            areas_max=L.AREAS_MAX,
            hash_buckets=L.HASH_BUCKETS,
        )

    def words(self) -> tuple[int, ...]:
        """Return the header's words for this geometry."""
        return tuple(astuple(self))

    @classmethod
    def from_words(cls, words: WordArray, at: int = L.HEADER_GEOMETRY) -> Geometry:
        """Read a geometry from a header. It is input: `problems()` says what is wrong with it."""
        return cls(*(words[at + k] for k in range(len(fields(cls)))))

    def problems(self) -> list[str]:
        """Say in words which values no version of this library could have written."""
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
            "areas_max": (2, 1 << 20),
            "hash_buckets": (1, 1 << 20),
            "zones": (1, 1),
            "frame_bytes": (FRAME_BYTES, FRAME_BYTES),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                found.append(f"{name} is {value:,}, expected {least:,} to {most:,}")
        if not found and (
            self.section_shift <= self.leaf_shift or self.frames % self.section_frames
        ):
            found.append("sections do not divide the frames")
        return found

    @property
    def section_frames(self) -> int:
        """Frames of a section."""
        return 1 << self.section_shift

    @property
    def sections(self) -> int:
        """Sections of the arena."""
        return self.frames // self.section_frames

    @property
    def top_height(self) -> int:
        """Levels of the tree above the sections."""
        return (self.sections - 1).bit_length()

    @property
    def section_tree_words(self) -> int:
        """Words of one section's part of the tree: its leaves, and two a node."""
        return 3 << (self.section_shift - self.leaf_shift)

    def regions(self) -> dict[str, Region]:
        """Return where each table lies; the last one ends where the control file ends."""
        sizes = {
            "globals": L.SLOTS,
            "slots": self.slots_max * L.SLOT_WORDS,
            "sections": self.sections * L.SECTION_WORDS,
            "top_tree": L.NODE_WORDS << (self.top_height + 1),
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
            start += -(-words // PAGE_WORDS) * PAGE_WORDS
        return regions

    @property
    def control_words(self) -> int:
        """Words of the whole control file."""
        last = list(self.regions().values())[-1]
        return last.start + -(-last.words // PAGE_WORDS) * PAGE_WORDS

    @property
    def private_words(self) -> int:
        """Words of a member's private memory."""
        return L.MINE_TABLES_AT + 2 * self.objects_max

    def fixed_words(self) -> int:
        """Words from the file's start that have memory from the arena's first moment."""
        return self.regions()["section_trees"].start

    def describe_to(self, mine: WordArray) -> None:
        """Fill a member's private words with the places that the core computes from."""
        regions = self.regions()
        mine[L.MINE_FRAMES] = self.frames
        mine[L.MINE_LEAF_SHIFT] = self.leaf_shift
        mine[L.MINE_SECTION_SHIFT] = self.section_shift
        mine[L.MINE_SECTIONS] = self.sections
        mine[L.MINE_SLOTS_MAX] = self.slots_max
        mine[L.MINE_HASH_BUCKETS] = self.hash_buckets
        mine[L.MINE_SECTIONS_AT] = regions["sections"].start
        mine[L.MINE_SECTION_TREES_AT] = regions["section_trees"].start
        mine[L.MINE_MEMDESCS_AT] = regions["memdescs"].start
        mine[L.MINE_HASH_AT] = regions["hash"].start
        mine[L.MINE_ZONES] = self.zones
        mine[L.MINE_SECTION_TREE_WORDS] = self.section_tree_words
        mine[L.MINE_CONTROL_WORDS] = self.control_words
        mine[L.MINE_RECORDS_AT] = L.MINE_TABLES_AT
        mine[L.MINE_OTHER_AT] = L.MINE_TABLES_AT + self.objects_max
        zone = L.MINE_ZONE_TABLE
        mine[zone + L.MINE_ZONE_FIRST] = 0
        mine[zone + L.MINE_ZONE_FRAMES] = self.frames
        mine[zone + L.MINE_ZONE_TOP_AT] = regions["top_tree"].start
        mine[zone + L.MINE_ZONE_TOP_HEIGHT] = self.top_height
        for table, (name, record_words, link) in enumerate(TABLE_RECORDS):
            about = L.MINE_TABLES + L.MINE_TABLE_WORDS * table
            mine[about + L.MINE_TABLE_AT] = regions[name].start
            mine[about + L.MINE_TABLE_RECORD] = record_words
            mine[about + L.MINE_TABLE_LINK] = link
            mine[about + L.MINE_TABLE_MAX] = getattr(self, name)


def checksum(words: WordArray, start: int, end: int) -> int:
    """Return a 64-bit FNV-1a over words: it tells damage, not malice."""
    value = L.CHECKSUM_START
    for at in range(start, end):
        value = ((value ^ words[at]) * L.CHECKSUM_FACTOR) & L.ALL_ONES
    return value


def settings_word(settings: int) -> int:
    """Return the header's word for some settings; one flipped bit of it cannot go unseen."""
    return settings | (settings ^ L.MASK_32) << L.SHIFT_32


def write_header(
    words: WordArray, geometry: Geometry, arena_id: int, now_ns: int, settings: int = 0
) -> None:
    """Write a new control file's header and its first global words; the rest is zeros."""
    words[L.HEADER_VERSION] = L.VERSION
    words[L.HEADER_BYTE_ORDER] = L.BYTE_ORDER
    words[L.HEADER_ID_LOW] = arena_id & L.ALL_ONES
    words[L.HEADER_ID_HIGH] = arena_id >> 64
    for k, value in enumerate(geometry.words()):
        words[L.HEADER_GEOMETRY + k] = value
    words[L.HEADER_CREATED_NS] = now_ns
    words[L.HEADER_SETTINGS] = settings_word(settings)
    words[L.NEXT_INCARNATION] = 1
    words[L.NEXT_LOAN_ID] = 1
    words[L.LOANS_LIMIT] = min(L.LOANS_LIMIT_DEFAULT, geometry.loans_max - 1)
    words[L.TRANSIT_GRACE_S] = L.TRANSIT_GRACE_DEFAULT_S
    words[L.SLOTS_NEXT] = L.SLOT_FIRST
    for table in range(L.TABLES_COUNT):
        control = L.TABLES + L.TABLE_WORDS * table
        words[control + L.TABLE_NEXT] = 1
        words[control + L.TABLE_BACKED] = 0
    words[L.ZONES + L.ZONE_ROOT_LEVEL] = geometry.section_shift - geometry.leaf_shift
    words[L.HEADER_CHECKSUM] = checksum(words, L.HEADER_VERSION, L.HEADER_CHECKSUM)
    words[L.HEADER_MAGIC] = L.MAGIC  # last: a file without it was never finished


def header_problems(words: WordArray, size_words: int) -> list[str]:
    """Say in words what keeps a control file from being believed; empty when nothing does."""
    if size_words < L.SLOTS:
        return [f"the file has {size_words * 8:,} bytes, too few for a header"]
    if words[L.HEADER_MAGIC] != L.MAGIC:
        return ["it does not begin with scamem's magic word"]
    if words[L.HEADER_BYTE_ORDER] != L.BYTE_ORDER:
        return ["it was written with another byte order"]
    if words[L.HEADER_VERSION] != L.VERSION:
        return [f"its layout is version {words[L.HEADER_VERSION]}, this is version {L.VERSION}"]
    if words[L.HEADER_CHECKSUM] != checksum(words, L.HEADER_VERSION, L.HEADER_CHECKSUM):
        return ["its header's checksum is wrong"]
    settings = words[L.HEADER_SETTINGS] & L.MASK_32
    if words[L.HEADER_SETTINGS] != settings_word(settings) or settings & ~L.SETTINGS_KNOWN:
        return ["its settings are none that this version knows"]
    geometry = Geometry.from_words(words)
    found = geometry.problems()
    if not found and geometry.control_words > size_words:
        found.append(
            f"the file has {size_words * 8:,} bytes, its geometry asks for "
            f"{geometry.control_words * 8:,}"
        )
    return found


def arena_id(words: WordArray) -> int:
    """Return the 128-bit id from a header."""
    return words[L.HEADER_ID_LOW] | words[L.HEADER_ID_HIGH] << 64
