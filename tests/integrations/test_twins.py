"""Memory that is sent to another process keeps what it contained when it was sent."""

from __future__ import annotations

import numpy as np
import pytest

import scamem
from scamem.integrations.twins import Twins


@pytest.mark.parametrize("where", ["arena", "part", "private"])
def test_a_copy_does_not_follow_the_senders_writes(arena: scamem.Arena, where: str) -> None:
    shared = arena.array(np.arange(10_000))
    sent = {"arena": shared, "part": shared[100:9000], "private": np.arange(10_000)}[where]
    before = sent.tolist()
    twins = Twins()
    handle = twins.handle_of(arena, sent.view(np.ndarray).data, sent)
    for writable in (False, True):
        view = Twins().view_of(handle, writable)
        sent[:] = 7
        assert np.frombuffer(view, np.int64).tolist() == before
    again = Twins().view_of(twins.handle_of(arena, sent.view(np.ndarray).data, sent), True)
    assert set(np.frombuffer(again, np.int64).tolist()) == {7}


def test_memory_that_cannot_be_written_is_sent_as_it_is(arena: scamem.Arena) -> None:
    shared = arena.array(np.arange(10_000)).readonly()
    frames = arena.stats().frames_free
    twins = Twins()
    handle = twins.handle_of(arena, shared.view(np.ndarray).data, shared)
    assert arena.stats().frames_free == frames
    assert np.shares_memory(np.frombuffer(Twins().view_of(handle, False), np.int64), shared)
