"""`init_on_alloc`: nobody sees what a frame's last owner left there, whoever died in between."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena, OutOfMemoryError
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import Operation, words

SECRET = np.uint64(0x5EC2E75EC2E75EC2)
CAPACITY_BYTES = 8 << 20
STRIDE = 18  # stores between one kill and the next
SIZES_BYTES = (100, 3 * 4096, 100 * 4096)


class Secrets(Operation):
    """Objects of all sizes with secrets in them; some are let go of and their frames had again."""

    def act(self, path: str) -> None:
        for nbytes in SIZES_BYTES:
            first, second = self.arena.alloc(nbytes), self.arena.alloc(nbytes)
            for obj in (first, second):
                words(obj)[:] = SECRET
            first.close()
            self.obj = self.arena.alloc(nbytes)
            words(self.obj)[:] = SECRET


def all_frames(arena: Arena) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return what an object of every free frame has in it."""
    arena.reap()
    with arena.alloc(arena.stats().frames_free * arena.frame_bytes) as obj:
        found: np.ndarray[Any, np.dtype[np.uint64]] = words(obj).copy()
    return found


@pytest.mark.parametrize("on", [False, True])
def test_death_at_stores_shows_nothing(place: Path, stop_nursery: Nursery, on: bool) -> None:
    """Without it the secrets are seen: the test looks where they would be."""
    arena = Arena.create(
        str(place / "secrets"), capacity=CAPACITY_BYTES, slots=40, init_on_alloc=on
    )
    arena.alloc(CAPACITY_BYTES).close()  # all is online
    seen, kills = 0, 0
    for store in itertools.count(1, STRIDE):
        args = (Secrets, arena.path, store, b"", signal.SIGKILL)
        with stop_nursery.start(operations.perform, *args) as victim:
            status = victim.wait()
            if os.WIFEXITED(status):
                victim.hear()
        seen += int((all_frames(arena) == SECRET).sum())
        if os.WIFEXITED(status):
            break
        kills += 1
    assert kills > 10
    assert (seen == 0) is on
    assert arena.check() == []
    arena.close()


def killed_with_secrets(talk: Talk, path: str) -> None:
    arena = Arena.join(path)
    kept = [arena.full(1000, SECRET), arena.put(np.full(2_000_000 // 8, SECRET))]
    talk.say(len(kept))
    talk.hear()


def test_every_way_to_frames(place: Path, nursery: Nursery) -> None:
    """Whatever makes objects: what lies behind their data is zeros too."""
    with Arena.create(str(place / "ways"), capacity=CAPACITY_BYTES, init_on_alloc=True) as arena:
        with nursery.start(killed_with_secrets, arena.path) as victim:
            victim.hear()
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
        arena.reap()
        handles: list[Any] = [
            arena.alloc(10),
            scamem.handle(arena.zeros(1)),
            arena.put(b"x"),
            arena.put(np.ones(3, np.uint8)),
            arena.put({"x": 1}),
        ]
        arrays = [arena.empty(10), arena.array([1]), arena.asarray([1])]
        for info in arena.objects():
            frames = arena._seat.member.runs_of(info.index)
            obj = arena.page_to_scamem(frames[0][0])
            assert obj is not None
            assert not (words(obj) == SECRET).any()
            obj.close()
        assert len(arena.objects()) == len(handles) + len(arrays)
        for made in handles:
            made.close()
        del arrays


def test_it_is_the_arenas(place: Path, nursery: Nursery) -> None:
    """Who joins clears as its creator does; a flipped bit of the setting is not believed."""
    path = str(place / "for-all")
    with Arena.create(path, capacity=CAPACITY_BYTES, init_on_alloc=True) as arena:
        assert nursery.run(clears, path)
        assert arena._seat.member.init_on_alloc
    with Arena.create(str(place / "not"), capacity=CAPACITY_BYTES) as arena:
        assert not arena._seat.member.init_on_alloc
        assert not nursery.run(clears, arena.path)


def clears(path: str) -> bool:
    with Arena.join(path) as arena:
        return bool(arena._seat.member.init_on_alloc)


def test_memory_that_runs_out_is_an_error_as_ever(place: Path) -> None:
    with Arena.create(str(place / "full"), capacity=CAPACITY_BYTES, init_on_alloc=True) as arena:
        with arena.alloc(CAPACITY_BYTES), pytest.raises(OutOfMemoryError):
            arena.alloc(1)
        assert arena.objects() == []
