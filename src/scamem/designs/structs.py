"""C structs as data: sizes, alignment, pahole's form, and what the allocators make of them.

Every byte count in :mod:`scamem.designs` comes from here, so that a design's layout is
written once and its cost, its printed form and its NumPy words agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PAGE_SIZE = 4096
CACHELINE = 64
MEMDESC_ALIGN = 16  # 4 type bits in the word leave 16-byte aligned objects

# include/linux/slab.h, x86-64: KMALLOC_MIN_SIZE 8, the 96 and 192 caches between the powers of 2
KMALLOC_SIZES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a C struct; `array` marks a trailing flexible array."""

    ctype: str
    name: str
    size: int
    array: bool = False
    counted_by: str = ""
    alignment: int = 0
    """Alignment in bytes where it is not the size: structs within structs."""

    @property
    def align(self) -> int:
        """Alignment in bytes."""
        return self.alignment or min(self.size, 8)

    def declaration(self) -> tuple[str, str]:
        """Type and declarator as pahole would print them."""
        suffix = "[]" if self.array else ""
        counted = f" __counted_by({self.counted_by})" if self.counted_by else ""
        return self.ctype, f"{self.name}{suffix}{counted};"


@dataclass(frozen=True, slots=True)
class Struct:
    """A C struct: members in order, each aligned as C aligns it."""

    name: str
    members: tuple[Member, ...]

    @property
    def flexible(self) -> bool:
        """Whether it ends in an array, so that its objects differ in size."""
        return bool(self.members) and self.members[-1].array

    @property
    def align(self) -> int:
        """Alignment of the whole struct, in bytes."""
        return max((member.align for member in self.members), default=1)

    def offsets(self) -> Iterator[tuple[Member, int]]:
        """Each member with its offset, in bytes."""
        offset = 0
        for member in self.members:
            offset = round_up(offset, member.align)
            yield member, offset
            offset += 0 if member.array else member.size

    def size(self, count: int = 0) -> int:
        """`sizeof`, in bytes, with `count` elements in the trailing array."""
        end = 0
        for member, offset in self.offsets():
            end = offset + (count * member.size if member.array else member.size)
        return round_up(end, self.align)

    def has(self, name: str) -> bool:
        """Whether a member of that name is there."""
        return any(member.name == name for member in self.members)

    def pahole(self) -> str:
        """The struct as `pahole` prints it: offsets, sizes, holes, cachelines."""
        rows = list(self.offsets())
        types = max((len(member.ctype) for member, _ in rows), default=0)
        names = max((len(member.declaration()[1]) for member, _ in rows), default=0)
        lines = [f"struct {self.name} {{"]
        expected = 0
        for member, offset in rows:
            if offset > expected:
                # "XXX" is pahole's own word for a hole, and marks nothing that is to be done here.
                lines.append(f"\n\t/* XXX {offset - expected} bytes hole, try to pack */\n")
            ctype, declarator = member.declaration()
            shown = 0 if member.array else member.size
            lines.append(f"\t{ctype:<{types}} {declarator:<{names}} /* {offset:5d} {shown:5d} */")
            expected = offset + shown
        size = self.size()
        lines.append("")
        lines.append(
            f"\t/* size: {size}, cachelines: {-(-size // CACHELINE)}, members: {len(rows)} */"
        )
        if size > expected:
            lines.append(f"\t/* padding: {size - expected} */")
        if size % CACHELINE:
            lines.append(f"\t/* last cacheline: {size % CACHELINE} bytes */")
        lines.append("};")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class MetadataAllocation:
    """One allocation of metadata: what it is, bytes asked for, bytes taken."""

    what: str
    nbytes: int
    taken: int
    nested: bool
    """Larger than a page, so __vmalloc_node() is called for it: a vmalloc within a vmalloc."""
    count: int = 1
    """How many such allocations; `nbytes` and `taken` are of one."""


def round_up(value: int, to: int) -> int:
    """The next multiple of `to`."""
    return -(-value // to) * to


def kmalloc_size(nbytes: int) -> int:
    """Bytes that the kernel's allocators take for a request of `nbytes`.

    Up to a page a kmalloc cache; above it whole pages, as vmalloc takes them for its
    own arrays (mm/vmalloc.c: ``if (array_size > PAGE_SIZE) ... __vmalloc_node(...)``).
    """
    if nbytes <= 0:
        return 0
    if nbytes > PAGE_SIZE:
        return round_up(nbytes, PAGE_SIZE)
    return next(size for size in KMALLOC_SIZES if size >= nbytes)


def memdesc_cache_size(nbytes: int) -> int:
    """Bytes of an object in a slab cache of its own, aligned so that its type bits are free."""
    return round_up(nbytes, MEMDESC_ALIGN)


def memdesc_kmalloc_size(nbytes: int) -> int:
    """Bytes of an object of varying size that a page's word points to: kmalloc, 16-byte aligned."""
    return max(kmalloc_size(nbytes), MEMDESC_ALIGN)


def kmalloc_allocation(what: str, nbytes: int) -> MetadataAllocation:
    """A kvmalloc'ed piece of metadata, as vm_struct.pages is today."""
    return MetadataAllocation(what, nbytes, kmalloc_size(nbytes), nbytes > PAGE_SIZE)
