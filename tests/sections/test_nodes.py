"""Several nodes, of a described machine; huge pages, real ones; lookups from frames."""

import multiprocessing
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.backing import huge_pages

MIB = 1 << 20
AT_ONCE = 4  # of a section
FREE_MAX = 256


@pytest.fixture
def nodes() -> Iterator[scamem.Arena]:
    machine = scamem.Machine(tuple(scamem.MachineNode(16 * MIB) for _ in range(3)))
    with scamem.Arena.create(machine=machine) as made:
        yield made
        assert made.check() == []


def nodes_of(arena: scamem.Arena, held: scamem.Scamem) -> list[int]:
    return [int(node) for node in np.unique(arena.page_to_nid(held.pages))]


def test_a_node_binds(nodes: scamem.Arena) -> None:
    held = [nodes.alloc(4 * MIB, node=node) for node in (0, 1, 2, 1)]
    assert [nodes_of(nodes, one) for one in held] == [[0], [1], [2], [1]]
    with pytest.raises(scamem.OutOfMemoryError, match="node 1"):
        nodes.alloc(12 * MIB, node=1)


def test_others_come_next(nodes: scamem.Arena) -> None:
    held = [nodes.alloc(12 * MIB) for _ in range(3)]
    assert sorted(nodes_of(nodes, one) for one in held) == [[0], [1], [2]]


def test_an_object_larger_than_a_node(nodes: scamem.Arena) -> None:
    held = nodes.alloc(40 * MIB)
    assert nodes_of(nodes, held) == [0, 1, 2]
    assert held.nbytes == 40 * MIB
    view = np.frombuffer(memoryview(held.map()), np.uint8)
    view[:] = 5
    assert (view == 5).all()
    assert nodes.check() == []


def test_interleave(nodes: scamem.Arena) -> None:
    held = nodes.alloc(9 * MIB, node="interleave")
    numbers, counts = np.unique(nodes.page_to_nid(held.pages), return_counts=True)
    assert numbers.tolist() == [0, 1, 2]
    assert counts.tolist() == [3 * 256] * 3
    small = [nodes.alloc(4096, node="interleave") for _ in range(3)]
    assert sorted(nodes_of(nodes, one) for one in small) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("default", "found"), [("1", [[1], [1]]), ("interleave", [[0], [1]]), ("", [[0], [0]])]
)
def test_a_default_node(
    monkeypatch: pytest.MonkeyPatch, default: str, found: list[list[int]]
) -> None:
    """SCAMEM_NODE is what an arena does where nothing is said, as of when it is joined."""
    monkeypatch.setenv("SCAMEM_NODE", default)
    machine = scamem.Machine(tuple(scamem.MachineNode(16 * MIB) for _ in range(3)))
    with scamem.Arena.create(machine=machine) as arena:
        monkeypatch.setenv("SCAMEM_NODE", "2")
        assert [nodes_of(arena, arena.alloc(4096)) for _ in range(2)] == found
        assert nodes_of(arena, arena.alloc(4096, node=2)) == [2]


def test_a_default_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = scamem.Machine((scamem.MachineNode(16 * MIB),))
    for name, value, said in (
        ("SCAMEM_NODE", "7", "asked for node 7"),
        ("SCAMEM_NODE", "near", "asked for node 'near'"),
        ("SCAMEM_ZONE", "DMA", "asked for zone 'DMA'"),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            with scamem.Arena.create(machine=machine) as arena:
                with pytest.raises(ValueError, match=said):
                    arena.zeros(3)
                assert arena.zeros(3, node=0, zone="NORMAL").sum() == 0


def test_unknown_places(nodes: scamem.Arena) -> None:
    with pytest.raises(ValueError, match="nodes are 0, 1, 2"):
        nodes.alloc(1, node=3)
    with pytest.raises(ValueError, match="NORMAL, HUGE"):
        nodes.empty(3, zone="MOVABLE")
    with pytest.raises(scamem.OutOfMemoryError, match="nr_hugepages"):
        nodes.empty(3, zone="HUGE")


def test_lookups_agree_with_the_object(nodes: scamem.Arena) -> None:
    a, b = nodes.alloc(3 * 4096, node=0), nodes.alloc(2 * 4096, node=2)
    pfns = np.concatenate([a.pages, b.pages]).reshape(5, 1)
    found = nodes.page_to_scamem(pfns)
    assert found.shape == (5, 1)
    assert [one.index for one in found.ravel()] == [a.index] * 3 + [b.index] * 2
    looked = nodes.page_to_object(pfns)
    assert looked["generation"].ravel().tolist() == [a.generation] * 3 + [b.generation] * 2
    assert nodes.page_to_section(pfns[0, 0]) == int(pfns[0, 0]) // 2048
    freed = b.pages
    del found
    b.close()
    assert nodes.page_to_object(freed)["object"].tolist() == [0, 0]
    assert nodes.page_to_nid(freed).tolist() == [2, 2]
    offline = 4000
    assert nodes.page_to_scamem(offline) is None
    assert (nodes.page_to_nid(offline), nodes.page_zone(offline)) == (0, "NORMAL")


def test_out_of_range(nodes: scamem.Arena) -> None:
    most = nodes._seat.geometry.frames
    for look in (nodes.page_to_nid, nodes.page_zone, nodes.page_to_section, nodes.page_to_scamem):
        for wrong in (-1, most, [0, most], np.array([2**64 - 1], np.uint64)):
            with pytest.raises(IndexError, match=f"{most:,}"):
                look(wrong)
        with pytest.raises(TypeError):
            look([0.5])


def test_the_kernel_is_asked(nodes: scamem.Arena) -> None:
    held = nodes.alloc(4096, node=1)
    where = [int(held.pages[0]), 4096 - 1]
    assert nodes.page_to_nid(where, verify=True).tolist() == [0, -2]


def child(array: Any, answers: Any) -> None:
    answers.put(int(array.sum()))
    array[0] = 77


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_huge_pages_in_two_processes(huge: scamem.Arena, method: str) -> None:
    _, free = huge_pages.pool()  # the machine's own too
    if free > FREE_MAX:
        pytest.skip(f"{free} huge pages are free here, too many to use them up")
    parts = [huge.empty(2 * MIB, np.uint8, zone="HUGE") for _ in range(free // AT_ONCE * AT_ONCE)]
    with pytest.raises(scamem.OutOfMemoryError, match="nr_hugepages"):
        huge.empty(2 * MIB, np.uint8, zone="HUGE")
    del parts[::2]
    x = huge.full(10 * MIB, 3, np.uint8, zone="HUGE")  # of several runs: a stitched view
    context: Any = multiprocessing.get_context(method)
    answers = context.Queue()
    process = context.Process(target=child, args=(x, answers))
    process.start()
    assert answers.get(timeout=60) == 30 * MIB
    process.join()
    assert x[0] == 77


def test_huge_sizes_and_trim(huge: scamem.Arena) -> None:
    held = huge.alloc(1, zone="HUGE")
    assert held.nr == 512
    assert held.pages[0] % 512 == 0
    assert huge.page_zone(held.pages[:2]).tolist() == ["HUGE", "HUGE"]
    held.resize(3 * MIB)
    assert held.nr == 1024
    with pytest.raises(ValueError, match="HUGE"):
        held.splice(huge.alloc(4096))
    held.close()
    file = huge._seat.huge
    assert file is not None
    assert file.allocated_bytes() > 0
    huge.trim()
    assert file.allocated_bytes() == 0


def test_a_section_empties_into_another_node(nodes: scamem.Arena) -> None:
    """Its own node first; where that is full, the next one of the same kind."""
    kept = nodes.alloc(6 * MIB, node=1)
    view = np.frombuffer(memoryview(kept.map()), np.uint8)
    view[:] = 9
    del view
    (first,) = np.unique(nodes.page_to_section(kept.pages)).tolist()
    nodes.offline_section(first)
    assert nodes_of(nodes, kept) == [1]
    (second,) = np.unique(nodes.page_to_section(kept.pages)).tolist()
    assert second != first
    nodes.offline_section(second)
    assert nodes_of(nodes, kept) == [0]
    assert (np.frombuffer(memoryview(kept.map()), np.uint8) == 9).all()
    assert [info.state for info in nodes.sections()[2:4]] == ["offline", "offline"]
