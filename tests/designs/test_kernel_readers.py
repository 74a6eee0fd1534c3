"""Readers of what the kernel prints: every line comes back as it was."""

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scamem.designs.kernel import allocinfo, btf, memory_map, pages, vmallocinfo
from scamem.designs.kernel.report import as_json, flag_rows, report
from scamem.designs.kernel.snapshot import Snapshot, find, load, read_live, rebased, record, shipped
from scamem.designs.topology import MemoryRange

LINES = [
    "0x00000000fbe977de-0x00000000f06a4a3c   20480 irq_init_percpu_irqstack+0xed/0x120 vmap",
    (
        "0x00000000f06a4a3c-0x000000002b832587    8192 acpi_os_map_iomem+0x1bc/0x1e0 "
        "phys=0x00000000000a0000 ioremap"
    ),
    "0x00000000a2f9e300-0x00000000debc3746   20480 kernel_clone+0xb8/0x400 pages=4 vmalloc N0=4",
    (
        "0xffffc90000000000-0xffffc90000241000 2363392 htab_map_alloc+0x1/0x2 pages=576 vmalloc "
        "vpages N0=300 N1=276"
    ),
    (
        "0x0000000012345678-0x0000000087654321   69632 vb2_alloc+0x1/0x2 [videobuf2] pages=16 "
        "vmalloc user N0=16"
    ),
    "0x0000000012345678-0x0000000087654321 4194304 vm_map_ram",
    "0x0000000012345678-0x0000000087654321   12288 unpurged vm_area",
    "0x0000000012345678-0x0000000087654321  139264 ringbuf_map_alloc+0x1/0x2 vmap user",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_vmallocinfo_comes_back(line: str) -> None:
    assert vmallocinfo.parse_line(line).format() == line


def test_what_lines_mean() -> None:
    areas = vmallocinfo.parse(LINES)
    assert [area.live for area in areas] == [True] * 6 + [False, True]
    assert areas[4].caller == "vb2_alloc+0x1/0x2 [videobuf2]"
    assert areas[4].function == "vb2_alloc"
    assert areas[3].nodes == ((0, 300), (1, 276))
    assert [area.user_mappable for area in areas].count(True) == 2
    assert vmallocinfo.by_caller(areas)[0].pages == 576
    with pytest.raises(ValueError, match="not a line"):
        vmallocinfo.parse_line("hello")


def test_kmem_columns() -> None:
    row = vmallocinfo.kmem_row(vmallocinfo.parse_line(LINES[3]), "ffff888000000000")
    assert len(row) == len("ffff88003bdf2e40  ffff88003bdf2e80  ffffc90000000000 - ") + 16 + 9
    assert row.startswith("ffff888000000000  ----------------  ffffc90000000000 - ")


def test_every_line_of_the_shipped_snapshots_comes_back() -> None:
    assert set(shipped()) == {"one-node", "two-node"}
    for path in shipped().values():
        snapshot = load(path)
        assert [area.format() for area in snapshot.areas] == snapshot.vmallocinfo
        assert snapshot.ranges()


def test_the_made_up_machine_says_so() -> None:
    assert find("two-node").made_up
    assert "made-up machine" in find("two-node").note
    assert not find("one-node").made_up
    nodes = {item.node for item in find("two-node").ranges()}
    assert nodes == {0, 1}


ZONEINFO = """Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 5
  pages free     3840
        boost    0
        spanned  4095
        present  3998
        managed  3840
        cma      0
  start_pfn:           1
Node 0, zone   Normal
        spanned  100
        present  90
        managed  80
  start_pfn:           4096
Node 1, zone  Movable
        spanned  0
        present  0
        managed  0
"""


def test_zoneinfo() -> None:
    zones = memory_map.parse_zoneinfo(ZONEINFO.splitlines())
    assert zones == [
        memory_map.Zone(0, "DMA", 1, 4095, 3998, 3840),
        memory_map.Zone(0, "Normal", 4096, 100, 90, 80),
    ]


def test_iomem_is_cut_to_whole_frames_and_hidden_without_root() -> None:
    lines = [
        "00001000-0009fbff : System RAM",
        "  000a0000-000bffff : PCI Bus",
        "00100000-bfffffff : System RAM",
    ]
    assert memory_map.parse_iomem(lines) == [(1, 159), (256, 786432)]
    assert memory_map.parse_iomem(["00000000-00000000 : System RAM"] * 3) == []


def test_ranges_of_interleaved_nodes_come_from_their_blocks() -> None:
    zones = [
        memory_map.Zone(0, "Normal", 0, 96, 64, 64),
        memory_map.Zone(1, "Normal", 32, 32, 32, 32),
    ]
    blocks = [
        memory_map.MemoryBlock(n, "online", "Normal", node) for n, node in enumerate((0, 1, 0))
    ]
    assert memory_map.ranges(zones, [], 32, blocks) == [
        MemoryRange(0, 32, 0, "Normal"),
        MemoryRange(32, 64, 1, "Normal"),
        MemoryRange(64, 96, 0, "Normal"),
    ]


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10)), max_size=6).map(
    lambda rows: [(start, start + length) for start, length in rows]
)


@given(spans, spans)
def test_intersection_is_what_lies_in_both(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    def frames(rows: list[tuple[int, int]]) -> set[int]:
        return {pfn for start, end in rows for pfn in range(start, end)}

    assert frames(memory_map.intersect(first, second)) == frames(first) & frames(second)


def test_page_types_letters() -> None:
    def bits(*names: str) -> int:
        return sum(1 << bit for bit, _, name in pages.LETTERS if name in names)

    flags = bits("uptodate", "lru", "active")
    assert pages.flag_letters(flags).startswith("___U_lA___")
    assert pages.flag_names(flags) == "uptodate,lru,active"
    assert len(pages.flag_letters(0)) == 44
    assert pages.well_known(flags | 1 << 34) == flags


@given(st.lists(st.integers(0, 40), max_size=30))
def test_runs_are_the_frames_again(frames: list[int]) -> None:
    found = pages.runs(frames)
    assert [pfn for run in found for pfn in run.frames()] == frames
    assert len(found) <= len(frames)


def test_neighbours_in_either_direction_are_one_run() -> None:
    assert pages.runs(range(100, 116)) == [(100, 16, 1)]
    assert pages.runs(range(115, 99, -1)) == [(115, 16, -1)]
    assert len(pages.runs([7, 8, 9, 8, 7, 6])) == 2
    assert len(pages.runs([5, 5, 4])) == 2


def test_a_frame_beyond_the_end_is_not_a_frame_of_zeros(tmp_path: Path) -> None:
    path = tmp_path / "kpageflags"
    path.write_bytes(bytes(16))
    assert pages.read_entries(str(path), [1]) == [0]
    with pytest.raises(IndexError, match="no entry 0x2"):
        pages.read_entries(str(path), [2])


def test_counting_flags(tmp_path: Path) -> None:
    path = tmp_path / "kpageflags"
    path.write_bytes(struct.pack("<5Q", 0, 1 << 10, 1 << 10, 1 << 11 | 1 << 34, 0))
    assert pages.count_flags(str(path), batch=2) == {0: 2, 1 << 10: 2, 1 << 11: 1}
    assert pages.read_entries(str(path), [2, 0]) == [1 << 10, 0]


def make_btf() -> bytes:
    """struct page {flags, _refcount}, typedef memdesc_flags_t, an enum; as pahole would write."""
    names = b"\0page\0flags\0_refcount\0memdesc_flags_t\0pageflags\0__NR_PAGEFLAGS\0"

    def at(name: bytes) -> int:
        return names.index(b"\0" + name + b"\0") + 1

    types = struct.pack("<4I", 0, 1 << 24, 8, 64)  # int
    types += struct.pack("<3I", at(b"page"), btf.STRUCT << 24 | 2, 64)
    types += struct.pack("<6I", at(b"flags"), 1, 0, at(b"_refcount"), 1, 416)
    types += struct.pack("<3I", at(b"memdesc_flags_t"), btf.TYPEDEF << 24, 1)
    types += struct.pack("<5I", at(b"pageflags"), btf.ENUM << 24 | 1, 4, at(b"__NR_PAGEFLAGS"), 24)
    head = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(types), len(types), len(names))
    return head + types + names


def test_btf() -> None:
    found = btf.parse(make_btf())
    assert found.sizes == {"page": 64}
    assert found.has_member("page", "_refcount")
    assert not found.has_member("page", "compound_head")
    assert found.members["page"][1].offset_bits == 416
    assert found.enums == {"__NR_PAGEFLAGS": 24}
    assert found.typedefs == {"memdesc_flags_t"}
    with pytest.raises(ValueError, match="not little-endian BTF"):
        btf.parse(b"\0" * 64)


@pytest.mark.skipif(not os.path.exists("/sys/kernel/btf/vmlinux"), reason="kernel without BTF")
def test_btf_of_this_kernel() -> None:
    found = btf.read()
    assert found.sizes["page"] % 8 == 0
    assert found.has_member("vm_struct", "nr_pages")


def test_allocinfo() -> None:
    lines = [
        "allocinfo - version: 1.0",
        "     2949120      180 kernel/fork.c:311 func:dup_task_struct",
        "     3686400        1 a/vb2.c:47 [videobuf2] func:vb2_vmalloc_alloc",
        "          64        1 kernel/fork.c:9 func:dup_task_struct",
    ]
    sites = allocinfo.parse(lines)
    assert [site.module for site in sites] == ["", "videobuf2", ""]
    assert allocinfo.places(sites)["dup_task_struct"] == "kernel/fork.c:311"
    assert allocinfo.parse([site.format() for site in sites]) == sites


def test_a_snapshot_comes_back_and_tells_no_address(tmp_path: Path) -> None:
    seen = read_live()
    seen.vmallocinfo = [
        "0xffffa2b680000000-0xffffa2b680005000   20480 f+0x1/0x2 pages=4 vmalloc N0=4"
    ]
    record(seen, tmp_path / "s.json")
    again = load(tmp_path / "s.json")
    assert again.name == "s"
    assert again.zones == seen.zones
    assert again.blocks == seen.blocks
    assert again.ram == seen.ram
    assert again.vmallocinfo[0].startswith("0xffffc90000000000-0xffffc90000005000   20480 f+0x1")
    hashed = [LINES[0]]
    assert rebased(hashed) == hashed


def test_what_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="not a snapshot"):
        load(path)
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="format 1"):
        load(path)
    with pytest.raises(LookupError, match="shipped: "):
        find("no-such-machine")


def test_without_zones_a_topology_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="zoneinfo"):
        Snapshot("x", "y").topology()


def test_the_live_machine_can_be_read_without_root() -> None:
    """What is hidden is said; nothing raises."""
    child = os.fork()
    if not child:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            seen = read_live()
            hidden = any("/proc/kpageflags" in line for line in seen.unseen)
            code = 0 if seen.zones and hidden else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("name", ["one-node", "two-node"])
def test_reports_of_the_shipped_machines(name: str) -> None:
    found = report(find(name))
    assert found.mixed_sections == [0]
    assert found.areas_with_pages <= found.areas
    assert found.pages == sum(size * count for size, count in found.sizes)
    data = json.loads(json.dumps(as_json(found)))
    costs = {(c["design"], c["quantity"], c["unit"]): c["value"] for c in data["costs"]}
    assert costs["1", "objects", "bytes"] == 16 * found.pages
    assert (
        costs["today", "memmap and lookup table", "bytes"]
        > 7 * costs["4c", "memmap and lookup table", "bytes"]
    )


def test_the_two_node_machine_needs_more_rows_and_its_spans_overlap() -> None:
    found = report(find("two-node"))
    assert len(found.exact_rows) == 7
    assert found.overlapping_spans
    assert found.user_mappable
    assert found.nested
    assert found.places["dup_task_struct"] == "kernel/fork.c:311"
    assert not report(find("one-node")).overlapping_spans


def test_flag_rows_are_in_page_types_form() -> None:
    value, count, letters, names = flag_rows(find("one-node"), limit=1)[0]
    assert (value, count > 1000, set(letters), names) == ("0x" + "0" * 16, True, {"_"}, "")
