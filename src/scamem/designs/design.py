"""A design: its answers (`Rules`) and the structs that follow from them."""

from __future__ import annotations

import dataclasses

from .page_words import word_struct
from .rules import ObjectMemory, Rules
from .structs import (
    Member,
    MetadataAllocation,
    Struct,
    kmalloc_allocation,
    kmalloc_size,
    memdesc_cache_size,
    memdesc_kmalloc_size,
)

POINTER = 8
RUN_BYTES = 16  # struct page *first; unsigned long nr;

# include/linux/vmalloc.h of 6.18: 72 bytes, so kmalloc-96 (BTF of the test machine agrees)
VM_STRUCT = (
    Member("struct vm_struct *", "next", POINTER),
    Member("void *", "addr", POINTER),
    Member("unsigned long", "size", 8),
    Member("unsigned long", "flags", 8),
    Member("struct page **", "pages", POINTER),
    Member("unsigned int", "page_order", 4),
    Member("unsigned int", "nr_pages", 4),
    Member("phys_addr_t", "phys_addr", 8),
    Member("const void *", "caller", POINTER),
    Member("unsigned long", "requested_size", 8),
)
VMAP_AREA_BYTES = 72


class Design:
    """Base of the designs.

    A subclass gives `name`, `title`, `source` and `rules`; nothing else is needed. It may
    override `object_struct` or `metadata` where its layout is of another kind.
    """

    name: str = ""
    title: str = ""
    source: str = ""
    object_name: str = "scamem"
    rules: Rules = Rules()

    def with_rules(self, **answers: object) -> Design:
        """The same design with other answers; its name says which."""
        changed = type(self)()
        changed.rules = Rules(**{**dataclasses.asdict(self.rules), **answers})
        changed.name = self.name + "".join(f" {rule}={value}" for rule, value in answers.items())
        return changed

    # -- layout ---------------------------------------------------------------

    def page_struct(self) -> Struct:
        """What each page's own word is."""
        return word_struct(self.rules.word)

    def area_struct(self) -> Struct:
        """vm_struct with what the design takes from it and adds to it."""
        members = [m for m in VM_STRUCT if m.name != "pages" or self.rules.area_pages]
        if self.rules.count == "object":
            members.append(Member(f"struct {self.object_name} *", self.object_name, POINTER))
        if self.rules.count == "area":
            members.append(Member("refcount_t", "refcount", 4))
        if self.rules.charge == "area":
            members.append(Member("struct obj_cgroup *", "objcg", POINTER))
        return Struct("vm_struct", tuple(members))

    def object_struct(self) -> Struct | None:
        """The structure that has the count, None where that is struct page or vm_struct."""
        rules = self.rules
        if rules.count == "page" and rules.word != "struct page":
            return self._page_memdesc()
        if rules.count != "object":
            return None
        members = [Member("unsigned int", "nr", 4), Member("refcount_t", "refcount", 4)]
        if rules.flags == "once":
            members.append(Member("memdesc_flags_t", "flags", 8))
        if rules.charge == "object":
            members.append(Member("struct obj_cgroup *", "objcg", POINTER))
        trailing = rules.pages == "object" and rules.array == "trailing"
        ctype, name, size = self._entry()
        if rules.pages == "object" and not trailing:
            members.append(Member(f"{ctype}*", name, POINTER))
        if rules.flags == "slot":
            members.append(Member("unsigned long", "flags", 8, array=True, counted_by="nr"))
        elif trailing:
            members.append(Member(ctype, name, size, array=True, counted_by="nr"))
        return Struct(self.object_name, tuple(members))

    def structs(self) -> list[Struct]:
        """Every struct that the design adds or changes, for printing."""
        structs = [self.page_struct(), self.area_struct()]
        struct = self.object_struct()
        return [*structs, struct] if struct else structs

    def object_memory(self) -> ObjectMemory:
        """How the object's memory is freed, as far as its layout permits the rule.

        SLAB_TYPESAFE_BY_RCU is a property of a cache, and a cache has one object size: an
        object with a trailing array cannot have it and comes from kmalloc.
        """
        struct = self.object_struct()
        if self.rules.memory == "typesafe" and struct is not None and struct.flexible:
            return "kfree"
        return self.rules.memory

    def metadata(self, nr: int, runs: int | None = None) -> list[MetadataAllocation]:
        """Every allocation of metadata for one vmalloc of `nr` pages in `runs` runs."""
        area = self.area_struct().size()
        found = [
            MetadataAllocation("vm_struct", area, kmalloc_size(area), False),
            MetadataAllocation("vmap_area", VMAP_AREA_BYTES, VMAP_AREA_BYTES, False),
        ]
        length = nr if self.rules.entries != "run" else (nr if runs is None else runs)
        if self.rules.area_pages:
            found.append(kmalloc_allocation("pages[]", POINTER * nr))
        elif self.rules.pages == "object" and self.rules.array == "separate":
            _, name, size = self._entry()
            found.append(kmalloc_allocation(f"{name}[]", size * length))
        struct = self.object_struct()
        if struct is None:
            return found
        if self.rules.count == "page":
            size = struct.size()
            taken = memdesc_cache_size(size)
            return [*found, MetadataAllocation(struct.name, size, taken, False, count=nr)]
        if not struct.flexible:
            size = struct.size()
            taken = memdesc_cache_size(size)
            return [*found, MetadataAllocation(struct.name, size, taken, False)]
        size = struct.size(nr if self.rules.flags == "slot" else length)
        taken, nested = memdesc_kmalloc_size(size), kmalloc_allocation("", size).nested
        return [*found, MetadataAllocation(struct.name, size, taken, nested)]

    def _entry(self) -> tuple[str, str, int]:
        if self.rules.entries == "run":
            return "struct page_run ", "runs", RUN_BYTES
        if self.rules.entries == "pfn":
            return "unsigned long ", "pfns", POINTER
        return "struct page *", "pages", POINTER

    def _page_memdesc(self) -> Struct:
        members = []
        if self.rules.flags == "memdesc":
            members.append(Member("memdesc_flags_t", "flags", 8))
        members.append(Member("refcount_t", "refcount", 4))
        if self.rules.mapcount:
            members.append(Member("atomic_t", "mapcount", 4))
        if self.rules.charge == "page":
            members.append(Member("struct obj_cgroup *", "objcg", POINTER))
        return Struct("vmalloc_memdesc", tuple(members))
