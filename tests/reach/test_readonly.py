"""A member that joined with readonly=True: its frames cannot be written, and it is a member."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.backing.children import Talk
from tests.death.nursery import Nursery
from tests.stitch.test_modes import poke


@pytest.fixture
def named(place: Path) -> Any:
    with scamem.Arena.create(str(place / "read"), capacity="64M") as arena:
        arena["numbers"] = np.arange(1000)
        arena.put({"stored": np.arange(10.0)}, name="value")
        arena["raw"] = arena.alloc(8192)
        yield arena
        arena.clear()
        assert arena.stats().objects == 0
        assert arena.check() == []


def joined(path: str) -> scamem.Arena:
    arena = scamem.Arena.join(path, readonly=True)
    assert arena.readonly
    return arena


def refusals(path: str) -> list[str]:
    """Try everything that allocates or writes; return what was not refused with a clear error."""
    arena = joined(path)
    numbers = arena["numbers"]
    raw = arena["raw"]
    tries: dict[str, Callable[[], object]] = {
        "zeros": lambda: arena.zeros(3),
        "alloc": lambda: arena.alloc(1),
        "array": lambda: arena.array([1]),
        "put": lambda: arena.put({"a": 1}),
        "publish": lambda: arena.publish("new", np.zeros(3)),
        "setitem": lambda: arena.__setitem__("new", b"bytes"),
        "writable": lambda: arena.get("numbers", mode="w"),
        "lock": lambda: arena.lock(),
        "ring": lambda: arena.ring(4096),
        "growable": lambda: arena.growable(),
        "snapshot": numbers.snapshot,
        "resize": lambda: raw.resize(1 << 20),
        "read_from": lambda: raw.pin().read_from(os.open("/dev/zero", os.O_RDONLY), nbytes=10),
        "trim": arena.trim,
        "online": lambda: arena.online_section(1),
        "offline": lambda: arena.offline_section(0),
    }
    wrong = []
    for name, attempt in tries.items():
        try:
            attempt()
        except scamem.ReadOnlyMemberError as error:
            if "readonly=True" not in str(error):
                wrong.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 - reported by the test
            wrong.append(f"{name}: {error!r}")
        else:
            wrong.append(f"{name}: done")
    try:
        numbers[0] = 1
    except ValueError:
        pass
    else:
        wrong.append("written")
    assert arena.check() == []
    return wrong


def reads(path: str) -> list[Any]:
    arena = joined(path)
    mine = arena.get("numbers", mode="c")
    mine += 1
    value = arena["value"]["stored"]
    view = memoryview(arena["raw"].map())
    names = sorted(arena)
    handle = bytes(scamem.handle(arena["numbers"]))
    loaded = scamem.from_handle(handle)
    arena.publish("again", scamem.handle(loaded))  # a name needs no frames
    pid = os.fork()
    if pid == 0:
        os._exit(int(arena["numbers"][7] == 7))
    forked = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [
        int(mine[0]), int(loaded[0]), float(value.sum()), view.readonly, names, forked,
        loaded.flags.writeable, scamem.is_shared(loaded), len(arena.stats().members),
    ]  # fmt: skip


def writes(talk: Talk, path: str, what: str) -> None:
    """Write as C code does that ignores NumPy's flag."""
    arena = joined(path)
    if what == "raw":
        array: Any = np.frombuffer(memoryview(arena["raw"].map()), np.uint8)
    elif what == "value":
        array = arena["value"]["stored"]
    else:
        array = arena["numbers"]
    talk.say()
    poke(array)
    talk.say("written")


def waits(talk: Talk, path: str) -> None:
    arena = joined(path)
    held = arena["numbers"]
    del arena["numbers"]
    talk.say(int(held[3]))
    talk.hear()


def test_what_allocates_or_writes_is_refused(named: scamem.Arena, nursery: Nursery) -> None:
    assert nursery.run(refusals, named.path) == []
    assert named["numbers"][0] == 0


def test_reading(named: scamem.Arena, nursery: Nursery) -> None:
    found = nursery.run(reads, named.path)
    assert found == [1, 0, 45.0, True, ["numbers", "raw", "value"], 1, False, True, 2]
    assert named["again"][1] == 1


@pytest.mark.parametrize("what", ["raw", "value", "numbers"])
def test_the_mmu_enforces_it(named: scamem.Arena, nursery: Nursery, what: str) -> None:
    with nursery.start(writes, named.path, what) as victim:
        victim.hear()
        with pytest.raises(EOFError):
            victim.hear()
        assert os.WTERMSIG(victim.wait()) == signal.SIGSEGV


def test_it_counts_as_a_member(named: scamem.Arena, nursery: Nursery) -> None:
    """It holds what it reads, it can end a name, and its death is seen."""
    with nursery.start(waits, named.path) as reader:
        assert reader.hear() == 3
        assert "numbers" not in named
        before = named.stats().objects
        reader.kill()
        assert named.stats().objects == before - 1


def test_by_a_socket(arena: scamem.Arena, sockets: Path, nursery: Nursery) -> None:
    arena["numbers"] = np.arange(4)
    with arena.serve(sockets / "s") as serving:
        assert nursery.run(by_socket, serving.path) == [6, True]
    arena.clear()


def by_socket(path: str) -> list[object]:
    arena = scamem.Arena.join(socket=path, readonly=True)
    return [int(arena["numbers"].sum()), arena.readonly]


def test_not_after_joining_to_write(named: scamem.Arena) -> None:
    with pytest.raises(ValueError, match="joined it already"):
        scamem.Arena.join(named.path, readonly=True)
    assert not named.readonly
