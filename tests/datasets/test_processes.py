"""Other processes read frozen values: by handle, by name, and after anybody's death."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest

import scamem
from tests.backing.children import Talk, child
from tests.datasets.shapes import Pair, Point, everything


def parts() -> dict[str, Any]:
    """Return one part of each kind, as plain values."""
    value = everything()
    return {
        "all": value,
        "rows": value["rows"][3:20:2],
        "row": value["rows"][7],
        "tuple": value["mixed"][-1],
        "strings": [row["label"] for row in value["rows"]],
        "point": Point(4, [4] * 4),
        "pair": Pair(2, "2"),
        "inner": Point(1, Pair(2, 3)),
        "set": value["set"],
        "array": value["arrays"][2].tolist(),
    }


def frozen_parts(arena: scamem.Arena) -> dict[str, Any]:
    """Return the same parts of a frozen value."""
    value = arena.freeze(everything())
    return {
        "all": value,
        "rows": value["rows"][3:20:2],
        "row": value["rows"][7],
        "tuple": value["mixed"][-1],
        "strings": value["rows"].column("label"),
        "point": value["points"][4],
        "pair": value["pairs"][2],
        "inner": value["one"],
        "set": value["set"],
        "array": value["arrays"][2],
    }


def compare(received: dict[str, Any]) -> list[str]:
    """Return the names of the parts that are not what they should be."""
    expected = parts()
    received = {**received, "array": received["array"].tolist()}
    assert all(key in received["all"] for key in expected["all"])
    assert all(item in received["set"] for item in expected["set"])  # its hash is no process's own
    return [name for name in expected if received[name] != expected[name]]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_by_handle(arena: scamem.Arena, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert pool.apply(compare, (frozen_parts(arena),)) == []
        pool.close()
        pool.join()


def test_by_every_pickler(arena: scamem.Arena) -> None:
    for name, part in frozen_parts(arena).items():
        if name == "array":
            continue  # an Array: by value in a plain pickle
        data = pickle.dumps(part)
        assert len(data) < 600
        assert pickle.loads(data) == part
        again = scamem.from_handle(bytes(scamem.handle(part)))
        assert again == part
        assert type(again) is type(part)
        assert scamem.is_shared(part)
        assert "by handle" in scamem.explain(part)
        assert arena.get(arena.put(part)) == part


def test_by_name_in_another_program(place: Path) -> None:
    with scamem.Arena.create("data", capacity=8 << 20) as arena:
        arena.update({f"part/{name}": part for name, part in frozen_parts(arena).items()})

        def body(talk: Talk) -> None:
            with scamem.Arena.join("data") as joined:
                found = {name.removeprefix("part/"): joined.get(name) for name in joined}
                talk.say(compare(found))

        with child(body) as reader:
            assert reader.hear() == []
            reader.wait()
        arena.clear()
        assert arena.stats().objects == 0


def test_a_killed_reader_releases_and_others_read_on(arena: scamem.Arena) -> None:
    frozen = arena.freeze(everything())
    held = arena.stats().objects

    def body(talk: Talk) -> None:
        found = scamem.from_handle(talk.hear())
        talk.say(found == everything())
        talk.hear()

    with child(body) as reader:
        reader.say(bytes(scamem.handle(frozen)))
        assert reader.hear()
        os.kill(reader.pid, signal.SIGKILL)
        reader.wait()
    assert frozen == everything()
    del frozen
    assert held == 1
    assert arena.stats().objects == 0


def test_the_freezer_dies_and_a_reader_goes_on(arena: scamem.Arena) -> None:
    def body(talk: Talk) -> None:
        frozen = arena.freeze(everything())
        talk.say(bytes(scamem.handle(frozen)))
        talk.hear()

    with child(body) as freezer:
        received = scamem.from_handle(freezer.hear())
        os.kill(freezer.pid, signal.SIGKILL)
        freezer.wait()
    arena.reap()
    assert received == everything()
    del received
    assert arena.stats().objects == 0


def test_a_part_keeps_all_of_it(arena: scamem.Arena) -> None:
    frozen = arena.freeze([{"x": k, "of": [k]} for k in range(5000)])
    parts_of: list[Any] = [frozen[7], frozen[7]["of"], frozen.column("x"), frozen[3:5]]
    del frozen
    assert parts_of[0]["x"] == 7
    assert parts_of[1] == [7]
    assert parts_of[2][7] == 7
    assert parts_of[3] == [{"x": 3, "of": [3]}, {"x": 4, "of": [4]}]


def test_a_frozen_value_of_another_arena(arena: scamem.Arena) -> None:
    frozen = arena.freeze([1, 2])
    with scamem.Arena.create(capacity=8 << 20) as other:
        with pytest.raises(ValueError, match="another arena"):
            other["x"] = frozen
        copied = other.freeze(frozen)
        assert copied is not frozen
        assert copied == [1, 2]
        del copied
