"""By handle between processes, by value into files, and what each needs to be loaded."""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import threading
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import explain
from tests.backing.children import run_script
from tests.handles.workers import Image

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def by_forking_pickler(value: Any, protocol: int | None = None) -> bytes:
    return bytes(ForkingPickler.dumps(value, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_pickles_hold_the_values(arena: scamem.Arena, protocol: int) -> None:
    made = arena.array(np.arange(1000.0).reshape(10, 100))
    data = pickle.dumps(made[::2, 5:], protocol)
    assert arena.stats().loans == 0
    del made
    assert arena.objects() == []
    found = pickle.loads(data)
    assert type(found) is np.ndarray
    assert np.array_equal(found, np.arange(1000.0).reshape(10, 100)[::2, 5:])


def test_plain_pickles_load_without_the_library(arena: scamem.Arena) -> None:
    data = pickle.dumps({"x": arena.array(np.arange(1, 4)), "y": arena.zeros(4).view(Image)})
    out = run_script(
        f"""
        import pickle, sys
        sys.modules["scamem"] = None
        print(pickle.loads({data!r})["x"].tolist(), [m for m in sys.modules if "scamem." in m])
        """
    )
    assert out == "[1, 2, 3] []\n"


def test_plain_pickles_go_out_of_band(arena: scamem.Arena) -> None:
    made = arena.array(np.arange(10_000))
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(made, protocol=5, buffer_callback=buffers.append)
    assert len(data) < 300
    (buffer,) = buffers
    assert np.shares_memory(np.frombuffer(buffer.raw(), np.uint8), made)
    assert np.array_equal(pickle.loads(data, buffers=buffers), made)
    del buffer, buffers


def test_files_hold_the_values(arena: scamem.Arena) -> None:
    made = arena.array(np.array([[1.5, 2], [3, 4]]))
    file = io.BytesIO()
    with scamem.by_handle():
        np.save(file, made)
    file.seek(0)
    assert np.array_equal(np.load(file), made)


def test_processes_send_handles(arena: scamem.Arena, member: int) -> None:
    made = arena.zeros(1_000_000)
    data = by_forking_pickler(made)
    assert len(data) < 300
    assert np.shares_memory(pickle.loads(data), made)
    assert arena.stats().loans == 0


def test_by_handle_is_for_its_block_and_thread(arena: scamem.Arena) -> None:
    made = arena.zeros(100_000)
    elsewhere: list[int] = []
    with scamem.by_handle():
        with scamem.by_handle():
            data = pickle.dumps([made, made[5:]])
        assert len(data) < 600
        other = threading.Thread(target=lambda: elsewhere.append(len(pickle.dumps(made))))
        other.start()
        other.join()
    assert elsewhere[0] > made.nbytes
    assert len(pickle.dumps(made)) > made.nbytes
    whole, part = pickle.loads(data)
    assert np.shares_memory(whole, made)
    assert part.shape == (99_995,)


def test_by_handle_ends_with_an_error(arena: scamem.Arena) -> None:
    made = arena.zeros(100_000)
    with pytest.raises(ZeroDivisionError), scamem.by_handle():
        raise ZeroDivisionError
    assert len(pickle.dumps(made)) > made.nbytes


def test_one_pickle_sends_an_array_once(arena: scamem.Arena) -> None:
    made = arena.zeros(10)
    with scamem.by_handle():
        data = pickle.dumps([made] * 5)
    assert arena.stats().loans == 1
    found = pickle.loads(data)
    assert all(each is found[0] for each in found)
    assert arena.stats().loans == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "private",
    [lambda a: a.copy(), lambda a: a[[1, 2]], lambda a: a.T.copy(), lambda a: a.copy().view(Image)],
)
def test_private_memory_goes_by_value(
    arena: scamem.Arena, private: Callable[[Any], Any], protocol: int
) -> None:
    mine = private(arena.array(np.arange(12).reshape(3, 4)))
    for data in (by_forking_pickler(mine, protocol), by_forking_pickler([mine], protocol)):
        found = pickle.loads(data)
        found = found[0] if isinstance(found, list) else found
        assert type(found) is np.ndarray
        assert np.array_equal(found, mine)
    with scamem.by_handle():
        assert np.array_equal(pickle.loads(pickle.dumps(mine, protocol)), mine)
    assert arena.stats().loans == 0


def test_of_a_closed_arena_the_values_go() -> None:
    arena = scamem.Arena.create(capacity=8 << 20)
    made = arena.array(np.arange(5))
    arena.close()
    assert type(pickle.loads(by_forking_pickler(made))) is np.ndarray


def test_subclasses_arrive_as_they_were(arena: scamem.Arena, member: int) -> None:
    image = arena.zeros((4, 4)).view(Image)
    found = pickle.loads(by_forking_pickler(image))
    assert type(found) is Image
    assert np.shares_memory(found, image)

    class Late(scamem.Array):
        """Made after the picklers were."""

    with pytest.raises((AttributeError, pickle.PicklingError)):
        by_forking_pickler(arena.zeros(3).view(Late))
    assert arena.stats().loans == 0


def test_dtypes_of_other_libraries_arrive_as_they_were(arena: scamem.Arena, member: int) -> None:
    rational = pytest.importorskip("numpy._core._rational_tests").rational
    source = np.array([rational(1, 2), rational(3, 4)])
    made = arena.array(source)
    with pytest.raises(TypeError, match="fixed-width"):
        scamem.handle(made)
    found = pickle.loads(by_forking_pickler(made))
    assert found.dtype == source.dtype
    assert np.shares_memory(found, made)
    assert np.array_equal(arena.get(arena.put(source)), source)
    arena.publish("rational", source)
    assert np.array_equal(arena["rational"], source)
    del arena["rational"]


def test_scamem_objects_and_handles_in_every_pickler(arena: scamem.Arena) -> None:
    obj = arena.alloc(5000)
    found = pickle.loads(pickle.dumps(obj))
    assert (found.index, found.generation) == (obj.index, obj.generation)
    handle = scamem.handle(arena.array([1, 2, 3]))
    again = pickle.loads(pickle.dumps(handle))
    assert isinstance(again, scamem.Handle)
    assert again.description == handle.description
    assert arena.get(again).tolist() == [1, 2, 3]
    assert pickle.loads(pickle.dumps(arena)) is arena
    assert copyreg.dispatch_table[scamem.Scamem] is not None
    obj.close()
    with pytest.raises(scamem.ClosedError):
        pickle.dumps(obj)


def test_errors_cross_processes() -> None:
    for name in scamem.__all__:
        kind = getattr(scamem, name)
        if isinstance(kind, type) and issubclass(kind, scamem.ScamemError):
            error = kind("asked, was, do")
            vars(error)["extra"] = 5
            again = pickle.loads(pickle.dumps(error))
            assert type(again) is kind
            assert str(again) == "asked, was, do"
            assert vars(again) == vars(error)


def test_explain_lends_nothing(arena: scamem.Arena) -> None:
    made = arena.zeros(10)
    assert "by handle: 72 bytes at byte 8" in explain(made[1:])
    assert "by handle: 80 bytes in 1 object" in explain({"x": made})
    assert arena.stats().loans == 0
    assert sys.getrefcount(made) == 2
