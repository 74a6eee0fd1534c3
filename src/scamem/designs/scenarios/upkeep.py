"""P19 to P21, P24, P28, P29: broken memory, offlining, dumps, owners, full counts, vrealloc."""

from __future__ import annotations

from ..scenario import Scenario, needed
from ..steps import (
    all_free,
    dump,
    gup_slow,
    held,
    map_by_many,
    mmap,
    munmap,
    offline,
    owner_known,
    poison,
    shrink,
    unpin,
    vfree,
    vmalloc,
    withheld,
)

UPKEEP = (
    Scenario(
        "poison-mapped",
        "P19",
        "a memory error in a mapped page: 16 frames come back, one does not",
        (
            vmalloc("A", 17),
            mmap("p1", "A"),
            poison("A", 3),
            munmap("p1", 0, 17),
            vfree("A"),
            withheld("A", 3, freed=16),
            all_free(),
        ),
    ),
    Scenario(
        "poison-pinned",
        "P19",
        "a memory error in a pinned page, which is then unpinned",
        (
            vmalloc("A", 17),
            mmap("p1", "A"),
            needed(gup_slow("pin", "p1", 3)),
            poison("A", 3),
            unpin("pin"),
            munmap("p1", 0, 17),
            vfree("A"),
            withheld("A", 3, freed=16),
            all_free(),
        ),
    ),
    Scenario(
        "offline-in-use",
        "P20",
        "offlining a block must see that its pages are in use",
        (vmalloc("A", 4), offline("A")),
    ),
    Scenario(
        "crash-dump",
        "P21",
        "tools that read struct page by its members",
        (vmalloc("A", 4), dump("A")),
    ),
    Scenario(
        "whose-page",
        "P24",
        "from a page to the object that it belongs to",
        (vmalloc("A", 4), owner_known("A")),
    ),
    Scenario(
        "count-overflow",
        "P28",
        "1 GiB mapped by 8,192 processes: 2^31 page table entries, a reference each",
        (vmalloc("A", 4), map_by_many("A", 262144, 8192)),
    ),
    Scenario(
        "vrealloc-shrink",
        "P29",
        "vrealloc() to half the pages: the other half should be freed",
        (vmalloc("A", 8), shrink("A", 4), held("A", at_most=4)),
    ),
)
