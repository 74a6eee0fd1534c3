"""The designs of the thread, one class each, as they were written in the mails.

What a mail leaves open is answered as little as possible and the class says so; what would
mend it is found by `remedies.py`, not put in here. To add a design, write one more class and
put it in DESIGNS.
"""

from __future__ import annotations

from .design import RUN_BYTES, Design
from .rules import Rules
from .structs import MetadataAllocation

FIRST_MAIL = "linux-mm, 6 Dec 2024, msg415034"
SCAMEM_MAIL = "linux-mm, Dec 2024, msg415075"
CHOIR_MAIL = "linux-mm, 11 Dec 2024, <Z1n0FFZ_oMYKcUiP@casper.infradead.org>"
RECORD_BYTES = 64
STACK_MAIL = "linux-mm, 2 Sep 2025, <aLdLDEW2d3hK4gUV@casper.infradead.org>"


class Today(Design):
    """64 bytes a page, and in them everything: counts, flags, memory cgroup."""

    name, title, source = "today", "struct page with counts per page", "Linux 6.18"
    rules = Rules(
        word="struct page",
        count="page",
        pages="area",
        charge="page",
        memory="permanent",
        poison="page flag",
        mapcount=True,
    )


class MemdescPerPage(Design):
    """Option 1: an 8-byte word that points to a memdesc {flags, refcount, mapcount} of each page.

    16 bytes hold either the flags or the cgroup's pointer beside two counts. Flags come
    first, as in every memdesc; so the charge has no place but vm_struct.
    """

    name, title, source = "1", "a vmalloc memdesc per page", FIRST_MAIL
    object_name = "vmalloc_memdesc"
    rules = Rules(count="page", flags="memdesc", pages="area", mapcount=True)


class NoTracking(Design):
    """Option 2: bare PFNs; the driver is trusted to keep the memory while it is mapped."""

    name, title, source = "2", "no tracking, PFNs mapped bare", FIRST_MAIL
    rules = Rules(word="flags", count="none", mapping="none", pte="special", pages="area")


class CountInVmStruct(Design):
    """Option 3: GUP raises the count of the whole area; at zero the whole area is freed.

    The word points to vm_struct, so node and zone are not in it. The mail does not say where
    they are; they get what the thread later considers, a lookup by pfn when freeing. vm_struct
    comes from kmalloc and goes by kfree, as in 6.18.
    """

    name, title, source = "3", "a refcount in vm_struct", FIRST_MAIL
    rules = Rules(
        count="area",
        flags="pfn",
        flags_when="freeing",
        pages="area",
        area_ends="last reference",
        memory="kfree",
    )


class ScamemFlags(Design):
    """4a: scamem {nr, refcount, flags[]}. Literally so: pages[] stays in vm_struct."""

    name, title, source = "4a", "scamem {nr, refcount, flags[]}", SCAMEM_MAIL
    rules = Rules(flags="slot", pages="area")


class ScamemByVma(Design):
    """4b: the page keeps its flags, and the object is found through the VMA.

    The mail gives no struct; this is {nr, refcount, pages} in 16 bytes. Each VMA holds one
    reference, as it holds one of its file.
    """

    name, title, source = "4b", "scamem found through the VMA", SCAMEM_MAIL
    rules = Rules(word="flags", mapping="vma", vma_slot="vm_private_data")


class ScamemByPfn(Design):
    """4c: the page points to the object; node, zone and section are looked up by pfn.

    The mail asks for it when freeing; here at any time, which is as little work with a table.
    """

    name, title, source = "4c", "scamem, and node and zone by pfn", SCAMEM_MAIL
    rules = Rules(flags="pfn")


class ScamemPages(Design):
    """4d: scamem {nr, refcount, pages[]} instead of vm_struct's pages; vm_struct holds one.

    Of node and zone the mail says "reconstruct ... at freeing time".
    """

    name, title, source = "4d", "scamem {nr, refcount, pages[]}", SCAMEM_MAIL
    rules = Rules(flags="pfn", flags_when="freeing", array="trailing", area_pages=False)


class Choir(Design):
    """4d five days later: a kref, and the memory cgroup's pointer inside."""

    name, title, source = "choir", "choir {kref, nr, objcg, pages[]}", CHOIR_MAIL
    object_name = "choir"
    rules = Rules(
        flags="pfn",
        flags_when="freeing",
        array="trailing",
        area_pages=False,
        charge="object",
    )


class Subtype(Design):
    """2025: the word is type 0 with a subtype and flags; the object is found by the area only."""

    name, title, source = "subtype", "flags and a subtype; object by the area", STACK_MAIL
    object_name = "choir"
    rules = Rules(
        word="flags",
        mapping="none",
        array="trailing",
        area_pages=False,
        charge="object",
        typed="afterwards",
    )


class ArenaLayout(Design):
    """The arena of this library, as far as the questions of a kernel apply to it.

    A word of type, object and generation; objects in slots that keep their type; frames as
    runs; sections that are of one node and zone because each zone has a frame file.
    """

    name, title, source = "arena", "this library's arena", "docs/architecture.md"
    rules = Rules(
        flags="pfn",
        table="section",
        pure_sections=True,
        entries="run",
        area_pages=False,
        charge="object",
        mapping="vma",
        vma_slot="own field",
        offline="type",
        insert_check="mappable",
    )

    def metadata(self, nr: int, runs: int | None = None) -> list[MetadataAllocation]:
        """Records of tables that exist already: an object slot, and one record a run."""
        length = nr if runs is None else runs
        return [
            MetadataAllocation("object record", RECORD_BYTES, RECORD_BYTES, False),
            MetadataAllocation("run record", RUN_BYTES, RUN_BYTES, False, count=length),
        ]


DESIGNS: tuple[type[Design], ...] = (
    Today,
    MemdescPerPage,
    NoTracking,
    CountInVmStruct,
    ScamemFlags,
    ScamemByVma,
    ScamemByPfn,
    ScamemPages,
    Choir,
    Subtype,
)


def design(name: str) -> Design:
    """A design by its name; `arena` too.

    Raises
    ------
    LookupError : names the designs that there are.
    """
    kinds: list[type[Design]] = [*DESIGNS, ArenaLayout]
    known = {kind.name: kind for kind in kinds}
    if name not in known:
        raise LookupError(f"asked for design {name!r}; there are: {', '.join(known)}")
    return known[name]()


PATCH = {
    "word": "both",  # struct page keeps its flags, and page->private leads to the object
    "memory": "kfree_rcu",
    "lists_foreign": True,  # vm_struct->pages still lists pages that are others'
    "poison": "page flag",
    "offline": "type",  # page_count() is the object's, so a page in use is seen
    "insert_check": "mappable",  # the object's pages carry a flag and no type
    "full_count": "wraps",  # an atomic_t, since it stands in for page->_refcount
}
"""What the patched kernel in kernel/ answers where the mails leave it open."""
WORD_DEBUG = {"word": "pointer", "flags_when": "always"}


def booted(mode: str) -> Design:
    """The design that a boot of the patched kernel (`scamem=MODE`) acts out.

    Raises
    ------
    LookupError : names the designs that there are.
    """
    if mode == Today.name:
        return Today()
    kind = Choir() if mode == "word" else design(mode)
    changed = kind.with_rules(**{**PATCH, **(WORD_DEBUG if mode == "word" else {})})
    changed.name = mode
    return changed


def designs() -> list[Design]:
    """The ten designs of the thread, in its order."""
    return [kind() for kind in DESIGNS]
