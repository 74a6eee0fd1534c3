"""What soaks have found, told again without chance."""

from __future__ import annotations

import signal

import pytest

from scamem import Arena
from tests.backing.children import Talk, child


def test_check_while_a_member_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that dies after check() has reaped was called a remnant of that reap (I6)."""
    arena = Arena.create(capacity=8 << 20)

    def body(talk: Talk) -> None:
        kept = arena.alloc(4096)
        talk.say(kept.nr)
        signal.pause()

    with child(body) as member:
        assert member.hear() == 1
        reap = Arena.reap

        def reap_and_kill(arena: Arena, loans: bool = False) -> int:
            count = reap(arena, loans)
            member.kill()
            return count

        monkeypatch.setattr(Arena, "reap", reap_and_kill)
        assert arena.check() == []
    monkeypatch.undo()
    assert arena.stats().objects == 0
    arena.close()
