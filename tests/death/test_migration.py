"""Killed at every so-manieth store of taking a section offline: what was there is there, once."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from pathlib import Path

import numpy as np

from scamem import Arena
from scamem.core.store import layout as L
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import KEPT, LARGE_BYTES, SCATTERED, SLOTS, SMALL_BYTES, Hook

STRIDE = 29  # of several thousand stores
FIRST = 3


def furnished(path: str) -> Arena:
    """An arena whose first section has two objects, one of several runs, kept by names alone."""
    arena = Arena.create(path, capacity=24 << 20, slots=SLOTS)
    apart = [arena.alloc(30 * 4096) for _ in range(8)]
    rest = arena.alloc((2048 - 8 * 30) * 4096)
    del apart[::2]
    for name, nbytes in ((SCATTERED, LARGE_BYTES), (KEPT, SMALL_BYTES)):
        obj = arena.alloc(nbytes)
        operations.fill(obj)
        arena.publish(name, obj)
        assert np.unique(arena.page_to_section(obj.pages)).tolist() == [0]
    assert len(arena.get(SCATTERED).runs) > 2
    apart.clear()
    rest.close()
    return arena


def go_offline(talk: Talk, path: str, stores: int) -> None:
    """Take section 0 offline, armed; say how many stores that took."""
    arena = Arena.join(path)
    hook = Hook(path)
    hook.arm(stores, signal.SIGKILL)
    arena.offline_section(0)
    hook.disarm()
    talk.say(stores - hook.read(L.STOP_COUNTDOWN))


def identities(arena: Arena) -> set[tuple[object, ...]]:
    return {
        (info.index, info.generation, info.nr, info.refcount, info.names)
        for info in arena.objects()
    }


def judge(arena: Arena, before: set[tuple[object, ...]], where: str) -> None:
    """Both objects are there with their bytes, nothing else is, and the section can go offline."""
    frames = (SMALL_BYTES + LARGE_BYTES) // 4096
    for attempt in ("as it was left", "offline"):
        assert identities(arena) == before, f"{where}, {attempt}"
        stats = arena.stats()
        assert stats.frames_online - stats.frames_free == frames, f"{where}, {attempt}"
        assert stats.frames_reserved == 0, f"{where}, {attempt}"
        assert all(info.state in ("online", "offline") for info in arena.sections()), where
        for name in (KEPT, SCATTERED):
            assert operations.is_filled(arena.get(name)), f"{where}, {attempt}"
        assert arena.check() == [], f"{where}, {attempt}"
        arena.offline_section(0)
    info = arena.sections()[0]
    assert (info.state, info.populated_bytes) == ("offline", 0)


def test_killed_while_a_section_goes_offline(place: Path, stop_nursery: Nursery) -> None:
    kills = inside = 0
    for store in itertools.count(FIRST, STRIDE):
        where = f"after death at store {store}"
        arena = furnished(str(place / "arena"))
        before = identities(arena)
        with stop_nursery.start(go_offline, arena.path, store) as victim:
            status = victim.wait()
            completed = os.WIFEXITED(status)
            stores = victim.hear() if completed else 0
        if not completed:
            assert os.WTERMSIG(status) == signal.SIGKILL
            kills += 1
            inside += bool(arena._seat.member.read_word(L.JOURNAL_LENGTH))
        judge(arena, before, where)
        arena.close()
        shutil.rmtree(arena.path)
        if completed:
            break
    print(f"offline_section: {kills} kills at stores up to {stores}, {inside} inside a transaction")
    assert kills == (stores - FIRST) // STRIDE + 1 > 20
    assert inside > 0
