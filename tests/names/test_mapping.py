"""An arena's names as a mapping, and the versions of a name."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk, child, in_child


def test_an_arena_is_a_mutable_mapping(arena: scamem.Arena) -> None:
    assert isinstance(arena, MutableMapping)
    arena.update({"a": 1}, b=2)
    arena.update([("c", 3)])
    arena.update(d=4)
    assert dict(arena) == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert sorted(arena.keys()) == ["a", "b", "c", "d"]
    assert sorted(arena.values()) == [1, 2, 3, 4]
    assert ("b", 2) in arena.items()
    assert ("b", 3) not in arena.items()
    assert 3 in arena.values()
    assert arena.keys() & {"a", "z"} == {"a"}
    assert len(arena.items()) == len(arena.values()) == len(arena.keys()) == 4
    match arena:
        case {"a": one}:
            assert one == 1
        case _:
            raise AssertionError
    assert arena.pop("a") == 1
    assert arena.pop("a", None) is None
    with pytest.raises(KeyError, match="'a'"):
        arena.pop("a")
    assert arena.setdefault("b", 5) == 2
    assert arena.setdefault("e", 5) == 5
    name, value = arena.popitem()
    assert (name, value) in {("b", 2), ("c", 3), ("d", 4), ("e", 5)}
    assert name not in arena
    arena.clear()
    assert len(arena) == 0
    with pytest.raises(KeyError):
        arena.popitem()


def test_views_are_live_and_of_a_prefix(arena: scamem.Arena) -> None:
    cameras, every = arena.keys("camera/"), arena.keys()
    assert list(cameras) == []
    arena.update({"camera/0": 0, "camera/1": 1, "lidar": 2})
    assert sorted(cameras) == ["camera/0", "camera/1"]
    assert len(cameras) == 2
    assert len(every) == 3
    assert "camera/0" in cameras
    assert "lidar" not in cameras
    number: Any = 5
    assert number not in cameras
    assert dict(arena.items("camera/")) == {"camera/0": 0, "camera/1": 1}
    assert sorted(arena.values("camera/")) == [0, 1]
    assert "camera/0" in repr(cameras)
    arena.clear()


def test_names_that_go_while_they_are_looked_at(arena: scamem.Arena) -> None:
    arena.update({str(number): number for number in range(10)})
    seen = []
    for name, value in arena.items():
        seen.append((name, value))
        for other in list(arena.keys()):
            if other != name:
                del arena[other]
    assert len(seen) == 1
    arena.clear()


@pytest.mark.parametrize("default", [None, 0, "x"])
def test_a_default_is_as_a_dict_has_it(arena: scamem.Arena, default: Any) -> None:
    assert arena.get("never", default) is default
    assert arena.get("never", default, timeout=0.001) is default
    assert arena.get("never", default=default, newer_than=5) is default
    arena["x"] = None
    assert arena.get("x", default) is None
    with pytest.raises(scamem.NameNotFoundError):
        arena.get("never")
    del arena["x"]


@pytest.mark.parametrize("timeout", [math.nan, np.float64("nan")])
def test_a_timeout_that_never_ends_is_refused(arena: scamem.Arena, timeout: float) -> None:
    with pytest.raises(ValueError, match="NaN"):
        arena.get("never", timeout=timeout)
    with pytest.raises(ValueError, match="NaN"):
        arena.watch("never", timeout=timeout)


@pytest.mark.parametrize("timeout", ["1", [], True])
def test_a_timeout_that_is_no_number(arena: scamem.Arena, timeout: Any) -> None:
    with pytest.raises(TypeError, match="seconds"):
        arena.get("never", timeout=timeout)


def test_one_process_pops_a_name(arena: scamem.Arena) -> None:
    """Of several that pop at once each gets another one, and none gets nothing twice."""
    arena.update({f"job/{number}": number for number in range(200)})

    def take(_: int) -> list[int]:
        found = []
        while True:
            try:
                found.append(arena.popitem()[1])
            except scamem.NameNotFoundError:
                return found

    def worker(talk: Talk) -> None:
        talk.hear()
        talk.say(take(0))

    with child(worker) as one, child(worker) as other:
        one.say()
        other.say()
        found = one.hear() + other.hear() + take(0)
    assert sorted(found) == list(range(200))


def test_a_pop_that_fails_leaves_the_name(
    arena: scamem.Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    arena["x"] = np.arange(5)

    def fail(*_: object) -> object:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("scamem.handles.names.value_of", fail)
        with pytest.raises(MemoryError):
            arena.pop("x")
    assert arena.pop("x").tolist() == [0, 1, 2, 3, 4]


# --- versions ----------------------------------------------------------------------------------


def test_versions_grow_and_never_come_again(arena: scamem.Arena) -> None:
    arena["x"] = 1
    versions = [arena.version("x")]
    arena["y"] = 1
    versions.append(arena.version("y"))
    arena["x"] = 2
    versions.append(arena.version("x"))
    del arena["x"]
    with pytest.raises(scamem.NameNotFoundError):
        arena.version("x")
    arena["x"] = 3
    versions.append(arena.version("x"))
    assert versions[0] > 0
    assert versions == sorted(set(versions))
    assert in_child(lambda: arena.version("x")) == versions[-1]
    assert arena.get("x", newer_than=versions[-2]) == 3
    with pytest.raises(scamem.WaitTimeoutError, match="'x' has no version newer"):
        arena.get("x", newer_than=versions[-1], timeout=0.001)
    for wrong in (-1, 1 << 64):
        with pytest.raises(ValueError, match="version"):
            arena.get("x", newer_than=wrong)
    arena.clear()


def test_a_watch_shows_each_version_once(arena: scamem.Arena) -> None:
    watch = arena.watch("x", timeout=0.001)
    with pytest.raises(scamem.NameNotFoundError):
        next(watch)
    arena["x"] = 1
    arena["x"] = 2
    assert next(watch) == 2  # the latest
    assert watch.version == arena.version("x")
    with pytest.raises(scamem.WaitTimeoutError):
        next(watch)
    with pytest.raises(scamem.WaitTimeoutError):
        watch.get()
    del arena["x"]
    with pytest.raises(scamem.NameNotFoundError):
        next(watch)
    arena["x"] = 3
    assert next(watch) == 3
    seen = arena.version("x")
    arena["x"] = 4
    assert list(zip(range(1), arena.watch("x", newer_than=seen), strict=False)) == [(0, 4)]
    arena.clear()


def test_a_viewer_is_woken_by_each_frame(arena: scamem.Arena) -> None:
    """The publisher waits until the viewer has a frame: none is missed, and none is polled for."""

    def viewer(talk: Talk) -> None:
        for frame in arena.watch("camera", timeout=60):
            talk.say(int(frame[0]))
            if frame[0] == 20:
                return

    with child(viewer) as other:
        for number in range(21):
            arena["camera"] = np.full(1000, number)
            assert other.hear() == number
        other.wait()
    del arena["camera"]


def test_other_names_wake_no_viewer_for_good(arena: scamem.Arena) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(next(arena.watch("late"))))
    thread.start()
    for number in range(50):
        arena["other"] = number
    arena["late"] = 1
    thread.join()
    assert found == [1]
    arena.clear()


def test_a_dead_publisher_ends_the_wait(arena: scamem.Arena) -> None:
    def publish(talk: Talk) -> None:
        arena["camera"] = np.zeros(10)
        talk.say()
        talk.hear()

    with child(publish) as other:
        other.hear()
        watch = arena.watch("camera", timeout=0.2)
        assert len(next(watch)) == 10
        other.kill()
    with pytest.raises(scamem.WaitTimeoutError, match="gone"):
        next(watch)
    del arena["camera"]


# --- how many ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("capacity", "names"), [(1 << 26, 1 << 16), (1 << 33, 1 << 17)])
def test_room_for_names_grows_with_the_capacity(capacity: int, names: int) -> None:
    with scamem.Arena.create(capacity=capacity) as arena:
        assert arena._seat.geometry.areas_max == names


def test_the_advice_where_all_names_are_taken() -> None:
    with scamem.Arena.create(capacity=8 << 20) as arena:
        obj = arena.alloc(1)
        with pytest.raises(scamem.OutOfMemoryError, match="65,535 names") as caught:
            for number in range(1 << 16):
                arena.publish(str(number), obj)
        assert caught.value.limit == "areas of the arena"
        advised = int(str(caught.value).rpartition("capacity=")[2])
        assert obj.refcount == 1 << 16
        assert len(arena.holders(obj)) == 1 << 16
        assert len(arena) == len(list(arena)) == (1 << 16) - 1
        assert arena.check() == []
        arena.clear()
        assert obj.refcount == 1
        obj.close()
    with scamem.Arena.create(capacity=advised) as larger:
        assert larger._seat.geometry.areas_max > 1 << 16


def test_is_no_plain_mapping_base() -> None:
    assert Mapping not in scamem.Arena.__mro__  # its __eq__ would load and compare all values
