"""Layouts as data: sizes, pahole's form, words that hold what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scamem.designs import Design, design, designs
from scamem.designs.page_words import (
    FlagBits,
    PageType,
    PageWords,
    WordKind,
    flag_bits,
    word_struct,
)
from scamem.designs.structs import Member, Struct, kmalloc_size, memdesc_cache_size
from scamem.designs.topology import ZONES, Topology, highmem_machine, model_machine
from scamem.designs.verdicts import BrokenError


def struct_of(kind: Design) -> Struct:
    """The structure that has the count."""
    struct = kind.object_struct()
    assert struct is not None
    return struct


def test_sizes_that_the_kernel_has() -> None:
    assert word_struct("struct page").size() == 64
    assert design("today").area_struct().size() == 72
    assert [kind.page_struct().size() for kind in designs()] == [64] + [8] * 9
    assert word_struct("both").size() == 16


@pytest.mark.parametrize(
    ("name", "size", "each"),
    [("1", 16, 0), ("4a", 8, 8), ("4b", 16, 0), ("4c", 16, 0), ("4d", 8, 8), ("choir", 16, 8)],
)
def test_objects(name: str, size: int, each: int) -> None:
    struct = struct_of(design(name))
    assert struct.size() == size
    assert struct.size(10) == size + 10 * each
    assert struct.flexible == bool(each)


def test_what_is_added_to_vm_struct_stays_in_its_cache() -> None:
    for kind in designs():
        assert 72 <= kind.area_struct().size() <= 96
        assert kmalloc_size(kind.area_struct().size()) == 96


def test_a_trailing_array_rules_out_typesafe_memory() -> None:
    assert design("4c").object_memory() == "typesafe"
    assert design("4d").object_memory() == "kfree"
    assert design("4d").with_rules(array="separate").object_memory() == "typesafe"


def test_room_for_the_cgroup_pointer_makes_a_page_memdesc_32_bytes() -> None:
    struct = struct_of(design("1").with_rules(charge="page"))
    assert (struct.size(), memdesc_cache_size(struct.size())) == (24, 32)


def test_pahole_form() -> None:
    struct = Struct("hole", (Member("char", "a", 1), Member("long", "b", 8), Member("int", "c", 4)))
    assert struct.pahole().splitlines() == [
        "struct hole {",
        "\tchar a; /*     0     1 */",
        "",
        "\t/* XXX 7 bytes hole, try to pack */",
        "",
        "\tlong b; /*     8     8 */",
        "\tint  c; /*    16     4 */",
        "",
        "\t/* size: 24, cachelines: 1, members: 3 */",
        "\t/* padding: 4 */",
        "\t/* last cacheline: 24 bytes */",
        "};",
    ]
    assert "pages[] __counted_by(nr); /*    16     0 */" in struct_of(design("choir")).pahole()


@pytest.mark.parametrize(
    ("asked", "taken"),
    [(0, 0), (1, 8), (40, 64), (65, 96), (97, 128), (193, 256), (4096, 4096), (4104, 8192)],
)
def test_kmalloc_sizes(asked: int, taken: int) -> None:
    assert kmalloc_size(asked) == taken


@given(
    st.integers(0, 7).flatmap(
        lambda width: st.tuples(st.just(width), st.integers(0, (1 << width) - 1))
    ),
    st.integers(0, 1023),
    st.integers(0, len(ZONES) - 1),
)
def test_flags_come_back_from_a_word(section: tuple[int, int], node: int, zone: int) -> None:
    width, value = section
    bits = FlagBits(64, width, 10, 3, 24)
    assert bits.decode(bits.encode(value, node, zone)) == (value if width else None, node, zone)


def test_a_node_that_does_not_fit_is_left_out() -> None:
    bits = FlagBits(32, 4, 3, 3, 24)
    assert not bits.node_in_word
    with pytest.raises(BrokenError, match="31 of a 30-bit"):
        FlagBits(30, 4, 3, 3, 24).encode(0, 0, 0)
    assert FlagBits(32, 4, 3, 3, 24).decode(bits.encode(9, 2, 3)) == (9, None, 3)


def test_the_section_is_in_the_word_only_without_vmemmap() -> None:
    assert flag_bits(model_machine(), 18).section == 0
    assert flag_bits(model_machine("sparse"), 18).section == 3


@pytest.mark.parametrize("topology", [model_machine(), model_machine("sparse"), highmem_machine()])
@pytest.mark.parametrize("kind", ["pointer", "flags", "both", "struct page"])
def test_words_hold_what_their_kind_says(kind: WordKind, topology: Topology) -> None:
    words = PageWords(kind, topology)
    pfn = topology.ranges[-1].start
    words.set(pfn, PageType.SCAMEM if words.has_pointer else PageType.MISC, 0x1230)
    assert words.address(pfn) == (0x1230 if words.has_pointer else None)
    located = words.location(pfn)
    assert (located is None) == (kind == "pointer")
    if located:
        assert ZONES[located[2]] == topology.ranges[-1].zone
    assert words.array.dtype.itemsize == words.struct.size()


def test_an_address_without_room_for_the_type_is_refused() -> None:
    words = PageWords("pointer", highmem_machine())
    with pytest.raises(BrokenError, match="4 of 32 bits"):
        words.set(5, PageType.SCAMEM, 0x1008)
    with pytest.raises(BrokenError, match="4 of 32 bits"):
        words.set(5, PageType.SCAMEM, 1 << 33)


def test_poison_overwrites_a_pointer_and_not_flags_beside_it() -> None:
    pointer, both = PageWords("pointer", model_machine()), PageWords("both", model_machine())
    for words in (pointer, both):
        words.set(40, PageType.SCAMEM, 0x1230)
        words.poison(40, overwrite=True)
        assert words.poisoned(40)
        assert words.address(40) is None
    assert both.location(40) is not None
    assert not pointer.poisoned(41)
    assert np.count_nonzero(pointer.array["memdesc"]) == 1
