"""An object lives as long as anything that looks at it, in whatever order that goes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import explain
from tests.backing.children import run_script

LOOKS: dict[str, Callable[[Any], Any]] = {
    "array": lambda a: a,
    "slice": lambda a: a[10:20],
    "plain": np.asarray,
    "buffer": memoryview,
    "bytes": lambda a: memoryview(a).cast("B"),
    "iterator": iter,
    "frombuffer": lambda a: np.frombuffer(a, np.uint8),
    "data": lambda a: a.T.data,
    "flat": lambda a: a.flat,
}


@pytest.mark.parametrize(
    "order", list(itertools.permutations(("array", "buffer", "frombuffer", "flat")))
)
def test_the_last_look_lets_go(arena: scamem.Arena, order: tuple[str, ...]) -> None:
    made = arena.zeros(1000, np.uint8)
    looks = {name: LOOKS[name](made) for name in order}
    del made
    for name in order:
        assert len(arena.objects()) == 1
        del looks[name]
    assert arena.objects() == []


@pytest.mark.parametrize("name", LOOKS)
def test_each_look_is_enough(arena: scamem.Arena, name: str) -> None:
    look = LOOKS[name](arena.full(1000, 7, np.uint8))
    frame = arena.full(1000, 1, np.uint8)  # would lie there, if the first had been freed
    assert len(arena.objects()) == 2
    del frame
    if name == "iterator":
        assert next(look) == 7
    del look
    assert arena.objects() == []


def test_references_are_counted_by_process_not_by_array(arena: scamem.Arena) -> None:
    made = arena.zeros(10)
    views = [made[i:] for i in range(5)]
    (info,) = arena.objects()
    assert info.refcount == 1
    obj = arena.page_to_scamem(0)
    assert obj is not None
    with obj:
        assert obj.refcount == 2
    del made, views


def test_the_arena_may_be_closed_before_its_arrays() -> None:
    arena = scamem.Arena.create(capacity=8 << 20)
    made = arena.array(np.arange(100))
    arena.close()
    assert made[5:].sum() == sum(range(5, 100))
    with pytest.raises(scamem.ClosedError):
        arena.zeros(3)
    assert "by value" in explain(made)
    del made


def test_any_thread_may_be_the_last(arena: scamem.Arena) -> None:
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            numbers = np.random.default_rng(seed)
            kept: list[Any] = []
            for step in range(300):
                kept.append(arena.full(int(numbers.integers(1, 4000)), step, np.int32))
                kept.append(kept[-1][::2])
                kept.append(scamem.from_handle(bytes(scamem.handle(kept[-1]))))
                assert (kept[-1] == step).all()
                if len(kept) > 20:
                    del kept[int(numbers.integers(len(kept)))]
                    shared.append(kept.pop(0))
                    if len(shared) > 10:
                        shared.pop(0)
        except BaseException as error:
            failed.append(error)
            raise

    shared: list[Any] = []
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    shared.clear()


@pytest.mark.parametrize(
    "left",
    [
        "keep = x",
        "keep = memoryview(x)",
        "keep = [x, x[1:], np.asarray(x)]; keep.append(keep)",
        "sys.modules['os'].kept = x.T",
        "arena = scamem.default(); keep = arena.alloc(9000).map()",
        "t = threading.Thread(target=lambda: x.sum()); t.start()",
        "import atexit; atexit.register(x.fill, 3); atexit.register(scamem.default().close)",
        "class Last:\n    def __del__(self): x.fill(1)\nlast = Last(); last.me = last",
    ],
)
def test_interpreter_exit_with_views_alive(left: str) -> None:
    lines = ["import sys, threading, numpy as np, scamem", "x = scamem.array(np.arange(5000))"]
    assert run_script("\n".join([*lines, left, "print('end')"])) == "end\n"


def test_many_arrays_come_and_go(arena: scamem.Arena) -> None:
    for size in range(1, 3000, 7):
        arena.zeros(size)
    assert arena.stats().objects == 0


KNOT = """
import gc, weakref, scamem
gc.disable()
arena = scamem.Arena.create(capacity=1 << 23)
held = [arena.alloc(4096) for _ in range(2048)]
del held[::2]
one, several = arena.alloc(4096), arena.alloc(2 * 4096)
assert (len(one.runs), len(several.runs)) == (1, 2)
knot = [{made}]
knot.append(knot)
del knot, one, several
"""
IN_A_KNOT = (
    "arena.zeros(9)",
    "one",
    "one.map()",
    "one.map(writable=False)",
    "several.map()",
    "one.pin()",
    "arena.put([3])",
    "scamem.handle(one)",
)


@pytest.mark.parametrize("made", IN_A_KNOT)
def test_the_garbage_collector_lets_go(made: str) -> None:
    """Whichever part of a cycle it takes apart first, the reference knows where it is from."""
    end = "gc.collect()\nprint(len(arena.objects()) - len(held))"
    assert run_script(KNOT.format(made=made) + end) == "0\n"


@pytest.mark.parametrize("close", ["", "arena.close()"])
def test_interpreter_exit_with_cycles(close: str) -> None:
    end = f"{close}\ndel held, arena\nprint('end')"
    assert run_script(KNOT.format(made=", ".join(IN_A_KNOT)) + end) == "end\n"


@pytest.mark.parametrize("made", ["one", "one.map()", "several.map()", "scamem.handle(one)"])
def test_a_cycle_through_a_closed_arena_is_collected(made: str) -> None:
    end = """
arena.note = [{made}]
del one, several
arena.close()
gone = weakref.ref(arena)
del arena, held
gc.collect()
print(gone())
"""
    begin = KNOT.partition("knot =")[0]
    assert run_script(begin + end.format(made=made)) == "None\n"
