"""A queue in one process: the ways of queue.Queue and JoinableQueue, and its own."""

from __future__ import annotations

import gc
import pickle
import queue
import threading
from typing import Any

import numpy as np
import pytest

import scamem
from scamem import Arena

PATIENCE_S = 60.0
MANY = 1_000_000


def drained(made: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(made.get_nowait())
        except queue.Empty:
            return found


def test_any_value_comes_out_as_it_went_in(arena: Arena) -> None:
    jobs = arena.queue()
    values = [
        None,
        True,
        -1,
        1.5,
        "text",
        b"bytes",
        (1, [2, {"three": 4}]),
        "x" * 1000,
        b"y" * 5000,
    ]
    for value in values:
        jobs.put(value)
    assert jobs.qsize() == len(jobs) == len(values)
    assert not jobs.empty()
    assert drained(jobs) == values
    assert jobs.empty()


def test_an_array_goes_by_handle_and_others_are_copied_once(arena: Arena) -> None:
    jobs = arena.queue()
    shared, private = arena.zeros(1000), np.arange(1000)
    jobs.put(shared)
    jobs.put(private)
    jobs.put({"nested": private})
    got = jobs.get()
    got[0] = 7
    assert shared[0] == 7
    copied, nested = jobs.get(), jobs.get()["nested"]
    for array in (copied, nested):
        assert (array == private).all()
        array[0] = 5  # its receiver is the only one who has it
    assert private[0] == 0


@pytest.mark.parametrize(
    "dtype", [np.int8, "U3", "M8[ns]", [("a", "i4"), ("b", "f8", (3,))], object, "f4"]
)
def test_arrays_of_any_dtype(arena: Arena, dtype: Any) -> None:
    jobs = arena.queue()
    value = np.zeros(5, dtype)
    for array in (value, value[::2], value.reshape(1, 5).T, np.asfortranarray(value)):
        jobs.put(array)
        got = jobs.get()
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert repr(got.tolist()) == repr(array.tolist())


def test_a_dtype_that_no_item_has_room_for(arena: Arena) -> None:
    jobs = arena.queue()
    value = np.zeros(3, [(f"a long name of a field, {k}", "f8") for k in range(30)])
    jobs.put(value)
    assert jobs.get().dtype == value.dtype


def test_the_queue_holds_the_value(arena: Arena) -> None:
    jobs = arena.queue()
    frame = arena.full(100_000, 3.0)
    jobs.put(frame)
    del frame
    gc.collect()
    assert sum(info.nr for info in arena.objects()) > 190
    assert jobs.get().sum() == 300_000
    gc.collect()
    assert len(arena.objects()) == 1


def test_items_end_with_their_queue(arena: Arena) -> None:
    outer = arena.queue()
    for depth in range(20):
        outer.put(np.zeros(1000))
        outer.put(depth)
        inner, outer = outer, arena.queue()
        outer.put(inner)
        del inner
    lease = outer.get(lease=True)
    assert isinstance(lease.value, scamem.Queue)
    del lease, outer
    gc.collect()
    assert arena.objects() == []


def test_timeouts_and_full(arena: Arena) -> None:
    jobs = arena.queue(maxsize=2)
    with pytest.raises(queue.Empty):
        jobs.get(timeout=0.01)
    with pytest.raises(queue.Empty):
        jobs.get(block=False)
    jobs.put(1)
    jobs.put(2, timeout=0)
    assert jobs.full()
    with pytest.raises(queue.Full, match="2 items and 0 leased"):
        jobs.put(3, timeout=0.01)
    with pytest.raises(queue.Full):
        jobs.put_nowait(3)
    with pytest.raises(ValueError, match="0 or more"):
        jobs.get(timeout=-1)
    assert drained(jobs) == [1, 2]


def test_a_leased_item_counts_towards_maxsize(arena: Arena) -> None:
    jobs = arena.queue(maxsize=2)
    jobs.put_many([1, 2])
    lease = jobs.get(lease=True)
    with pytest.raises(queue.Full, match="1 items and 1 leased"):
        jobs.put_nowait(3)
    lease.done()
    jobs.put_nowait(3)


def test_drop_oldest(arena: Arena) -> None:
    jobs = arena.queue(maxsize=3, policy="drop_oldest")
    jobs.put_many([np.full(10, k) for k in range(3)])
    with jobs.get(lease=True) as lease:
        for k in range(3, 6):
            jobs.put(k)
        assert lease.value[0] == 0  # what is leased is not dropped
        assert jobs.dropped == 3
    assert drained(jobs) == [4, 5]
    lease = None
    jobs.put(6)
    held = [jobs.get(lease=True)]
    jobs.put_many([7, 8])
    held += jobs.get_many(2, lease=True)
    with pytest.raises(queue.Full):
        jobs.put(9, timeout=0.01)
    for one in held:
        one.done()


def test_reject(arena: Arena) -> None:
    jobs = arena.queue(maxsize=1, policy="reject")
    jobs.put(1)
    with pytest.raises(queue.Full):
        jobs.put(2)


def test_leases_go_back_to_their_places(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put_many(range(6))
    leases = jobs.get_many(4, lease=True)
    assert [lease.value for lease in leases] == [0, 1, 2, 3]
    for k in (2, 0, 3):
        leases[k].give_back()
    assert jobs.leased == 1
    again = jobs.get(lease=True)
    assert (again.value, again.attempts) == (0, 2)
    again.give_back()
    assert drained(jobs) == [0, 2, 3, 4, 5]
    leases[1].done()
    with pytest.raises(scamem.LeaseLostError):
        leases[1].done()
    assert jobs.unfinished == 5


def test_many_leases_go_back_in_any_order(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put_many(range(500))
    leases = jobs.get_many(400, lease=True)
    for k in np.random.default_rng(7).permutation(400):
        leases[k].give_back()
    assert arena.check() == []
    assert drained(jobs) == list(range(500))


def test_a_lease_as_a_context(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put("work")
    with pytest.raises(ZeroDivisionError), jobs.get(lease=True) as lease:
        assert lease.value == "work"
        raise ZeroDivisionError
    with jobs.get(lease=True) as lease:
        assert lease.attempts == 2
    assert jobs.unfinished == 0
    with pytest.raises(queue.Empty):
        jobs.get_nowait()


def test_a_dropped_lease_goes_back(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put("work")
    lease = jobs.get(lease=True)
    del lease
    gc.collect()
    assert jobs.get() == "work"


def test_what_a_lease_shows_cannot_be_changed(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put(np.zeros(3))
    with jobs.get(lease=True) as lease, pytest.raises(ValueError, match="read-only"):
        lease.value[0] = 1


class Poison:
    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("poison",)


def test_a_value_that_does_not_load(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put(Poison())
    lease = jobs.get(lease=True)
    with pytest.raises(ValueError, match="poison"):
        _ = lease.value
    lease.done()
    jobs.put(Poison())
    with pytest.raises(ValueError, match="poison"):
        jobs.get()
    assert jobs.empty()


def test_lease_timeout(arena: Arena) -> None:
    jobs = arena.queue(lease_timeout=0.01)
    jobs.put_many([1, 2])
    kept = jobs.get(lease=True, lease_timeout=PATIENCE_S)
    assert kept.value == 1
    late = jobs.get(lease=True)
    assert late.value == 2
    again = jobs.get(lease=True, lease_timeout=PATIENCE_S, timeout=PATIENCE_S)
    assert (again.value, again.attempts) == (2, 2)
    with pytest.raises(scamem.LeaseLostError) as lost:
        late.done()
    assert lost.value.attempts == 1
    again.done()
    kept.done()
    assert jobs.unfinished == 0
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="lasts more than 0 s"):
            jobs.get(lease=True, lease_timeout=wrong)


def test_task_done_and_join(arena: Arena) -> None:
    jobs = arena.queue()
    with pytest.raises(ValueError, match="more often"):
        jobs.task_done()
    jobs.put_many(range(4))
    jobs.get()
    with pytest.raises(scamem.WaitTimeoutError, match="4 are not"):
        jobs.join(timeout=0.01)
    jobs.task_done()
    lease = jobs.get(lease=True)
    jobs.task_done()  # the only lease
    with pytest.raises(scamem.LeaseLostError):
        lease.done()
    leases = jobs.get_many(2, lease=True)
    with pytest.raises(ValueError, match="several leases"):
        jobs.task_done()
    for one in leases:
        one.done()
    jobs.join()
    with pytest.raises(ValueError, match="more often"):
        jobs.task_done()


def test_close(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put_many(range(3))
    lease = jobs.get(lease=True)
    jobs.close()
    jobs.close()
    assert jobs.closed
    for error in (ValueError, scamem.QueueClosedError, scamem.ScamemError):
        with pytest.raises(error):
            jobs.put(4)
    found = [jobs.get(), jobs.get()]
    with pytest.raises(queue.Empty):
        jobs.get_nowait()  # what is leased may come back
    lease.give_back()
    assert [*found, *jobs] == [1, 2, 0]
    with pytest.raises(scamem.QueueClosedError, match="nothing is left"):
        jobs.get()


def test_all_who_wait_learn_of_the_end(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put(1)
    lease = jobs.get(lease=True)
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.extend(jobs)) for _ in range(4)]
    for thread in threads:
        thread.start()
    jobs.close()
    lease.done()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)
    assert got == []


def test_shutdown(arena: Arena) -> None:
    jobs = arena.queue()
    jobs.put_many(range(3))
    jobs.shutdown(immediate=True)
    assert list(jobs) == []
    jobs.join()
    jobs.join_thread()
    jobs.cancel_join_thread()


def test_threads(arena: Arena) -> None:
    """Producers and consumers of one process, through a small queue, by waiting and by lease."""
    jobs = arena.queue(maxsize=3)
    count = 400
    got: list[list[int]] = [[] for _ in range(4)]

    def produce(start: int) -> None:
        for k in range(start, start + count):
            jobs.put(k)

    def consume(into: list[int], *, lease: bool) -> None:
        while True:
            try:
                found = jobs.get(lease=lease)
            except scamem.QueueClosedError:
                return
            if lease:
                into.append(found.value)
                found.done()
            else:
                into.append(found)

    makers = [threading.Thread(target=produce, args=(k * count,)) for k in range(3)]
    takers = [
        threading.Thread(target=consume, args=(into,), kwargs={"lease": k % 2 == 0})
        for k, into in enumerate(got)
    ]
    for thread in (*makers, *takers):
        thread.start()
    for thread in makers:
        thread.join()
    jobs.close()
    for thread in takers:
        thread.join()
    assert sorted(k for into in got for k in into) == list(range(3 * count))
    assert jobs.qsize() == jobs.leased == 0


def test_names(arena: Arena) -> None:
    jobs = arena.queue("jobs", 5)
    jobs.put("here")
    assert arena.queue("jobs").get() == "here"
    assert arena.queue("jobs", maxsize=5).maxsize == 5
    with pytest.raises(ValueError, match="exists with maxsize 5"):
        arena.queue("jobs", maxsize=6)
    with pytest.raises(ValueError, match="exists with maxsize 5"):
        arena.queue("jobs", policy="reject")
    with pytest.raises(ValueError, match="there are block"):
        arena.queue(policy="fifo")
    for number, value in enumerate((np.zeros(3), "text", arena.ring("4K"))):
        arena[f"other{number}"] = value
        with pytest.raises(TypeError, match="belongs to something else"):
            arena.queue(f"other{number}")
    arena["another"] = arena.queue()
    assert isinstance(arena.queue("another"), scamem.Queue)


def test_a_queue_in_a_queue(arena: Arena) -> None:
    jobs = arena.queue()
    reply = arena.queue()
    jobs.put(reply)
    jobs.get().put("answer")
    assert reply.get() == "answer"
    jobs.put(("call", reply))
    jobs.get()[1].put("again")
    assert reply.get() == "again"


def test_pickling_goes_by_handle(arena: Arena) -> None:
    jobs = arena.queue()
    same = pickle.loads(pickle.dumps(jobs))
    same.put(1)
    assert jobs.get() == 1
    assert "0 items" in repr(jobs)


def test_what_cannot_be_pickled_is_not_put(arena: Arena) -> None:
    jobs = arena.queue()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        jobs.put(lambda: None)
    assert jobs.empty()
    assert jobs.unfinished == 0


def test_a_full_arena(arena: Arena) -> None:
    """What is put waits for memory while taking items can free some; else it raises."""
    jobs = arena.queue()
    third = np.zeros(arena.capacity // 3, np.uint8)
    with pytest.raises(scamem.OutOfMemoryError):
        arena.queue().put(np.zeros(arena.capacity + 1, np.uint8), timeout=PATIENCE_S)
    jobs.put_many([third, third])
    with pytest.raises(scamem.OutOfMemoryError):
        jobs.put_nowait(third)
    assert jobs.qsize() == 2
    taker = threading.Timer(0.05, jobs.get)
    taker.start()
    jobs.put(third, timeout=PATIENCE_S)  # there is room once the other thread has taken one
    taker.join()
    assert jobs.qsize() == 2
    for policy, count in (("reject", 2), ("drop_oldest", 2)):
        while not jobs.empty():
            jobs.get()
        jobs = arena.queue(policy=policy)
        jobs.put_many([third, third])
        if policy == "reject":
            with pytest.raises(scamem.OutOfMemoryError):
                jobs.put(third)
        else:
            jobs.put(third)
            assert jobs.dropped == 1
        assert jobs.qsize() == count
    del jobs, taker
    gc.collect()
    assert arena.objects() == []


def test_a_million_items(arena: Arena, deep: bool) -> None:
    """A tenth of that, unless the searches are deep."""
    many = MANY if deep else MANY // 10
    jobs = arena.queue()
    jobs.put_many(range(many))
    assert jobs.qsize() == many
    assert arena.objects()[0].nr == 1  # they lie in the queue's own memory
    for k in range(0, many, many // 10):
        assert jobs.get_many(many // 10) == list(range(k, k + many // 10))
