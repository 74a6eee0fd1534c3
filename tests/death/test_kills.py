"""Killed at every store of an operation: nothing is left, nothing is lost, others go on.

Every sweep kills one member after another, each a store later than the last, until the operation
completes. After each death another member does something first (an allocation, a reap, a newcomer
joining), so that each of them takes the lock over; then everything is as it was before.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import scamem
from scamem import Arena
from scamem.core.store import layout as L
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import (
    KEPT,
    LARGE_BYTES,
    SCATTERED,
    SLOTS,
    SMALL_BYTES,
    Operation,
)

HOLE_BYTES = 30 * 4096
CHECK_EACH = 8  # the rules after each of so many deaths; what is held after every one

OPERATIONS = [
    operations.AllocSmall,
    operations.AllocLarge,
    operations.FreeSmall,
    operations.FreeLarge,
    operations.GetName,
    operations.Map,
    operations.Pin,
    operations.Publish,
    operations.Replace,
    operations.Unpublish,
    operations.PublishWeak,
    operations.DropWeak,
    operations.Lend,
    operations.CancelLoan,
    operations.Load,
    operations.Fork,
    operations.Reap,
    operations.ReapTainted,
    operations.Grow,
    operations.Splice,
    operations.Join,
    operations.JoinFull,
    operations.Put,
]

STRIDE: dict[type[Operation], int] = {  # the crash explorer has every store of each transaction
    operations.Reap: 4,
    operations.Put: 3,
    operations.AllocLarge: 3,
    operations.FreeLarge: 2,
    operations.Fork: 2,
    operations.Replace: 2,
    operations.PublishWeak: 2,
    operations.DropWeak: 2,
    operations.JoinFull: 5,  # each of its kills takes four more processes
    operations.ReapTainted: 5,  # each with several runs
    operations.Grow: 7,
    operations.Splice: 5,
}
WITHOUT_LOCK = {operations.Map}  # counts of its own record, under the process-local lock


@dataclass
class Tally:
    """What a sweep did."""

    stores: int = 0
    kills: int = 0
    inside: int = 0  # the lock word named the victim, or its journal was not empty
    rolled_back: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills at stores 1 to {self.stores}; {self.inside} landed inside a "
            f"critical section; {self.rolled_back} words were rolled back"
        )


@pytest.fixture
def arena(place: Path) -> Iterator[Arena]:
    """An arena whose free frames lie in holes of 30, with two objects that must survive."""
    made = Arena.create(str(place / "arena"), capacity=8 << 20, slots=SLOTS)
    fillers = [made.alloc(HOLE_BYTES) for _ in range(2048 // 30)]
    fillers += [made.alloc(4096) for _ in range(2048 % 30)]
    del fillers[:-8:2]
    for name, nbytes in ((KEPT, SMALL_BYTES), (SCATTERED, LARGE_BYTES)):
        obj = made.alloc(nbytes)
        operations.fill(obj)
        made.publish(name, obj)
    assert len(made.get(SCATTERED).runs) > 2
    with scamem.handle(made.get(KEPT)) as warm:  # the table of loans has memory from here on
        bytes(warm)
        warm.cancel()
    yield made
    fillers.clear()
    made.close()


def state_of(arena: Arena) -> tuple[object, ...]:
    """All that must be as before once the dead are reaped."""
    stats = arena.stats()
    objects = {
        (info.index, info.generation, info.nr, info.refcount, info.names)
        for info in arena.objects()
    }
    members = tuple(member.pid for member in stats.members)
    return objects, members, stats.frames_free, stats.frames_reserved, stats.areas, stats.loans


def died_inside(arena: Arena) -> bool:
    """Whether the dead left the lock in its name, or something to be rolled back."""
    locked = arena._seat.member.read_word(L.LOCK) & L.LOCK_SLOT_MASK
    return bool(locked or arena._seat.member.read_word(L.JOURNAL_LENGTH))


def allocate(arena: Arena, nursery: Nursery) -> None:
    arena.alloc(SMALL_BYTES).close()


def reap(arena: Arena, nursery: Nursery) -> None:
    arena.reap()


def newcomer(arena: Arena, nursery: Nursery) -> None:
    nursery.run(operations.join_and_work, arena.path)


FIRST_STEPS = itertools.cycle([allocate, reap, newcomer])


def kill_once(
    arena: Arena, nursery: Nursery, kind: type[Operation], store: int, handed: bytes, tally: Tally
) -> bool:
    """Kill one victim at a store; True when it completed before."""
    args = (kind, arena.path, store, handed, signal.SIGKILL)
    with nursery.start(operations.perform, *args) as victim:
        status = victim.wait()
        if os.WIFEXITED(status):
            tally.stores = victim.hear()
            return True
    assert os.WTERMSIG(status) == signal.SIGKILL
    tally.kills += 1
    tally.inside += died_inside(arena)
    return False


def settle(arena: Arena) -> None:
    """Give up what the dead left on purpose: a name, and loans in transit."""
    arena.reap(loans=True)
    if "victim" in arena:
        assert operations.is_filled(arena.get("victim"))  # a whole object, or no name
        arena.unpublish("victim")


def sweep(arena: Arena, nursery: Nursery, kind: type[Operation]) -> Tally:
    """Kill at each store in turn, until the operation completes."""
    tally = Tally()
    before = state_of(arena)
    rolled_back = arena.stats().rollbacks
    for store in itertools.count(1, STRIDE.get(kind, 1)):
        lent = scamem.handle(arena.get(KEPT)) if kind is operations.Load else None
        completed = kill_once(arena, nursery, kind, store, bytes(lent) if lent else b"", tally)
        next(FIRST_STEPS)(arena, nursery)
        if lent is not None:
            lent.cancel()
            lent.close()
        settle(arena)
        assert state_of(arena) == before, f"after death at store {store} of {kind.__name__}"
        if completed or store % CHECK_EACH == 0:
            assert arena.check() == [], f"after death at store {store} of {kind.__name__}"
        if completed:
            break
    for name in (KEPT, SCATTERED):
        assert operations.is_filled(arena.get(name))
    tally.rolled_back = arena.stats().rollbacks - rolled_back
    print(f"{kind.__name__}: {tally}")
    return tally


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_death_at_every_store(arena: Arena, stop_nursery: Nursery, kind: type[Operation]) -> None:
    tally = sweep(arena, stop_nursery, kind)
    assert tally.kills == -(-tally.stores // STRIDE.get(kind, 1)) > 0, str(tally)
    if kind not in WITHOUT_LOCK:
        assert tally.kills > SLOTS, str(tally)
        assert tally.inside > 0, str(tally)


def test_death_in_a_fresh_arena(place: Path, stop_nursery: Nursery) -> None:
    """Tables get memory, a section comes online: killed at each sixth store, an arena a kill."""
    tally = Tally()
    for store in itertools.count(1, 6):
        arena = Arena.create(str(place / f"arena-{store}"), capacity=8 << 20, slots=SLOTS)
        nobody = state_of(arena)[:2]
        completed = kill_once(arena, stop_nursery, operations.FirstAlloc, store, b"", tally)
        arena.alloc(SMALL_BYTES).close()
        assert state_of(arena)[:2] == nobody
        tally.rolled_back += arena.stats().rollbacks
        assert arena.stats().frames_free == arena.stats().frames_online == 2048
        if completed or tally.kills % CHECK_EACH == 0:
            assert arena.check() == [], f"after death at store {store}"
        arena.close()
        shutil.rmtree(arena.path)
        if completed:
            break
    print(f"FirstAlloc: {tally}")
    assert tally.kills == -(-tally.stores // 6)
    assert tally.inside > 0
