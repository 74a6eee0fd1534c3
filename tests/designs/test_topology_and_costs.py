"""Tables that answer by pfn, against the truth; and costs counted by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scamem.designs import AreaSize, design, designs
from scamem.designs.costs import (
    area_costs,
    big_machine,
    growth_by_memory,
    growth_by_object,
    machine_costs,
    object_bytes,
)
from scamem.designs.timing import build, free, page_to_nid, pin, time_designs, unpin
from scamem.designs.topology import (
    ZONES,
    MemoryRange,
    RangeTable,
    Topology,
    merge,
    model_machine,
    pageblock_table,
    pure_sections_machine,
    renumbered,
    rows_to_rebuild,
    section_table,
)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Ranges with holes, nodes and zones in any order, cut anywhere."""
    cuts = sorted(draw(st.sets(st.integers(0, 400), min_size=2, max_size=14)))
    ranges = [
        MemoryRange(a, b, draw(st.integers(0, 3)), draw(st.sampled_from(ZONES)))
        for a, b in itertools.pairwise(cuts)
        if draw(st.booleans())
    ]
    return Topology(tuple(ranges) or (MemoryRange(0, 8, 0, "DMA"),), 32, 8)


@given(topologies())
def test_a_range_table_is_exact(topology: Topology) -> None:
    node, zone = topology.truth()
    pfns = np.flatnonzero(node >= 0)
    found = RangeTable(topology).lookup(pfns)
    assert (found[0] == node[pfns]).all()
    assert (found[1] == zone[pfns]).all()


@given(topologies())
def test_a_block_table_is_wrong_in_mixed_blocks_only(topology: Topology) -> None:
    node, zone = topology.truth()
    pfns = np.flatnonzero(node >= 0)
    for table in (pageblock_table(topology), section_table(topology)):
        nodes, zones = table.lookup(pfns)
        wrong = pfns[(nodes != node[pfns]) | (zones != zone[pfns])]
        assert set(wrong // table.block_frames) == set(table.mixed.tolist())
        assert table.ambiguous == len(table.mixed)


def test_a_section_cannot_give_the_zone_of_the_first_128_mib() -> None:
    machine = big_machine(24)
    assert section_table(machine).mixed.tolist() == [0]
    assert pageblock_table(machine).ambiguous == 0
    assert section_table(pure_sections_machine()).ambiguous == 0


@given(topologies())
def test_merging_changes_no_answer(topology: Topology) -> None:
    merged = Topology(tuple(merge(topology.ranges)), 32, 8)
    rebuilt = rows_to_rebuild(topology.ranges)
    node, zone = topology.truth()
    assert all((a == b).all() for a, b in zip(merged.truth(), (node, zone), strict=True))
    assert len(rebuilt) <= len(merged.ranges) <= len(topology.ranges)
    covered = Topology(tuple(rebuilt), 32, 8).truth()
    present = node >= 0
    assert (covered[0][present] == node[present]).all()
    assert (covered[1][present] == zone[present]).all()


def test_the_next_kernel_numbers_nodes_the_other_way() -> None:
    assert [item.node for item in renumbered(model_machine()).ranges] == [1, 1, 1, 0, 1, 0]


def test_costs_counted_by_hand() -> None:
    """83 areas of 1 page and 88 of 4: what dominates a small machine."""
    areas = [AreaSize(1)] * 83 + [AreaSize(4)] * 88
    pages = 83 + 4 * 88
    assert object_bytes(design("1"), areas) == (16 * pages, 16 * pages)
    assert object_bytes(design("2"), areas) == (0, 0)
    assert object_bytes(design("4b"), areas)[1] == 16 * len(areas)
    # 4a and 4d: 8 + 8n is 16 and 40, from kmalloc-16 and kmalloc-64; pages[] was 8 and 32
    gross = 83 * 16 + 88 * 64
    assert object_bytes(design("4a"), areas) == (gross, gross)
    assert object_bytes(design("4d"), areas) == (gross, gross - 83 * 8 - 88 * 32)
    # choir: 16 + 8n is 24 and 48, from kmalloc-32 and kmalloc-64
    assert object_bytes(design("choir"), areas)[0] == 83 * 32 + 88 * 64


@pytest.mark.parametrize(
    ("name", "allocations"),
    [("today", 3), ("1", 7), ("2", 3), ("3", 3), ("4a", 4), ("4b", 4), ("4d", 3), ("choir", 3)],
)
def test_allocations_of_a_vmalloc_of_four_pages(name: str, allocations: int) -> None:
    assert area_costs(design(name), [AreaSize(4)]).allocations == allocations


def test_runs_make_a_large_object_small() -> None:
    by_pages = area_costs(design("4d"), [AreaSize(4096, runs=8)])
    by_runs = area_costs(design("4d").with_rules(entries="run"), [AreaSize(4096, runs=8)])
    assert by_pages.nested == 1
    assert by_runs.nested == 0
    assert by_runs.taken_bytes < by_pages.taken_bytes / 20


def test_the_memmap_is_eight_times_smaller() -> None:
    def memmap(name: str) -> list[float]:
        return [c.value for c in growth_by_memory(design(name)) if c.quantity == "memmap"]

    assert memmap("today")[-1] == pytest.approx(1024, rel=1e-3)  # 64 TiB: a TiB of struct page
    for large, small in zip(memmap("today"), memmap("4c"), strict=True):
        assert large == 8 * small


def test_a_section_has_all_of_its_memmap() -> None:
    """As nr_memmap_boot_pages counts: 192 sections of 32,768 frames for 24 GiB less its holes."""
    machine = big_machine(24)
    assert machine.frames < machine.memmap_frames == 192 * 32768


def test_growth_reaches_a_million_pages() -> None:
    last = growth_by_object(design("4d"))[-2:]
    assert last[0].of == "an object of 1,048,576 pages"
    assert last[0].value == pytest.approx(16, rel=0.01)
    assert last[1].value == 1


def test_machine_costs_have_the_same_rows_for_all() -> None:
    rows = machine_costs(designs(), [AreaSize(4)], big_machine(24), "x")
    quantities: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        quantities.setdefault(row.design, []).append((row.quantity, row.unit, row.of))
    assert len(set(map(tuple, quantities.values()))) == 1


def test_areas_that_were_not_seen_cost_no_zeros() -> None:
    rows = machine_costs(designs(), [], big_machine(24), "x")
    assert {row.quantity for row in rows} == {
        "page word",
        "memmap and lookup table",
        "lookup table",
    }


def test_timed_lookups_find_the_right_node() -> None:
    """What is timed is the real work: every page of the benches is of node 1."""
    for kind in designs():
        bench = build(kind, 64)
        work = page_to_nid(bench)
        if kind.rules.flags != "pfn":
            assert work is not None
            assert (np.asarray(work()) == 1).all(), kind.name


def test_timed_counts_come_back_to_zero() -> None:
    for kind in designs():
        bench = build(kind, 64)
        up, down = pin(bench), unpin(bench)
        assert (up is None) == (kind.name in ("2", "subtype"))
        assert (down is None) == (kind.name in ("2", "4b", "subtype"))
        if up and down:
            up()
            assert bench.counts.sum() == len(bench.pfns)
            down()
            assert not bench.counts.any()
        assert free(bench) is not None


def test_times_are_measured_for_all_operations() -> None:
    rows = time_designs([design("4c")], sizes=(64,))
    assert [row.quantity for row in rows] == ["page_to_nid", "pin", "unpin", "allocate", "free"]
    assert all(row.value > 0 and row.unit == "ns a page" for row in rows)
