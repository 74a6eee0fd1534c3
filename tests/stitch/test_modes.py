"""`mode=` of get, from_handle, watch and receive_mode: read-only, shared, copy-on-write."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child, in_child
from tests.stitch.test_private import scattered

FRAME = 4096
Load = Callable[[scamem.Arena, str], Any]
WAYS: dict[str, Load] = {
    "name": lambda arena, mode: arena.get("x", mode=mode),
    "handle": lambda arena, mode: arena.get(scamem.handle(arena["x"]), mode=mode),
    "bytes": lambda arena, mode: scamem.from_handle(bytes(scamem.handle(arena["x"])), mode=mode),
    "watch": lambda arena, mode: next(arena.watch("x", mode=mode)),
    "pickle": lambda arena, mode: received(arena["x"], mode),
}


def received(array: Any, mode: str) -> Any:
    with scamem.by_handle():
        data = pickle.dumps(array)
    with scamem.receive_mode(mode):
        return pickle.loads(data)


def poke(array: Any) -> None:
    """Write to an array's memory as C code does that ignores NumPy's flag."""
    ctypes.memset(array.__array_interface__["data"][0], 1, 1)


@pytest.fixture(autouse=True)
def no_names(arena: scamem.Arena) -> Iterator[None]:
    """Leave no name behind."""
    yield
    arena.clear()


@pytest.mark.parametrize("way", WAYS)
def test_read_only_is_enforced_by_the_mmu(arena: scamem.Arena, way: str) -> None:
    arena["x"] = arena.zeros(4 * FRAME, np.uint8)
    found = WAYS[way](arena, "r")
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1

    def body(talk: Talk) -> None:
        talk.say()
        poke(found)
        talk.say("written")

    with child(body) as victim:
        victim.hear()
        with pytest.raises(EOFError):
            victim.hear()
        assert os.WTERMSIG(victim.wait()) == signal.SIGSEGV
    assert found[0] == 0


@pytest.mark.parametrize("way", WAYS)
def test_shared_and_writable(arena: scamem.Arena, way: str) -> None:
    arena["x"] = arena.zeros(4 * FRAME, np.uint8)
    WAYS[way](arena, "w")[1] = 7
    assert arena["x"][1] == 7


@pytest.mark.parametrize("way", WAYS)
def test_copy_on_write(arena: scamem.Arena, way: str) -> None:
    shared = arena.zeros((4, FRAME), np.uint8)
    arena["x"] = shared
    mine = WAYS[way](arena, "c")
    mine[0] += 5
    poke(mine[1])
    assert (mine[0] == 5).all()
    assert mine[1, 0] == 1
    assert not shared.any()
    shared[3] = 9
    assert (mine[3] == 9).all()  # a page that was not written here
    assert not scamem.is_shared(mine)
    assert "copy-on-write" in scamem.explain(mine)
    assert type(pickle.loads(pickle.dumps(mine))) is np.ndarray
    held = arena.objects()[0].refcount
    del mine
    assert arena.objects()[0].refcount < held


def test_only_touched_pages_are_copied(arena: scamem.Arena) -> None:
    """A writer's own memory grows by the pages that it touches, not by the array."""

    def private_kib() -> int:
        with open("/proc/self/smaps_rollup") as file:
            (line,) = (line for line in file if line.startswith("Anonymous:"))
        return int(line.split()[1])

    arena["x"] = arena.zeros(16 << 20, np.uint8)

    def body() -> list[int]:
        mine = arena.get("x", mode="c")
        assert mine.sum() == 0
        before = private_kib()
        mine[:: 1 << 20] = 1  # 16 pages
        return [before, private_kib()]

    before, after = in_child(body)
    assert after - before < 1024


@pytest.mark.parametrize("mode", ["r", "w", "c", None])
def test_what_put_stored(arena: scamem.Arena, mode: str | None) -> None:
    """It is read-only for all; a copy-on-write view of it can be written."""
    handle = arena.put({"a": np.arange(1000), "b": b"bytes"}, name="put")
    if mode == "w":
        with pytest.raises(ValueError, match="mode='c'"):
            arena.get("put", mode=mode)
        return
    found = arena.get("put", mode=mode)
    assert found["b"] == b"bytes"
    assert found["a"].flags.writeable is (mode == "c")
    if mode == "c":
        found["a"] += 1
    assert arena.get(handle)["a"].tolist() == list(range(1000))


def test_a_frame_of_pandas_can_be_written(arena: scamem.Arena) -> None:
    pandas = pytest.importorskip("pandas")
    arena.put(pandas.DataFrame({"x": np.arange(1000.0)}), name="frame")
    mine = arena.get("frame", mode="c")
    mine["x"] += 1
    mine.loc[0, "x"] = -1.0
    assert arena["frame"]["x"].iloc[0] == 0.0


def test_put_with_a_name(arena: scamem.Arena) -> None:
    handle = arena.put([1, 2], name="values")
    assert arena.get(handle) == arena["values"] == [1, 2]
    with pytest.raises(scamem.NameExistsError):
        arena.put([3], name="values")
    arena.put([3], name="values", replace=True)
    assert arena["values"] == [3]
    del handle, arena["values"]
    assert arena.stats().objects == 0


def test_modes_that_do_not_exist(arena: scamem.Arena) -> None:
    arena["x"] = np.zeros(3)
    with pytest.raises(ValueError, match="there are 'r'"):
        arena.get("x", mode="rw")
    with pytest.raises(ValueError, match="give one of them"):
        arena.get("x", mode="c", writable=False)
    with pytest.raises(ValueError, match="there are 'r'"):
        scamem.receive_mode("x")
    assert not arena.get("x", mode="r", writable=False).flags.writeable
    assert not arena.get("x", writable=False).flags.writeable


def test_receive_mode_without_a_block(arena: scamem.Arena) -> None:
    x = arena.zeros(10)
    with scamem.by_handle():
        data = [pickle.dumps(x) for _ in range(3)]
    scamem.receive_mode("c")
    try:
        first = pickle.loads(data[0])
        first += 1
        with scamem.receive_mode("r"):
            assert not pickle.loads(data[1]).flags.writeable
        assert pickle.loads(data[2]).sum() == 0
    finally:
        scamem.receive_mode(None)
    assert x.sum() == 0


@pytest.mark.parametrize("mode", ["r", "w", "c"])
def test_scattered_and_stitched(arena: scamem.Arena, mode: str) -> None:
    """Arrays over an object in runs, and over several objects."""
    parts = [arena.zeros(FRAME, np.uint8) for _ in range(3)]
    joined = arena.concatenate(parts)
    obj = scattered(arena, 3)
    whole = np.frombuffer(memoryview(obj.map()), np.uint8)
    whole[:] = 0
    assert len(obj.runs) > 1
    arena["raw"] = whole
    for shared, mine in ((parts[0], received(joined, mode)), (whole, arena.get("raw", mode=mode))):
        if mode == "r":
            with pytest.raises(ValueError, match="read-only"):
                mine[0] = 3
        else:
            mine[0] = 3
            assert shared[0] == (3 if mode == "w" else 0)


def test_explain_says_where_memory_is(arena: scamem.Arena) -> None:
    shared = arena.zeros(10)
    arena["x"] = shared
    mine = arena.get("x", mode="c")
    assert scamem.is_shared(shared.data)
    assert "its memory is shared" in scamem.explain(shared.data)
    assert "copy-on-write" in scamem.explain(mine.data)
    assert not scamem.is_shared(mine.data)
    assert "its memory is private" in scamem.explain(np.zeros(3).data)
    pandas = pytest.importorskip("pandas")
    arena.put(pandas.DataFrame({"x": np.arange(1000.0)}), name="frame")
    for mode, words in (("r", "its memory is shared"), ("c", "copy-on-write")):
        assert words in scamem.explain(arena.get("frame", mode=mode))
    assert "its memory is private" in scamem.explain(pandas.DataFrame({"x": np.arange(1000.0)}))
    assert "memory" not in scamem.explain({"a": 1})
