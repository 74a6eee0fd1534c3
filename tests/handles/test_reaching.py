"""Handles in processes that the arena does not know yet, and where none can be loaded."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import scamem
from tests.backing.children import in_child, run_script
from tests.handles import workers

LOAD = """
import scamem
data = bytes.fromhex({data!r})
try:
    print(int(scamem.from_handle(data).sum()))
except scamem.ScamemError as error:
    print(type(error).__name__, str(error))
"""


def loaded_by_a_stranger(data: bytes) -> str:
    """What a process that is no relation of ours prints for a handle."""
    return run_script(LOAD.format(data=data.hex())).strip()


def test_an_unrelated_process_finds_an_anonymous_arena(arena: scamem.Arena) -> None:
    made = arena.array(np.arange(1000))
    handle = scamem.handle(made[500:])
    assert loaded_by_a_stranger(bytes(handle)) == str(sum(range(500, 1000)))
    assert loaded_by_a_stranger(bytes(arena.put(np.arange(5)))) == "10"
    assert handle.cancel() == 0


def test_an_unrelated_process_finds_a_named_arena(place: Path) -> None:
    with scamem.Arena.create("named", capacity=8 << 20) as arena:
        data = bytes(scamem.handle(arena.array([1, 2, 3])))
        assert loaded_by_a_stranger(data) == "6"
        assert loaded_by_a_stranger(data).startswith("StaleHandleError")


def test_a_named_arena_whose_members_have_all_ended(place: Path) -> None:
    out = run_script(
        """
        import scamem
        arena = scamem.Arena.create("alone", capacity=8 << 20)
        print(bytes(scamem.handle(arena.array([4, 5]))).hex())
        """
    )
    assert loaded_by_a_stranger(bytes.fromhex(out.strip())) == "9"


def test_a_named_arena_that_was_removed(place: Path) -> None:
    with scamem.Arena.create("gone", capacity=8 << 20) as arena:
        data = bytes(scamem.handle(arena.array([4, 5])))
        shutil.rmtree(place / "gone")
        assert loaded_by_a_stranger(data).startswith("ArenaNotFoundError")
        with scamem.Arena.create("gone", capacity=8 << 20):
            assert loaded_by_a_stranger(data).startswith("ArenaUnreachableError")
        assert scamem.from_handle(data).sum() == 9  # who has joined has it still


def test_an_arena_that_ended_with_its_last_member() -> None:
    out = run_script(
        """
        import scamem
        print(bytes(scamem.handle(scamem.array([4, 5]))).hex())
        """
    )
    with pytest.raises(scamem.ArenaUnreachableError) as caught:
        scamem.from_handle(bytes.fromhex(out.strip()))
    assert "SCAMEM_ARENA" in str(caught.value)
    assert caught.value.tried


def test_a_process_that_cannot_reach_the_arena(arena: scamem.Arena) -> None:
    """In a pid namespace of its own nobody's descriptors can be seen; the error names ways out."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        pytest.skip("needs unshare(1) and root for a pid namespace")
    probe = [unshare, "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("no pid namespace is to be had here")
    handle = scamem.handle(arena.array([1, 2, 3]))
    code = LOAD.format(data=bytes(handle).hex())
    ran = subprocess.run(
        [unshare, "--pid", "--fork", "--mount-proc", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.startswith("ArenaUnreachableError"), ran.stderr
    for way_out in ("SCAMEM_ARENA", "pass_fds"):
        assert way_out in ran.stdout
    assert handle.cancel() == 1


def scattered(arena: scamem.Arena, nbytes: int) -> scamem.Array:
    """An array whose object has more than one run."""
    parts = [arena.alloc(4096) for _ in range(2 * (nbytes // 4096))]
    for part in parts[::2]:
        part.close()
    rest = arena.alloc(arena.stats().longest_free_run * 4096)
    made = arena.full(nbytes, 7, np.uint8)
    rest.close()
    for part in parts[1::2]:
        part.close()
    return made


def test_a_mapping_that_fails_gives_the_loan_back() -> None:
    """The object stays loadable for who can map it, though its sender has let go."""
    with scamem.Arena.create(capacity=8 << 20) as arena:
        made = scattered(arena, 256 << 10)
        assert arena.objects()[0].runs > 1
        data = bytes(scamem.handle(made))
        del made

        def fail_then_map() -> tuple[str, int, int]:
            soft, hard = resource.getrlimit(resource.RLIMIT_AS)
            with open("/proc/self/statm") as text:
                now = int(text.read().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 10), hard))
            error = workers.failure(scamem.from_handle, data)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            loans = arena.stats().loans
            return type(error).__name__, loans, int(scamem.from_handle(data).sum())

        assert in_child(fail_then_map) == ("OutOfMemoryError", 1, 7 * (256 << 10))
        assert arena.objects() == []


def test_a_second_load_that_fails_makes_no_loan(arena: scamem.Arena) -> None:
    made = arena.full(10, 1, np.uint8)
    handle = scamem.handle(made)
    data = bytes(handle)
    forged = data[:-10] + b"\xff" * 10
    with pytest.raises(scamem.ScamemError):
        scamem.from_handle(forged)
    assert arena.stats().loans == 1  # taken and given back
    assert (scamem.from_handle(data) == 1).all()
    with pytest.raises(scamem.ScamemError):
        scamem.from_handle(forged)
    assert arena.stats().loans == 0
