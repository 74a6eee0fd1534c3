"""The memory policy under which frames are given memory, as the kernel has it at that moment.

This machine may have one node. So it is said to have two, and the kernel is asked what policy the
thread and the mapping have while memory is allocated: that decides where pages come from.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.backing import huge_pages, system
from scamem.backing.files import SharedFile
from scamem.memory import room
from tests.sections.conftest import MIB

HUGE = 2 * MIB
MPOL_DEFAULT = 0
MPOL_BIND = 2
MPOL_INTERLEAVE = 3


@pytest.fixture(autouse=True)
def policies() -> None:
    """Only where the kernel has memory policies and lets us set them."""
    try:
        with system.bound_to(0):
            pass
    except OSError as error:
        pytest.skip(f"no memory policy can be set here: {error}")


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the library believe that the machine has nodes 0 and 1."""
    monkeypatch.setattr(room, "memory_of_nodes", lambda: {0: 1 << 30, 1: 1 << 30})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The policy of the thread in each allocation of a file's memory."""
    found: list[Any] = []
    real = system.fallocate

    def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
        found.append(system.memory_policy())
        real(fd, mode, offset, length)

    monkeypatch.setattr(system, "fallocate", fallocate)
    return found


@contextlib.contextmanager
def own_policy(mode: int) -> Iterator[None]:
    """Give this thread a policy that is not the default, and take it back."""
    before = system.memory_policy()
    system.set_memory_policy(mode, [0] if mode else [])
    try:
        yield
    finally:
        system.set_memory_policy(*before)


@pytest.mark.parametrize("own", [MPOL_DEFAULT, MPOL_INTERLEAVE])
def test_huge_pages_are_allocated_under_their_nodes_policy(
    huge: scamem.Arena, two_nodes: None, seen: list[Any], own: int
) -> None:
    with own_policy(own):
        before = system.memory_policy()
        held = huge.alloc(HUGE, zone="HUGE", node=0)
        assert (MPOL_BIND, [0]) in seen
        assert system.memory_policy() == before
    assert huge.page_to_nid(held.pages, verify=True)[0] in (0, -1)
    view = np.frombuffer(memoryview(held.map()), np.uint8)
    view[:] = 3
    assert (huge.page_to_nid(held.pages, verify=True) == 0).all()


def test_a_machine_of_one_node_needs_no_policy(huge: scamem.Arena, seen: list[Any]) -> None:
    before = system.memory_policy()
    huge.alloc(HUGE, zone="HUGE").close()
    assert seen
    assert {mode for mode, _ in seen} == {before[0]}


def test_small_frames_are_bound_by_their_mapping(
    arena: scamem.Arena, two_nodes: None, seen: list[Any]
) -> None:
    before = system.memory_policy()
    held = arena.alloc(8 * MIB, node=0)
    assert {mode for mode, _ in seen} == {before[0]}
    assert bound_mappings(), "no mapping of the frames is bound to node 0"
    held.close()


def bound_mappings() -> list[str]:
    """Return this process's mappings that the kernel binds to node 0."""
    lines = Path("/proc/self/numa_maps").read_text().splitlines()
    return [line for line in lines if " bind:0 " in line and "frames" in line]


def test_no_huge_page_on_the_node_names_the_nodes_limit(
    huge: scamem.Arena, two_nodes: None
) -> None:
    """The thread's policy comes back after an error as well, and nothing is half done."""
    before = system.memory_policy()
    free = huge_pages.pool()[1]
    with pytest.raises(scamem.OutOfMemoryError, match="node 0's") as caught:
        huge.alloc((free + 1) * HUGE, zone="HUGE", node=0)
    assert caught.value.limit == "nr_hugepages of node 0"
    assert caught.value.asked_bytes >= HUGE
    assert "/sys/devices/system/node/node0/hugepages/" in str(caught.value)
    assert system.memory_policy() == before
    huge.alloc(HUGE, zone="HUGE", node=0).close()


def test_a_node_that_the_kernel_does_not_know_binds_nothing(huge: scamem.Arena) -> None:
    """A container may forbid policies: memory comes from anywhere, as before."""
    before = system.memory_policy()
    for node in (system.NODES_MAX - 1, system.NODES_MAX, -1):
        with pytest.raises(OSError, match=r".") as caught, system.bound_to(node):
            raise AssertionError("the block ran")
        assert caught.value.errno == errno.EINVAL
        assert system.memory_policy() == before
    with contextlib.closing(huge_pages.memfd("test", HUGE)) as file:
        assert isinstance(file, SharedFile)
        huge_pages.allocate(file, 0, HUGE, node=system.NODES_MAX - 1)
        assert system.memory_policy() == before


def test_the_policy_is_back_after_an_exception() -> None:
    before = system.memory_policy()
    with pytest.raises(KeyboardInterrupt), system.bound_to(0):
        raise KeyboardInterrupt
    assert system.memory_policy() == before
