"""P1, P2, P10, P11, P12, P14: GUP, and what a pin keeps."""

from __future__ import annotations

from ..scenario import Scenario, needed
from ..steps import (
    addresses_returned,
    all_free,
    charge_covers,
    close_file,
    gup_fast,
    gup_slow,
    gup_with_secretmem,
    held,
    longterm,
    mmap,
    munmap,
    open_file,
    unpin,
    vfree,
    vmalloc,
)

PINS = (
    Scenario(
        "gup-fast",
        "P1",
        "GUP-fast: a PTE and its page, no VMA and no lock",
        (
            vmalloc("A", 4),
            mmap("p1", "A"),
            gup_fast("pin", "p1", 1),
            unpin("pin"),
            munmap("p1", 0, 4),
            vfree("A"),
            all_free(),
        ),
    ),
    Scenario(
        "gup-with-secretmem",
        "P1",
        "pin_user_pages_fast() with CONFIG_SECRETMEM: vmalloc pages always take the slow way",
        (vmalloc("A", 4), mmap("p1", "A"), gup_with_secretmem("pin", "p1", 1)),
    ),
    Scenario(
        "gup-slow",
        "P1",
        "GUP under mmap_lock, with the VMA at hand",
        (vmalloc("A", 4), mmap("p1", "A"), gup_slow("pin", "p1", 1)),
    ),
    Scenario(
        "gup-after-munmap",
        "P2",
        "pin, munmap, close, then unpin: only the page is known by then",
        (
            vmalloc("A", 17),
            open_file("fd", "A"),
            mmap("p1", "A", 0, file="fd", part=slice(1, 17)),
            mmap("p1", "A", 32, file="fd", part=slice(1, 17)),
            needed(gup_slow("pin", "p1", 3)),
            munmap("p1", 0, 16),
            munmap("p1", 32, 16),
            close_file("fd"),
            unpin("pin"),
            all_free(),
        ),
    ),
    Scenario(
        "vfree-while-pinned",
        "P10",
        "vfree() with a pin left: addresses and vm_struct go at once",
        (
            vmalloc("A", 17),
            mmap("p1", "A"),
            needed(gup_slow("pin", "p1", 3)),
            munmap("p1", 0, 17),
            vfree("A"),
            addresses_returned("A"),
        ),
    ),
    Scenario(
        "vfree-while-mapped",
        "P10",
        "a driver frees too early; the mapping must keep the frames",
        (
            vmalloc("A", 17),
            mmap("p1", "A"),
            vfree("A"),
            munmap("p1", 0, 17),
            all_free(),
        ),
    ),
    Scenario(
        "amplification",
        "P11",
        "one pinned page keeps how many frames?",
        (
            vmalloc("A", 17),
            mmap("p1", "A"),
            needed(gup_slow("pin", "p1", 3)),
            munmap("p1", 0, 17),
            vfree("A"),
            held("A", at_most=1),
        ),
    ),
    Scenario(
        "charge-while-pinned",
        "P12",
        "the memory cgroup pays for what is held, after vfree() too",
        (
            vmalloc("A", 17, account=True),
            mmap("p1", "A"),
            needed(gup_slow("pin", "p1", 3)),
            munmap("p1", 0, 17),
            vfree("A"),
            charge_covers("A"),
        ),
    ),
    Scenario(
        "longterm-movable",
        "P14",
        "FOLL_LONGTERM asks for the zone of a live page",
        (
            vmalloc("A", 4, where=((0, "Normal"), (1, "Movable"))),
            mmap("p1", "A"),
            needed(gup_slow("pin", "p1", 0)),
            longterm("p1", 0, allowed=True),
            longterm("p1", 1, allowed=False),
        ),
    ),
)
