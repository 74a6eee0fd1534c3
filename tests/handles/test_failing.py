"""A message that fails gives back what it has lent, in every pickler; what was sent stays lent."""

from __future__ import annotations

import copy
import io
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

import scamem
from scamem import mm
from scamem.handles import runs
from tests.handles import workers

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
REGISTERS = (
    "loky.backend.reduction",
    "joblib.externals.loky.backend.reduction",
    "multiprocess.reduction",
)
Dumps = Callable[[Any], object]


class Unpicklable:
    """Fails in the middle of a message, with an error of its own."""

    def __init__(self, error: type[BaseException] = ZeroDivisionError) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


def into_a_file(value: Any) -> None:
    pickle.dump(value, io.BytesIO())


def by_a_pickler(value: Any) -> None:
    pickle.Pickler(io.BytesIO()).dump(value)


def by_forking(value: Any) -> None:
    ForkingPickler(io.BytesIO(), 5).dump(value)


def by_a_kept_one(value: Any) -> None:
    made = ForkingPickler(io.BytesIO())
    made.dump(value)


SENDING: dict[str, Dumps] = {
    "ForkingPickler.dumps": ForkingPickler.dumps,
    "ForkingPickler": by_forking,
    "a ForkingPickler under a name": by_a_kept_one,
}
PLAIN: dict[str, Dumps] = {
    "pickle.dumps": pickle.dumps,
    "pickle.dump": into_a_file,
    "pickle.Pickler": by_a_pickler,
}


def shared(arena: scamem.Arena) -> list[Any]:
    """One of all that travels by handle."""
    stitched = scamem.concatenate([arena.zeros(512), arena.zeros(512)])
    obj = arena.alloc(5000)
    image = arena.zeros(3).view(workers.Image)
    page = mm.alloc_pages(arena)
    area = mm.vmalloc(arena, 4096)
    ring = arena.ring(4096)
    return [arena.zeros(10), stitched, obj, scamem.handle(obj), image, page, area, ring]


def fails(dumps: Dumps, value: Any, error: type[BaseException] = ZeroDivisionError) -> None:
    with pytest.raises(error):
        dumps(value)


@pytest.mark.parametrize("name", SENDING)
def test_between_processes(unread: scamem.Arena, member: int, name: str) -> None:
    values = shared(unread)
    dumps = SENDING[name]
    dumps(values)
    sent = unread.stats().loans
    assert sent >= len(values)
    for error in (ZeroDivisionError, KeyboardInterrupt, MemoryError):
        fails(dumps, [*values, Unpicklable(error)], error)
    with pytest.raises((AttributeError, pickle.PicklingError)):
        dumps([*values, lambda: None])
    assert unread.stats().loans == sent  # what was sent before is there still


@pytest.mark.parametrize("name", PLAIN)
def test_plain_pickle(unread: scamem.Arena, name: str) -> None:
    values = shared(unread)
    dumps = PLAIN[name]
    with scamem.by_handle():
        dumps(values)
        sent = unread.stats().loans
        assert sent >= len(values)
        for _ in range(3):
            fails(dumps, [*values, Unpicklable(), *values])
            assert unread.stats().loans == sent
    fails(dumps, [*values[2:4], *values[5:], Unpicklable()])  # these go by handle in any case
    assert unread.stats().loans == sent


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(arena: scamem.Arena, protocol: int) -> None:
    values = shared(arena)
    with scamem.by_handle():
        data = pickle.dumps(values, protocol)
        found = pickle.loads(data)
        assert found[0].tolist() == [0] * 10
        assert len(found[1]) == 1024
        assert arena.stats().loans == 0
        fails(lambda value: pickle.dumps(value, protocol), [values, Unpicklable()])
    assert arena.stats().loans == 0


def test_what_was_sent_is_no_part_of_a_later_failure(arena: scamem.Arena) -> None:
    """The message before it, whatever the pickler, its place, and who lets go of it when."""
    made: Any = arena.zeros(10)
    messages: list[Any] = []

    def one_after_the_other(dumps: Dumps) -> None:
        for value in (made, [made, Unpicklable()]):
            data = dumps(value)
            messages.append(data)

    def in_one_stream() -> None:
        file = io.BytesIO()
        pickler = pickle.Pickler(file)
        for value in (made, Unpicklable()):
            pickler.dump(value)
            messages.append(file.getvalue())

    def sent_and_then() -> None:
        file = io.BytesIO()
        pickler = pickle.Pickler(file)
        pickler.dump(made)
        messages.append(file.getvalue())
        raise ZeroDivisionError

    with scamem.by_handle():
        for dumps in (pickle.dumps, ForkingPickler.dumps):
            fails(one_after_the_other, dumps)
        for story in (in_one_stream, sent_and_then):
            with pytest.raises(ZeroDivisionError):
                story()
    made = None
    assert len(messages) == 4
    assert [pickle.loads(data).tolist() for data in messages] == [[0.0] * 10] * 4


def test_messages_inside_of_messages(arena: scamem.Arena, member: int) -> None:
    """What a reducer sends by itself is a message of its own; so is what another thread sends."""
    made: Any = arena.zeros(10)
    messages: list[Any] = []

    class Sends:
        def __reduce__(self) -> Any:
            messages.append(bytes(ForkingPickler.dumps(made)))
            with scamem.by_handle():
                messages.append(pickle.dumps(made))
            other = threading.Thread(
                target=lambda: messages.append(bytes(ForkingPickler.dumps(made)))
            )
            other.start()
            other.join()
            raise ZeroDivisionError

    fails(ForkingPickler.dumps, [made, Sends()])
    assert arena.stats().loans == 3
    with scamem.by_handle():
        fails(pickle.dumps, [made, Sends()])
    assert arena.stats().loans == 6
    made = None
    assert [float(pickle.loads(data).sum()) for data in messages] == [0.0] * 6


def test_failures_within_failures(arena: scamem.Arena, member: int) -> None:
    made = arena.zeros(10)

    class Retries:
        def __reduce__(self) -> Any:
            fails(ForkingPickler.dumps, [made, Unpicklable()])
            with scamem.by_handle():
                fails(pickle.dumps, [made, Unpicklable()])
            return int, ()

    data = bytes(ForkingPickler.dumps([made, Retries()]))
    assert arena.stats().loans == 1
    assert float(pickle.loads(data)[0].sum()) == 0


def test_a_handle_that_is_pickled_can_still_be_cancelled(arena: scamem.Arena) -> None:
    handle = scamem.handle(arena.zeros(10))
    data = pickle.dumps(handle)
    assert handle.cancel() == 1
    fails(pickle.dumps, [handle, Unpicklable()])
    assert handle.cancel() == 0
    handle.close()
    with pytest.raises(scamem.StaleHandleError):
        pickle.loads(data)


def test_copies_are_made_without_a_pickler(arena: scamem.Arena) -> None:
    obj = arena.alloc(5000)
    for again in (copy.copy(obj), copy.deepcopy(obj)):
        assert (again.index, again.generation) == (obj.index, obj.generation)
    assert arena.stats().loans == 0


def test_a_kept_plain_pickler_loses_nothing(unread: scamem.Arena) -> None:
    """Where it cannot be seen that a pickling failed, the loans end by their grace."""
    made = unread.zeros(10)
    with scamem.by_handle():
        pickler = pickle.Pickler(io.BytesIO())
        fails(pickler.dump, [made, Unpicklable()])
    del pickler
    assert unread.stats().loans == 1
    unread.transit_grace_s = 0
    unread.loans_limit = 1
    bytes(scamem.handle(made))
    assert unread.stats().loans == 1


@pytest.mark.parametrize("name", REGISTERS)
def test_picklers_of_other_libraries(unread: scamem.Arena, member: int, name: str) -> None:
    module = pytest.importorskip(name)
    dumps = module.dumps if hasattr(module, "dumps") else module.ForkingPickler.dumps
    values = shared(unread)
    dumps(unread.zeros(3))  # it is known from here on
    sent = unread.stats().loans
    dumps(values)
    assert unread.stats().loans >= sent + len(values)
    sent = unread.stats().loans
    fails(dumps, [*values, Unpicklable()])
    assert unread.stats().loans == sent


def test_queues_and_pools() -> None:
    """The whole way: a message that fails on its way to a worker, and a result on its way back."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        made = scamem.zeros(10)
        arena = scamem.default()
        with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
            pool.apply(workers.total, ([made, lambda: None],))
        assert arena.stats().loans == 0
        with pytest.raises(Exception, match="Error sending result"):
            pool.apply(workers.unpicklable_result, (made,))
        assert arena.stats().loans == 0
        assert pool.apply(workers.total, (made,)) == 0
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as executor:
        with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
            executor.submit(workers.total, [made, lambda: None]).result()
        with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
            executor.submit(workers.unpicklable_result, made).result()
        assert arena.stats().loans == 0


def test_a_pickler_is_wrapped_once() -> None:
    before = ForkingPickler.dump
    runs.watch_dump(ForkingPickler)
    assert ForkingPickler.dump is before
