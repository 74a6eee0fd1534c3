"""Leaving an arena: a member that holds nothing frees its own slot, and waits for nobody."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import scamem
from scamem.core.store import layout as L
from tests.backing.children import Talk, child, in_child, run_script

CAPACITY = 16 << 20
ROUNDS = 60


def state_of(arena: Any, slot: int) -> int:
    return (
        int(arena._seat.member.read_word(L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_STATE)) & L.MASK_8
    )


def come_and_go() -> int:
    """Join, hold something, let go of it, leave; the slot that was had."""
    with scamem.Arena.join("here") as arena:
        arena.zeros(100)
        return arena.slot


def test_the_slot_is_free_at_once(place: Path) -> None:
    with scamem.Arena.create("here", capacity=CAPACITY) as arena:
        slot = in_child(come_and_go)
        assert state_of(arena, slot) == L.SLOT_STATE_FREE
        assert in_child(come_and_go) == slot
        assert arena.reap() == 0


def test_what_is_held_keeps_it(place: Path) -> None:
    def hold(talk: Talk) -> None:
        with scamem.Arena.join("here") as arena:
            kept = arena.full(1000, 7)
        talk.say(arena.slot)
        talk.hear()
        assert (kept == 7).all()
        del kept
        talk.say()

    with scamem.Arena.create("here", capacity=CAPACITY) as arena, child(hold) as other:
        slot = other.hear()
        assert arena.reap() == 0
        assert state_of(arena, slot) == L.SLOT_STATE_ACTIVE
        assert len(arena.objects()) == 1
        other.say()
        other.hear()
        assert state_of(arena, slot) == L.SLOT_STATE_FREE  # it left with the last it held
        assert arena.objects() == []
        assert arena.reap() == 0
        other.kill()
        assert arena.reap() == 0


def test_it_waits_for_nobody(place: Path) -> None:
    """While a living member has the lock, the slot is left to be reaped."""
    with scamem.Arena.create("here", capacity=CAPACITY) as arena:

        def go(talk: Talk) -> None:
            joined = scamem.Arena.join("here")
            joined.stats()  # a forked child says at its first transaction that it is there
            talk.say(joined.slot)
            talk.hear()
            joined.close()
            talk.say(joined.closed)

        with child(go) as other:
            slot = other.hear()
            control = os.open(place / "here" / "control", os.O_RDWR)
            lock = arena._seat.member.read_word(L.LOCK)
            os.pwrite(
                control, (lock + L.LOCK_TICKET_ONE | arena.slot).to_bytes(8, "little"), L.LOCK * 8
            )
            other.say()
            assert other.hear() is True
            os.pwrite(control, (lock + L.LOCK_TICKET_ONE).to_bytes(8, "little"), L.LOCK * 8)
            os.close(control)
        assert state_of(arena, slot) == L.SLOT_STATE_ACTIVE
        assert arena.reap() == 1
        assert state_of(arena, slot) == L.SLOT_STATE_FREE


def test_beside_a_thread_that_allocates(place: Path) -> None:
    """Either it left before, and the thread is refused; or the thread holds, and the slot stays."""

    def body() -> int:
        kept = 0
        for number in range(ROUNDS):
            arena = scamem.Arena.join("here")
            begun = threading.Event()
            held: list[Any] = []

            def allocate(arena: Any = arena, begun: Any = begun, held: Any = held) -> None:
                try:
                    for _ in range(10_000):
                        held[:] = [arena.zeros(1000)]
                        begun.set()
                        held.clear()
                except scamem.ClosedError:
                    begun.set()

            thread = threading.Thread(target=allocate)
            thread.start()
            if number % 2:
                begun.wait()
            arena.close()
            thread.join()
            kept += len(held)
            assert all((one == 0).all() for one in held)
        return kept

    with scamem.Arena.create("here", capacity=CAPACITY) as arena:
        in_child(body)
        arena.reap()
        assert arena.objects() == []
        assert arena.check() == []


CLOSED = """
import sys
import numpy as np
import scamem

arena = scamem.Arena.create(capacity=16 << 20)
arena.close()
others = {"create", "join", "open", "default", "from_file"}  # of no arena, and of files
for name in sorted({name for name in dir(arena) if not name.startswith("_")} - others):
    print(name, flush=True)
    try:
        found = getattr(arena, name)
        for given in ((), (0,), (4096,), ("x",), ("x", np.zeros(3)), (bytes(200),)):
            if callable(found):
                try:
                    found(*given)
                except (scamem.ScamemError, AttributeError, IndexError, TypeError, ValueError):
                    pass
    except scamem.ScamemError:
        pass
print("end", name)
"""


def test_what_is_closed_says_so_and_crashes_nobody() -> None:
    """Every public attribute of an arena whose mappings are gone, with arguments of many kinds."""
    assert run_script(CLOSED).splitlines()[-1].startswith("end ")
