"""Names: what is published under one is there for every member, also when its publisher is not."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child, in_child, run_script


def test_published_arrays_are_the_same_memory(arena: scamem.Arena) -> None:
    made = arena.array(np.arange(12).reshape(3, 4))
    arena.publish("all", made)
    arena.publish("part", made[::2, 1:].T)
    assert np.shares_memory(arena["all"], made)
    assert np.array_equal(arena["part"], made[::2, 1:].T)
    arena["part"][...] = -1
    assert (made[::2, 1:] == -1).all()
    (info,) = arena.objects()
    assert set(info.names) == {"all", "part"}
    assert info.refcount == 3
    del made
    assert arena.get("all").sum() != 0
    arena.unpublish("all")
    assert len(arena.objects()) == 1
    del arena["part"]


@pytest.mark.parametrize(
    "value",
    [np.arange(5), np.asfortranarray(np.ones((3, 4))), {"a": [1]}, b"bytes", "text", None, 7],
    ids=repr,
)
def test_anything_can_be_published(arena: scamem.Arena, value: Any) -> None:
    arena["x"] = value
    found = arena["x"]
    assert np.array_equal(found, value) if isinstance(value, np.ndarray) else found == value
    del found, arena["x"]


def test_what_pickle_knows_better_keeps_its_type(arena: scamem.Arena) -> None:
    masked = np.ma.masked_array([1, 2, 3], [False, True, False])
    arena["masked"] = masked
    assert arena["masked"].mask.tolist() == [False, True, False]
    arena["objects"] = np.array([{"a": 1}, None])
    assert arena["objects"][0] == {"a": 1}
    for name in list(arena):
        del arena[name]


def test_objects_views_and_handles(arena: scamem.Arena) -> None:
    obj = arena.alloc(8192)
    view = obj.map()
    memoryview(view)[:2] = b"ok"
    arena["obj"] = obj
    arena["view"] = view
    arena["handle"] = scamem.handle(obj)
    for name in arena:
        found = arena[name]
        assert isinstance(found, scamem.Scamem)
        assert found.index == obj.index
        assert bytes(memoryview(found.map())[:2]) == b"ok"
    with scamem.Arena.create(capacity=8 << 20) as other:
        for wrong in (obj, view, scamem.handle(obj)):
            with pytest.raises(ValueError, match="another arena"):
                other["obj"] = wrong
        other["copy"] = arena.array([1, 2])
        assert other["copy"].tolist() == [1, 2]
    for name in list(arena):
        del arena[name]


def test_the_mapping_protocol(arena: scamem.Arena) -> None:
    assert len(arena) == 0
    assert bool(arena)
    assert list(arena) == []
    arena["a"] = 1
    arena["b"] = 2
    assert sorted(arena) == ["a", "b"]
    assert len(arena) == 2
    assert "a" in arena
    assert "c" not in arena
    assert 5 not in arena
    assert "\ud800" not in arena
    assert "x" * 300 not in arena
    arena["a"] = 3
    assert arena["a"] == 3
    with pytest.raises(KeyError) as caught:
        arena["c"]
    assert isinstance(caught.value, scamem.NameNotFoundError)
    assert "'c'" in str(caught.value)
    del arena["a"]
    with pytest.raises(scamem.NameNotFoundError, match="'a'"):
        del arena["a"]
    with pytest.raises(scamem.NameNotFoundError):
        arena.unpublish("a")
    arena.unpublish("b")
    assert len(arena) == 0


def test_publishing_twice(arena: scamem.Arena) -> None:
    arena.publish("x", np.arange(3))
    with pytest.raises(scamem.NameExistsError, match="replace"):
        arena.publish("x", np.arange(4))
    assert len(arena.objects()) == 1
    seen = arena["x"]
    arena.publish("x", np.arange(4), replace=True)
    assert arena["x"].tolist() == [0, 1, 2, 3]
    assert seen.tolist() == [0, 1, 2]  # undisturbed
    del seen
    assert len(arena.objects()) == 1
    same = arena["x"]
    arena["x"] = same
    assert arena["x"].tolist() == [0, 1, 2, 3]
    del same, arena["x"]


@pytest.mark.parametrize(
    "name", ["a", " ", "a/b", "ä" * 127, "x" * 255, "名前", "🦀", "line\nbreak", "-"]
)
def test_names_are_any_text(arena: scamem.Arena, name: str) -> None:
    arena[name] = 1
    assert list(arena) == [name]
    assert arena[name] == 1
    assert arena.objects()[0].names == (name,)
    del arena[name]


@pytest.mark.parametrize("name", ["", "x" * 256, "ä" * 128, "a\0b", "\ud800"])
def test_names_that_cannot_be(arena: scamem.Arena, name: str) -> None:
    for use in (arena.get, arena.unpublish, lambda name: arena.publish(name, 1)):
        with pytest.raises(ValueError, match=r"name|surrogates"):
            use(name)
    with pytest.raises(TypeError, match="strings"):
        arena[5] = 1  # type: ignore[index]  # as a caller without a type checker might


def test_dtypes_too_long_to_be_described(arena: scamem.Arena) -> None:
    wide = np.dtype([(f"column {number}", "f8") for number in range(100)])
    with pytest.raises(ValueError, match="fields one by one"):
        arena["wide"] = arena.zeros(2, wide)
    handle = scamem.handle(arena.zeros(2, wide))
    assert scamem.from_handle(bytes(handle)).dtype == wide
    assert len(arena) == 0


def test_many_names(arena: scamem.Arena) -> None:
    for number in range(500):
        arena[f"name {number}"] = arena.full(3, number)
    assert len(arena) == 500
    assert arena["name 321"].tolist() == [321] * 3
    for number in range(500):
        arena.unpublish(f"name {number}")


def test_a_closed_arena_has_no_names() -> None:
    arena = scamem.Arena.create(capacity=8 << 20)
    arena["x"] = 1
    arena.close()
    uses: list[Any] = [len, list, lambda a: "x" in a, lambda a: a["x"], lambda a: a.unpublish("x")]
    for use in uses:
        with pytest.raises(scamem.ClosedError):
            use(arena)


# --- waiting ---------------------------------------------------------------------------------


def test_no_timeout_does_not_wait(arena: scamem.Arena) -> None:
    for timeout in (None, 0, -1, 0.001):
        with pytest.raises(scamem.NameNotFoundError):
            arena.get("never", timeout=timeout)


@pytest.mark.parametrize("timeout", [60, math.inf])
def test_a_waiter_is_woken(arena: scamem.Arena, timeout: float) -> None:
    def wait(talk: Talk) -> None:
        talk.say()
        talk.say(int(arena.get("late", timeout=timeout).sum()))

    with child(wait) as other:
        other.hear()
        arena["other"] = 1
        arena["late"] = np.arange(10)
        assert other.hear() == 45
    del arena["late"], arena["other"]


def test_threads_wait_too(arena: scamem.Arena) -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(arena.get("late", timeout=60)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    arena["late"] = "here"
    for thread in threads:
        thread.join()
    assert found == ["here"] * 4
    del arena["late"]


def test_a_signal_ends_a_wait() -> None:
    out = run_script(
        """
        import os, signal, threading, scamem
        arena = scamem.Arena.create(capacity=8 << 20)
        signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        try:
            arena.get("never", timeout=100)
        except ZeroDivisionError:
            print("interrupted")
        """
    )
    assert out == "interrupted\n"


# --- publishers that end ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, 0])
def test_a_name_outlives_its_publisher(arena: scamem.Arena, number: int) -> None:
    def publish(talk: Talk) -> None:
        arena["theirs"] = arena.full(1000, 6)
        talk.say()
        talk.hear()

    with child(publish) as other:
        other.hear()
        if number:
            os.kill(other.pid, number)
        else:
            other.say()
        other.wait()
    arena.reap()
    (info,) = arena.objects()
    assert [(holder.kind, holder.name) for holder in info.holders] == [("area", "theirs")]
    assert (arena["theirs"] == 6).all()
    del arena["theirs"]


def test_spawned_processes_publish(place: Path) -> None:
    with scamem.Arena.create("shop", capacity=8 << 20) as arena:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_publish, args=("shop",))
        process.start()
        assert arena.get("goods", timeout=60).tolist() == [1, 2, 3]
        process.join()
        assert arena["goods"].tolist() == [1, 2, 3]


def _publish(name: str) -> None:
    with scamem.Arena.join(name) as arena:
        arena["goods"] = np.array([1, 2, 3])


def test_a_named_arena_keeps_its_names_when_all_have_left(place: Path) -> None:
    run_script(
        """
        import numpy as np, scamem
        arena = scamem.Arena.create("kept", capacity=8 << 20)
        arena["x"] = np.arange(5)
        arena["y"] = {"a": np.ones(3)}
        """
    )
    with scamem.Arena.join("kept") as arena:
        assert sorted(arena) == ["x", "y"]
        assert arena["x"].tolist() == [0, 1, 2, 3, 4]
        assert arena["y"]["a"].sum() == 3
        assert in_child(lambda: int(arena["x"].sum())) == 10
        assert all(holder.kind == "area" for info in arena.objects() for holder in info.holders)
