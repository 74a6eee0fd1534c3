"""A splice that cannot enter for the second time: the source is still its owner's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scamem import Arena, LockTimeoutError
from tests.backing.children import Talk
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import SMALL_BYTES, Hook

FRAMES = 300
IN_THE_MIDDLE = 100  # stores: beginning takes some ten, describing one a frame


def splice_and_stop(talk: Talk, path: str) -> None:
    """Splice, stopped between the first entering and the second; then again."""
    arena = Arena.join(path)
    arena._seat.member.lock_timeout_s = 0.2
    target, source = arena.alloc(SMALL_BYTES), arena.alloc(FRAMES * 4096)
    operations.fill(source)
    hook = Hook(path)
    talk.say("here")
    talk.hear()
    hook.arm(IN_THE_MIDDLE, signal.SIGSTOP)
    with pytest.raises(LockTimeoutError):
        target.splice(source)
    talk.say((source.index, source.nr))
    assert talk.hear() == "go on"
    assert operations.is_filled(source)
    view = source.map()
    with pytest.raises(Exception, match="mappings=1"):
        target.splice(source)
    del view
    if talk.hear():
        target.splice(source)
        talk.say(target.nr)
    else:
        source.close()
        talk.say(target.nr)
    talk.hear()


@pytest.mark.parametrize("again", [True, False])
def test_the_source_is_kept(place: Path, stop_nursery: Nursery, again: bool) -> None:
    arena = Arena.create(str(place / "arena"), capacity=16 << 20, slots=8)
    arena.alloc(SMALL_BYTES).close()
    args = (operations.AllocSmall, arena.path, 20, b"", signal.SIGSTOP)
    with stop_nursery.start(splice_and_stop, arena.path) as splicer:
        assert splicer.hear() == "here"
        splicer.say("go")
        splicer.await_stop()
        with stop_nursery.start(operations.perform, *args) as holder:
            holder.await_stop()
            os.kill(splicer.pid, signal.SIGCONT)
            index, frames = splicer.hear()
            assert frames == FRAMES
            holder.kill()
        (info,) = [info for info in arena.objects() if info.index == index]
        assert (info.state, info.refcount) == ("moving", 1)
        splicer.say("go on")
        splicer.say(again)
        small = SMALL_BYTES // 4096
        assert splicer.hear() == (small + FRAMES if again else small)
        assert [info.nr for info in arena.objects()] == [small + FRAMES if again else small]
        assert arena.check() == []
        splicer.say("end")
        splicer.wait()
    assert arena.objects() == []
    assert arena.check() == []
    arena.close()
