"""Random allocation through the arena against a model that is a set of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import scamem

FRAME_BYTES = 4096
CAPACITY_FRAMES = 2048
SIZES = st.one_of(
    st.integers(1, 20), st.integers(1, 700), st.sampled_from([1, 64, 511, 512, 513, 1024])
)


class Frames(RuleBasedStateMachine):
    """The model: an object owns its frames alone, and all the others are free."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = scamem.Arena.create(capacity=CAPACITY_FRAMES * FRAME_BYTES)
        self.objects: dict[int, tuple[Any, frozenset[int], int]] = {}
        self.marks = 0

    def free(self) -> int:
        return CAPACITY_FRAMES - sum(len(frames) for _, frames, _ in self.objects.values())

    @rule(frames=SIZES)
    def alloc(self, frames: int) -> None:
        if frames > self.free():
            with pytest.raises(scamem.OutOfMemoryError) as caught:
                self.arena.alloc(frames * FRAME_BYTES)
            assert caught.value.asked_bytes == frames * FRAME_BYTES
            assert caught.value.free_bytes == self.free() * FRAME_BYTES
            return
        obj = self.arena.alloc(frames * FRAME_BYTES - frames % 3)
        pages = frozenset(int(pfn) for pfn in obj.pages)
        assert len(pages) == obj.nr == frames
        assert max(pages) < CAPACITY_FRAMES
        assert not any(pages & others for _, others, _ in self.objects.values())
        self.marks += 1
        words = np.frombuffer(memoryview(obj.map()), np.uint64).reshape(frames, -1)
        words[:, 0] = self.marks
        words[:, -1] = np.arange(frames)
        self.objects[self.marks] = (obj, pages, self.marks)

    @rule()
    @precondition(lambda self: self.free() > 0)
    def alloc_all_that_is_free(self) -> None:
        """However scattered: external fragmentation fails nothing."""
        self.alloc(self.free())

    @rule(data=st.data())
    @precondition(lambda self: self.objects)
    def let_go(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.objects)))
        obj, _, _ = self.objects.pop(key)
        obj.close()

    @rule()
    @precondition(lambda self: len(self.objects) > 1)
    def let_every_second_go(self) -> None:
        for key in sorted(self.objects)[::2]:
            self.objects.pop(key)[0].close()

    @rule(data=st.data())
    @precondition(lambda self: self.objects)
    def contents(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.objects)))
        obj, frames, mark = self.objects[key]
        words = np.frombuffer(obj.map(writable=False), np.uint64).reshape(len(frames), -1)
        assert (words[:, 0] == mark).all()
        assert (words[:, -1] == np.arange(len(frames))).all()

    @rule(pfn=st.integers(0, CAPACITY_FRAMES - 1))
    def whose(self, pfn: int) -> None:
        found = self.arena.page_to_scamem(pfn)
        owner = [obj for obj, frames, _ in self.objects.values() if pfn in frames]
        assert (found.index if found else None) == (owner[0].index if owner else None)

    @invariant()
    def counts(self) -> None:
        stats = self.arena.stats()
        assert stats.objects == len(self.objects)
        used = CAPACITY_FRAMES - self.free()
        assert stats.frames_online - stats.frames_free == used
        bitmap = self.arena.free_bitmap()
        owned = {pfn for _, frames, _ in self.objects.values() for pfn in frames}
        assert set(np.flatnonzero(~bitmap).tolist()) == owned

    def teardown(self) -> None:
        assert self.arena.check() == []
        for obj, _, _ in self.objects.values():
            obj.close()
        assert self.arena.objects() == []
        self.arena.close()


TestFrames = Frames.TestCase
TestFrames.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
