"""How long lookups and counts take, in ns a page: NumPy over real arrays, one harness for all.

The arrays have the designs' layouts (a 64-byte stride for struct page, 8 or 16 for the
others), so the memory traffic is theirs; the instructions are NumPy's. Read the figures as
ratios between designs on one machine, not as the kernel's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .costs import Cost, big_machine
from .design import Design
from .page_words import record_dtype
from .topology import Topology, table

Array = NDArray[np.uint64]
Work = Callable[[], object]

NODE_SHIFT, NODE_MASK = np.uint64(54), np.uint64(1023)
TYPE_BITS = np.uint64(4)
REPEATS = 7
OBJECT_SIZES = (1, 64, 4096, 1048576)
PAGES_MIN = 65536  # as many pages are measured at least, in as many objects as that makes
ROW_MAX = 64  # longer lists are searched one by one
SPREAD = 2  # frames of the modelled machine for each page of an object


@dataclass(frozen=True, slots=True)
class Bench:
    """One design's arrays: words of all frames, and objects over scattered ones.

    `pfns` are the objects' frames in random order, so that neighbours in the array are no
    neighbours in memory; `listed` is each object's pages[], one object a row.
    """

    design: Design
    pfns: NDArray[np.int64]
    listed: NDArray[np.int64]
    words: Array
    """Where node and zone are read, if the word has them."""
    pointers: Array
    """Where the pointer is; of a word with pointer and flags, the other half."""
    memdesc_flags: Array
    slot_flags: Array
    counts: NDArray[np.int64]
    topology: Topology


def build(design: Design, pages: int, seed: int = 1) -> Bench:
    """Scatter objects of so many pages each, together PAGES_MIN or more, over memory."""
    generator = np.random.default_rng(seed)
    total = max(pages, PAGES_MIN // pages * pages)
    frames = total * SPREAD
    pfns = np.sort(generator.choice(frames, size=total, replace=False)).astype(np.int64)
    struct = design.page_struct()
    records = np.zeros(frames, dtype=record_dtype(struct))
    words = records["flags" if struct.has("flags") else "memdesc"]
    pointers = records["memdesc" if struct.has("memdesc") else "flags"]
    flags = np.uint64(1) << NODE_SHIFT
    words[:] = flags
    objects = total // pages
    if design.rules.word in ("pointer", "both"):
        owner = np.arange(total) if design.rules.count == "page" else np.arange(total) // pages
        pointers[pfns] = owner.astype(np.uint64) << TYPE_BITS
    in_struct_page = design.rules.word == "struct page"
    per_page = design.rules.count == "page"
    counts = np.zeros(frames if in_struct_page else total if per_page else objects, dtype=np.int64)
    return Bench(
        design,
        generator.permutation(pfns),
        pfns.reshape(objects, pages),
        words,
        pointers,
        np.full(total, flags, dtype=np.uint64),
        np.full(total, flags, dtype=np.uint64),
        counts,
        big_machine(24),
    )


def _owners(bench: Bench) -> NDArray[np.int64]:
    """What each page's word points to."""
    return (bench.pointers[bench.pfns] >> TYPE_BITS).astype(np.int64)


def page_to_nid(bench: Bench) -> Work | None:
    """Node of every page, from the page alone."""
    rules, pfns = bench.design.rules, bench.pfns
    if rules.word != "pointer":
        return lambda: (bench.words[pfns] >> NODE_SHIFT) & NODE_MASK
    if rules.flags in ("memdesc", "once"):
        return lambda: (bench.memdesc_flags[_owners(bench)] >> NODE_SHIFT) & NODE_MASK
    if rules.flags == "slot":
        return lambda: _search_slots(bench)
    if rules.flags == "pfn":
        found = table(bench.topology, rules.table)
        return lambda: found.lookup(pfns)
    return None


def _search_slots(bench: Bench) -> object:
    """4a: which entry of its object is this page? A linear search for each page."""
    pages = bench.listed.shape[1]
    some = bench.pfns[: searches(pages)]
    owners = (bench.pointers[some] >> TYPE_BITS).astype(np.int64)
    if pages <= ROW_MAX:
        slots = (bench.listed[owners] == some[:, None]).argmax(axis=1)
    else:
        slots = np.array(
            [int(np.argmax(bench.listed[o] == p)) for o, p in zip(owners, some, strict=True)]
        )
    return (bench.slot_flags[owners * pages + slots] >> NODE_SHIFT) & NODE_MASK


def searches(pages: int) -> int:
    """How many pages are searched for, so that a measurement stays short."""
    return 4096 if pages <= ROW_MAX else 32


def pin(bench: Bench) -> Work | None:
    """One reference for each page, as GUP takes them; None where a page and VMA lead nowhere."""
    return _count(bench, 1) if _reachable(bench.design, with_vma=True) else None


def unpin(bench: Bench) -> Work | None:
    """The same back, from the page alone."""
    return _count(bench, -1) if _reachable(bench.design, with_vma=False) else None


def _reachable(design: Design, with_vma: bool) -> bool:
    rules = design.rules
    if rules.count == "none":
        return False
    return rules.word != "flags" or (with_vma and rules.mapping == "vma")


def _count(bench: Bench, step: int) -> Work:
    pfns, counts, rules = bench.pfns, bench.counts, bench.design.rules

    def in_struct_page() -> None:
        counts[pfns] += step

    def in_memdesc() -> None:
        counts[_owners(bench)] += step

    owners = np.arange(bench.listed.size) // bench.listed.shape[1]

    def by_vma() -> None:  # a VMA is at hand, so no word is read; the count is still one a page
        counts[:] += step * np.bincount(owners, minlength=len(counts))

    def in_object() -> None:
        counts[:] += step * np.bincount(_owners(bench), minlength=len(counts))

    if rules.word == "struct page":
        return in_struct_page
    if rules.word == "flags":
        return by_vma
    return in_memdesc if rules.count == "page" else in_object


def allocate(bench: Bench) -> Work:
    """Write each page's word, and what the design lists for each page."""
    pfns, rules = bench.pfns, bench.design.rules
    word, pointer = bench.words[pfns].copy(), bench.pointers[pfns].copy()
    both = rules.word == "both"

    def work() -> object:
        bench.words[pfns] = word
        if both:
            bench.pointers[pfns] = pointer
        listed = pfns.copy()
        if rules.count == "page" and rules.word != "struct page":
            bench.memdesc_flags[:] = bench.memdesc_flags[0]
            bench.counts[:] = 0
        if rules.flags == "slot":
            bench.slot_flags[:] = bench.slot_flags[0]
        return listed

    return work


def _nodes_in_order(bench: Bench) -> object:
    """flags[] read from its first entry to its last."""
    return (bench.slot_flags >> NODE_SHIFT) & NODE_MASK


def free(bench: Bench) -> Work | None:
    """Find each page's node, its index in the object being known, and reset its word."""
    rules, pfns = bench.design.rules, bench.pfns
    locate = page_to_nid(bench)
    if rules.word == "pointer" and rules.flags == "slot":
        locate = partial(_nodes_in_order, bench)
    if locate is None:
        return None
    find = locate
    word = bench.words[pfns].copy()

    def work() -> object:
        nodes = find()
        bench.words[pfns] = word
        return nodes

    return work


OPERATIONS: tuple[tuple[str, Callable[[Bench], Work | None]], ...] = (
    ("page_to_nid", page_to_nid),
    ("pin", pin),
    ("unpin", unpin),
    ("allocate", allocate),
    ("free", free),
)


def measure(work: Work, pages: int, repeats: int = REPEATS) -> float:
    """Nanoseconds a page: the best of some repeats, after one to warm up."""
    work()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter_ns()
        work()
        best = min(best, time.perf_counter_ns() - start)
    return best / pages


def time_designs(designs: Iterable[Design], sizes: Sequence[int] = OBJECT_SIZES) -> list[Cost]:
    """Every operation of every design, for objects of several sizes."""
    rows = []
    for design in designs:
        for pages in sizes:
            bench = build(design, pages)
            for name, operation in OPERATIONS:
                work = operation(bench)
                if work is None:
                    continue
                searched = name == "page_to_nid" and design.rules.flags == "slot"
                value = measure(work, searches(pages) if searched else len(bench.pfns))
                of = f"objects of {pages:,} pages"
                rows.append(Cost(design.name, name, round(value, 2), "ns a page", of))
    return rows


def time_tables(sizes_gib: Sequence[int] = (24, 2048, 65536), lookups: int = 65536) -> list[Cost]:
    """Lookup by pfn in the three tables, as memory grows."""
    generator = np.random.default_rng(2)
    rows = []
    for size in sizes_gib:
        topology = big_machine(size)
        pfns = generator.integers(1048576, topology.end, size=lookups)
        for name in ("range", "pageblock", "section"):
            found = table(topology, name)
            value = measure(partial(found.lookup, pfns), lookups)
            of = f"{size:,} GiB"
            rows.append(Cost(f"{name} table", "lookup", round(value, 2), "ns a page", of))
    return rows
