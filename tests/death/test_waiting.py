"""Killed while it waits for a name: it holds nothing, and nobody waits for it."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import scamem
from tests.backing.children import Talk
from tests.death.nursery import Nursery

WAIT_S = 60.0


def wait_for_name(talk: Talk, path: str) -> None:
    arena = scamem.Arena.join(path)
    talk.say()
    with contextlib.suppress(scamem.NameNotFoundError):
        arena.get("never", timeout=WAIT_S)


def test_killed_while_it_waits_for_a_name(place: Path, nursery: Nursery) -> None:
    with scamem.Arena.create(str(place / "waited"), capacity=8 << 20, slots=8) as arena:
        with nursery.start(wait_for_name, arena.path) as victim:
            victim.hear()
            assert len(arena.stats().members) == 2
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
        assert len(arena.stats().members) == 1
        arena["never"] = arena.zeros(1)
        assert arena.objects()[0].refcount == 1
        del arena["never"]
        assert arena.check() == []
