"""What each page's own word holds: the second axis of the comparison.

Four kinds: today's 64-byte ``struct page``; 8 bytes with a pointer; 8 bytes with flags
(section, node, zone); 16 bytes with both. The words are NumPy records whose fields are the
struct's members, so size and content cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .structs import Member, Struct
from .topology import ZONES, Topology
from .verdicts import BrokenError, UnsupportedError

WordKind = Literal["struct page", "pointer", "flags", "both"]

TYPE_BITS = 4
TYPE_MASK = (1 << TYPE_BITS) - 1
SUBTYPE_SHIFT, SUBTYPE_BITS = 4, 7
MAPPABLE_BIT = 11
MISC_BITS = 18  # type 4, subtype 7, may-be-mapped 1, order 6
NR_PAGEFLAGS = 24  # 6.18 on x86-64, read from BTF
HWPOISON_BIT = 21


class PageType(IntEnum):
    """The type in the low 4 bits of a memdesc (kernelnewbies, MatthewWilcox/Memdescs, 2025).

    SCAMEM is ours to say: the page lists 14 and 15 as free.
    """

    MISC = 0
    BUDDY = 1
    FILE = 2
    HWPOISON = 9
    SCAMEM = 14


class MiscSubtype(IntEnum):
    """Subtypes of MISC; KSTACK is not on the page, the 2025 stack thread suggests one."""

    NONE = 0
    UNKNOWN = 2
    VMALLOC = 3
    KSTACK = 9


@dataclass(frozen=True, slots=True)
class FlagBits:
    """Widths of section, node and zone, and where they lie: at the top of the word."""

    word_bits: int
    section: int
    node: int
    zone: int
    low_bits: int

    @property
    def node_in_word(self) -> bool:
        """Whether the node fits too (else NODE_NOT_IN_PAGE_FLAGS and a section table)."""
        return self.low_bits + self.section + self.zone + self.node <= self.word_bits

    def encode(self, section: int, node: int, zone: int) -> int:
        """The top bits of a word. Raises BrokenError when section and zone do not fit."""
        used = self.low_bits + self.section + self.zone
        if used > self.word_bits:
            raise BrokenError(
                "unsupported", f"section and zone need bit {used} of a {self.word_bits}-bit word"
            )
        shift = self.word_bits - self.section
        word = (section << shift) if self.section else 0
        if self.node_in_word:
            shift -= self.node
            word |= node << shift
        shift -= self.zone
        return word | (zone << shift)

    def decode(self, word: int) -> tuple[int | None, int | None, int]:
        """Section, node (None where the word has none) and zone."""
        shift = self.word_bits - self.section
        section = (word >> shift) & ((1 << self.section) - 1) if self.section else None
        node = None
        if self.node_in_word:
            shift -= self.node
            node = (word >> shift) & ((1 << self.node) - 1)
        shift -= self.zone
        return section, node, (word >> shift) & ((1 << self.zone) - 1)


def flag_bits(topology: Topology, low_bits: int) -> FlagBits:
    """The widths that this machine needs (include/linux/page-flags-layout.h does it so)."""
    sections = -(-topology.end // topology.section_frames)
    return FlagBits(
        word_bits=topology.word_bits,
        section=(sections - 1).bit_length() if topology.memory_model == "sparse" else 0,
        node=max(topology.nodes).bit_length(),
        zone=(len(ZONES) - 1).bit_length(),
        low_bits=low_bits,
    )


def word_struct(kind: WordKind, word_bytes: int = 8) -> Struct:
    """The per-page struct of each kind."""
    unsigned_long = Member("unsigned long", "flags", word_bytes)
    memdesc = Member("memdesc_t", "memdesc", word_bytes)
    if kind == "struct page":
        return Struct(
            "page",
            (
                Member("memdesc_flags_t", "flags", word_bytes),
                Member("struct list_head", "lru", 2 * word_bytes, alignment=word_bytes),
                Member("struct address_space *", "mapping", word_bytes),
                Member("unsigned long", "index", word_bytes),
                Member("unsigned long", "private", word_bytes),
                Member("unsigned int", "_mapcount", 4),
                Member("atomic_t", "_refcount", 4),
                Member("unsigned long", "memcg_data", word_bytes),
            ),
        )
    members = (memdesc, unsigned_long) if kind == "both" else (memdesc,)
    return Struct("page", members)


def record_dtype(struct: Struct) -> np.dtype[np.void]:
    """The struct as a NumPy record; members wider than a word become opaque bytes."""
    plain = {4: "<u4", 8: "<u8"}
    return np.dtype([(m.name, plain.get(m.size, f"V{m.size}")) for m in struct.members])


class PageWords:
    """The words of a machine's frames, read and written as a design's page word allows."""

    def __init__(self, kind: WordKind, topology: Topology) -> None:
        self.kind: WordKind = kind
        self.topology = topology
        self.struct = word_struct(kind, topology.word_bits // 8)
        self.bits = flag_bits(topology, NR_PAGEFLAGS if kind == "struct page" else MISC_BITS)
        self.array: NDArray[np.void] = np.zeros(topology.end, dtype=record_dtype(self.struct))
        # the type of a page of struct page: PageBuddy, PG_slab, ... seen from outside
        self.types = np.full(topology.end, PageType.BUDDY, dtype=np.uint8)

    @property
    def has_flags(self) -> bool:
        """Whether section, node and zone of a vmalloc page stay in its word."""
        return self.kind != "pointer"

    @property
    def has_pointer(self) -> bool:
        """Whether a vmalloc page's word leads to an object."""
        return self.kind in ("pointer", "both")

    def set(
        self,
        pfn: int,
        page_type: PageType,
        address: int = 0,
        subtype: MiscSubtype = MiscSubtype.NONE,
        mappable: bool = False,
    ) -> None:
        """Write a page's word: a pointer if the word has one and `address` is given, else Misc."""
        word = int(page_type)
        if address and (self.has_pointer or page_type == PageType.FILE):
            self._check_address(address)
            word |= address
        else:
            word |= subtype << SUBTYPE_SHIFT | int(mappable) << MAPPABLE_BIT
            if self.kind == "flags":
                word |= self._location(pfn)
        self.types[pfn] = page_type
        if self.kind != "struct page":
            self.array["memdesc"][pfn] = word
        if self.kind in ("both", "struct page"):
            self.array["flags"][pfn] = self._location(pfn)

    def poison(self, pfn: int, overwrite: bool) -> None:
        """Mark a frame as broken hardware: a flag beside the rest, or a type over the word."""
        if overwrite and self.kind != "struct page":
            self.array["memdesc"][pfn] = int(PageType.HWPOISON)
        elif self.kind == "pointer":
            raise UnsupportedError("a word that is all pointer has no bit for poison")
        else:
            name = "memdesc" if self.kind == "flags" else "flags"
            self.array[name][pfn] |= self.array.dtype[name].type(1 << HWPOISON_BIT)

    def poisoned(self, pfn: int) -> bool:
        """Whether the word itself says that the frame is broken."""
        if self.type(pfn) == PageType.HWPOISON:
            return True
        if self.kind == "pointer" or (self.kind == "flags" and self.type(pfn) != PageType.MISC):
            return False
        name = "memdesc" if self.kind == "flags" else "flags"
        return bool(int(self.array[name][pfn]) >> HWPOISON_BIT & 1)

    def type(self, pfn: int) -> PageType:
        """The page's type as its word says it."""
        if self.kind == "struct page":
            return PageType(int(self.types[pfn]))
        return PageType(self.raw(pfn) & TYPE_MASK)

    def subtype(self, pfn: int) -> MiscSubtype:
        """The subtype of a Misc word."""
        return MiscSubtype(self.raw(pfn) >> SUBTYPE_SHIFT & ((1 << SUBTYPE_BITS) - 1))

    def raw(self, pfn: int) -> int:
        """The memdesc word (of struct page: the flags)."""
        name = "flags" if self.kind == "struct page" else "memdesc"
        return int(self.array[name][pfn])

    def address(self, pfn: int) -> int | None:
        """Where the word points to, None if it points nowhere."""
        pointing = self.type(pfn) in (PageType.SCAMEM, PageType.FILE)
        if self.kind == "struct page" or not pointing:
            return None
        if self.type(pfn) == PageType.SCAMEM and not self.has_pointer:
            return None
        return self.raw(pfn) & ~TYPE_MASK

    def location(self, pfn: int) -> tuple[int | None, int | None, int] | None:
        """Section, node and zone as the word says, None if it does not hold them."""
        if self.kind in ("both", "struct page"):
            return self.bits.decode(int(self.array["flags"][pfn]))
        if self.kind == "flags" and self.type(pfn) == PageType.MISC:
            return self.bits.decode(self.raw(pfn))
        return None

    def _location(self, pfn: int) -> int:
        item = self.topology.find(pfn)
        section = pfn // self.topology.section_frames
        return self.bits.encode(section, item.node, ZONES.index(item.zone))

    def _check_address(self, address: int) -> None:
        if address & TYPE_MASK or address >> self.topology.word_bits:
            raise BrokenError(
                "unsupported",
                f"address {address:#x} does not leave {TYPE_BITS} of "
                f"{self.topology.word_bits} bits for the type",
            )
