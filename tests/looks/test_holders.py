"""Who holds an object: all of them, however many, and counted as they are at one moment."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scamem
from scamem.cli import snapshot
from scamem.looks.image import Image
from tests.backing.children import Talk, child

NAMES = 1000  # four times what was shown once


def test_names_beyond_256_are_counted(arena: scamem.Arena) -> None:
    obj = arena.alloc(4096)
    for number in range(NAMES):
        arena.publish(f"name {number}", obj)
    assert obj.refcount == NAMES + 1
    found = arena.holders(obj)
    assert Counter(holder.kind for holder in found) == {"area": NAMES, "member": 1}
    assert {holder.name for holder in found} == {"", *arena}
    (info,) = arena.objects()
    assert info.refcount == NAMES + 1
    assert sorted(info.names) == sorted(arena)
    arena.clear()
    assert obj.refcount == 1
    obj.close()


def test_members_beyond_256_are_counted() -> None:
    """Each forked child is a holder of its own."""
    children = 300
    with scamem.Arena.create(capacity=8 << 20) as arena:
        x = arena.zeros(10)
        read, write = os.pipe()
        pids = []
        for _ in range(children):
            pid = os.fork()
            if pid == 0:
                os.close(write)
                os.read(read, 1)  # until the parent closes its end
                os._exit(0)
            pids.append(pid)
        found = arena.holders(arena.objects()[0].index)
        assert len(found) == children + 1
        assert sum(holder.pins for holder in found) == children + 1
        os.close(write)
        for pid in pids:
            os.waitpid(pid, 0)
        os.close(read)
        assert len(arena.holders(arena.objects()[0].index)) == 1
        del x


def test_the_list_is_of_one_moment(arena: scamem.Arena) -> None:
    """A name that moves from one object to another is at each moment a holder of one of them."""
    one, other = arena.alloc(4096), arena.alloc(4096)
    for number in range(300):
        arena.publish(f"kept {number}", one)

    def move(talk: Talk) -> None:
        talk.say()
        for number in range(2000):
            arena.publish("moving", other if number % 2 else one, replace=True)
        talk.say()

    with child(move) as mover:
        mover.hear()
        counts = {len([h for h in arena.holders(one) if h.kind == "area"]) for _ in range(300)}
        mover.hear()
        mover.wait()
    assert counts <= {300, 301}
    arena.clear()
    one.close()
    other.close()


def test_loans_are_counted_with_their_holder(arena: scamem.Arena) -> None:
    x = arena.zeros(10)
    handle = scamem.handle(x)
    for _ in range(500):
        bytes(handle)
    (holder,) = arena.holders(arena.objects()[0].index)
    assert holder.loans == 500
    assert handle.cancel() == 500
    handle.close()
    del x


# --- a copy, looked at without joining ------------------------------------------------------------


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scamem-test-", dir="/dev/shm") as folder:
        monkeypatch.setenv("SCAMEM_DIR", folder)
        yield Path(folder)


def test_a_copy_shows_what_a_member_sees(place: Path) -> None:
    with scamem.Arena.create("looked", capacity=64 << 20) as arena:
        held = [arena.alloc(4096 * (1 + number % 3)) for number in range(40)]
        for one in held[::2]:
            one.close()
        scattered = arena.alloc(arena.stats().frames_free * 4096)
        arena["x"] = np.arange(5)
        arena["ü"] = scattered
        lent = scamem.handle(held[1])
        bytes(lent)
        taken = snapshot.take("looked")
        image = Image(taken.words, taken.geometry, arena.path, arena.stats().control_bytes)
        found = list(image.objects())
        assert found == arena.objects()
        assert image.stats() == arena.stats()
        assert np.array_equal(image.free_bitmap(), arena.free_bitmap())
        for info in found:
            assert image.runs(info.index) == arena._seat.member.runs_of(info.index)
        assert any(info.runs > 1 for info in found)
        del held, scattered, lent, one
