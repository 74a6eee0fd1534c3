"""A user's program with every public name. mypy --strict, pyright and Python itself run it.

`assert_type` fails in a type checker where a type is Any or unknown. At run time it does nothing.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import scamem

CAPACITY = "64M"


def make_arrays() -> scamem.Array:
    """Make arrays in the default arena."""
    assert_type(scamem.default(), scamem.Arena)
    x = scamem.zeros((2, 3), np.float32, node=0, zone="NORMAL")
    assert_type(x, scamem.Array)
    assert_type(x.shape, tuple[Any, ...])
    assert_type(x.ndim, int)
    assert_type(x.dtype, np.dtype[Any])
    assert_type(x[0:1], scamem.Array)
    assert_type(x[..., 1:], scamem.Array)
    assert_type(x.readonly(), scamem.Array)
    assert_type(x.snapshot(copy=True), scamem.Array)
    like_numpy: NDArray[np.float32] = x
    made = [
        scamem.empty(3, order="F", node=None),
        scamem.ones(3, zone="NORMAL"),
        scamem.full(3, 7, node="interleave"),
        scamem.array([1, 2], dtype=int, order="C", node=0),
        scamem.asarray(like_numpy, order="K", writable=False, zone=None),
        scamem.copy(x, node=0),
        scamem.empty_like(x, node=0),
        scamem.zeros_like(x),
        scamem.ones_like(x),
        scamem.full_like(x, 3),
        scamem.concatenate([x, x], axis=0, copy=None),
    ]
    assert_type(made, list[scamem.Array])
    return x


def send(x: scamem.Array) -> None:
    """Send by handle."""
    handle = scamem.handle(x)
    assert_type(handle, scamem.Handle)
    assert_type(bytes(handle), bytes)
    assert_type(handle.arena, scamem.Arena)
    assert_type(handle.cancel(), int)
    y: scamem.Array = scamem.from_handle(handle, writable=False)
    with scamem.by_handle():
        assert_type(scamem.explain(y), str)
    with scamem.receive_mode("r"):
        assert scamem.is_shared(y)
    assert_type(scamem.is_shared(y), bool)
    handle.close()


def use_names(arena: scamem.Arena) -> None:
    """Use an arena as a mapping."""
    arena["a"] = arena.zeros(3)
    arena.publish("b", {"steps": 100}, replace=True)
    arena.update({"c": b"1"}, d=b"2")
    x: scamem.Array = arena["a"]
    x = arena.get("a", timeout=0.1, writable=False, newer_than=0)
    assert_type(x, scamem.Array)
    assert_type("a" in arena, bool)
    assert_type(len(arena), int)
    assert_type(list(arena), list[str])
    assert_type(sorted(arena.keys("a")), list[str])
    assert_type(list(arena.items()), list[tuple[str, Any]])
    assert len(arena.values()) == 4
    assert_type(arena.version("a"), int)
    watch = arena.watch("a", timeout=1)
    assert_type(watch.version, int)
    assert watch.get(timeout=1).shape == (3,)
    arena.setdefault("e", b"3")
    arena.pop("e", None)
    assert_type(arena.popitem(), tuple[str, Any])
    arena.unpublish(next(iter(arena)))
    arena.clear()
    handle = arena.put(b"bytes")
    assert arena.get(handle) == b"bytes"


def make_more(arena: scamem.Arena, folder: Path) -> None:
    """Make arrays in an arena."""
    np.save(folder / "x.npy", np.arange(3))
    made = [
        arena.empty(3, np.int8, node=0),
        arena.full((2, 2), 1.5, zone="NORMAL"),
        arena.array([1, 2], order="F"),
        arena.asarray([1, 2], writable=False),
        arena.from_file(folder / "x.npy", progress=lambda done, total: None, node=0),
        arena.concatenate([arena.zeros(1), arena.zeros(2)]),
    ]
    assert_type(made, list[scamem.Array])


def use_objects(arena: scamem.Arena, folder: Path) -> None:
    """Use objects without a shape, pins and views."""
    obj = arena.alloc("8K", node=0, zone="NORMAL")
    assert_type(obj, scamem.Scamem)
    assert_type(obj.arena, scamem.Arena)
    assert_type((obj.index, obj.generation, obj.nr), tuple[int, int, int])
    assert_type((obj.nbytes, obj.refcount), tuple[int, int])
    assert_type(obj.runs, NDArray[np.uint64])
    assert_type(obj.pages, NDArray[np.uint64])
    view = obj.map(writable=True, private=False)
    assert_type(view, scamem.View)
    assert_type(memoryview(view).nbytes, int)
    assert_type(np.frombuffer(memoryview(view), np.float64), NDArray[np.float64])
    assert_type((view.nbytes, view.writable, len(view)), tuple[int, bool, int])
    with obj.pin(0, 1, io=False) as pin, (folder / "raw").open("w+b") as file:
        assert_type(pin, scamem.Pin)
        assert_type((pin.start, pin.nframes, pin.nbytes), tuple[int, int, int])
        assert_type(pin.write_to(file, 0), int)
        assert_type(pin.read_from(file, 0), int)
        assert_type(pin.iovec(), NDArray[np.uint64])
        assert_type(arena.page_to_nid(pin.frames), NDArray[np.int16])
        assert_type(arena.page_zone(int(pin.frames[0])), str)
        assert_type(arena.page_to_section(int(pin.frames[0])), int)
        assert_type(arena.page_to_scamem(int(pin.frames[0])), scamem.Scamem | None)
        assert_type(arena.page_to_object(pin.frames), NDArray[np.void])
    del view
    obj.splice(arena.alloc(1))
    obj.resize(4096)
    obj.close()


def use_together(arena: scamem.Arena) -> None:
    """Use rings and growable arrays."""
    with arena.ring("4K") as ring:
        assert_type(ring, scamem.RingBuffer)
        assert_type(ring.capacity, int)
        assert_type(ring.write(b"ab", timeout=1), int)
        assert_type(ring.read(1), bytes)
        assert_type(ring.peek(), memoryview)
        ring.consume(1)
        assert_type(ring.reserve(1), memoryview)
        ring.commit(1)
    with arena.growable(3, np.float32, reserve="1M") as rows:
        assert_type(rows, scamem.GrowableArray)
        assert_type(rows.append([1, 2, 3]), int)
        assert_type(rows.extend(np.ones((2, 3))), int)
        assert_type(rows.array, scamem.Array)
        assert_type(rows.dtype, np.dtype[Any])
        assert_type((rows.shape, rows.row_shape), tuple[tuple[int, ...], tuple[int, ...]])
        assert_type(rows.wait(2, timeout=1), int)


def use_locks(arena: scamem.Arena) -> None:
    """Use locks and the like."""
    lock, again = arena.lock(on_owner_death="recover"), arena.rlock()
    assert_type(lock, scamem.Lock)
    assert_type(again, scamem.RLock)
    assert_type(lock.acquire(timeout=1), bool)
    assert_type((lock.locked(), lock.recovered), tuple[bool, bool])
    lock.release()
    with lock as held:
        assert_type(held, bool)
    shared = arena.rwlock()
    assert_type(shared, scamem.RWLock)
    assert_type(shared.acquire_read(blocking=False), bool)
    shared.release_read()
    with shared.write(timeout=1), again:
        assert_type(shared.recovered, bool)
    changed, own = arena.condition(again), arena.condition()
    assert_type(changed, scamem.Condition)
    with changed, own:
        changed.notify()
        own.notify_all()
        assert_type(changed.wait(timeout=0), bool)
        assert_type(own.wait_for(lambda: 7), int)
    event = arena.event()
    assert_type(event, scamem.Event)
    event.set()
    assert_type((event.wait(1), event.is_set()), tuple[bool, bool])
    permits = arena.semaphore(2, bounded=True)
    assert_type(permits, scamem.Semaphore)
    with permits:
        assert_type(permits.value, int)
    barrier = arena.barrier(1, timeout=1)
    assert_type(barrier, scamem.Barrier)
    assert_type((barrier.wait(), barrier.parties, barrier.broken), tuple[int, int, bool])
    counters = arena.zeros(2, np.int64)
    assert_type(scamem.atomics.add(counters, 0, 1), int)
    assert_type(scamem.atomics.compare_exchange(counters, (0,), 1, 2), bool)
    assert_type(scamem.atomics.wait(counters, 0, 1, timeout=0), bool)
    with counters.write(timeout=1) as same:
        same[1] = 1
    assert_type(counters.read_consistent(timeout=1), NDArray[Any])


def use_queues() -> None:
    """Use queues and topics, in the default arena."""
    tasks: scamem.Queue = scamem.queue()
    tasks.put([1, 2], timeout=1)
    assert tasks.get(timeout=1) == [1, 2]
    assert_type(tasks.qsize(), int)
    tasks.close()
    frames: scamem.Topic = scamem.topic()
    reader: scamem.Subscription = frames.subscribe()
    frames.publish(b"frame")
    assert reader.get(timeout=1) == b"frame"
    assert_type(reader.missed, int)
    reader.close()
    frames.close()


def attempts(lease: scamem.Lease) -> type[scamem.Lease]:
    """Return the class of a lease."""
    return type(lease)


def look(arena: scamem.Arena) -> None:
    """Look at an arena, and take care of it."""
    stats = arena.stats()
    assert_type(stats, scamem.Stats)
    assert_type(stats.members, tuple[scamem.MemberInfo, ...])
    objects = arena.objects()
    assert_type(objects, list[scamem.ObjectInfo])
    for one in objects:
        assert_type(one.holders, tuple[scamem.Holder, ...])
        assert_type(arena.holders(one.index), list[scamem.Holder])
    assert_type(arena.loans(), list[scamem.LoanInfo])
    assert_type(arena.sections(), list[scamem.SectionInfo])
    assert_type(arena.free_bitmap(), NDArray[np.bool_])
    assert not arena.check()
    assert_type(arena.reap(loans=True), int)
    assert_type(arena.trim(keep="1M"), int)
    assert_type(arena.warm("1M"), None)
    number = arena.sections()[-1].number
    arena.online_section(number)
    arena.offline_section(number)
    arena.retention = 1 << 20
    assert_type((arena.retention, arena.loans_limit, arena.transit_grace_s), tuple[int, int, int])
    assert_type((arena.slot, arena.arena_id, arena.capacity), tuple[int, int, int])
    assert_type((arena.path, arena.closed, arena.frame_bytes), tuple[str, bool, int])


def machine() -> scamem.Machine:
    """Describe a machine of two nodes."""
    return scamem.Machine((scamem.MachineNode(32 << 20), scamem.MachineNode(32 << 20, 0)))


def explain_error(error: scamem.ScamemError) -> int | str | None:
    """Return the number that comes with an error."""
    match error:
        case scamem.OutOfMemoryError():
            return assert_type(error.limit, str)
        case scamem.ArenaRefusedError():
            return assert_type(error.reason, str)
        case scamem.ArenaUnreachableError():
            return len(error.tried)
        case scamem.ArenaBusyError():
            return error.members
        case scamem.LockTimeoutError() | scamem.BusyError() | scamem.PeerDiedError():
            return error.pid
        case scamem.TooScatteredError():
            return error.runs
        case scamem.ObjectBusyError():
            return len(error.holders)
        case scamem.TooManyLoansError():
            return error.loans
        case scamem.SectionBusyError():
            return error.section
        case scamem.OwnerDiedError() | scamem.TornError():
            return error.pid
        case scamem.ArenaDamagedError():
            return error.where
        case scamem.FileTooShortError():
            return error.found_bytes
        case scamem.PageNotHeldError():
            return error.pfn
        case scamem.ViewInUseError():
            return error.views
        case scamem.WaitTimeoutError():
            return error.bytes_done
        case scamem.ArenaRemovedError() | scamem.ArenaNotFoundError() | scamem.ArenaExistsError():
            return "arena"
        case scamem.LeaseLostError():
            return error.attempts
        case scamem.QueueClosedError():
            return "closed"
        case scamem.ReadOnlyMemberError():
            return "read-only"
        case scamem.NameNotFoundError() | scamem.NameExistsError():
            return "name"
        case scamem.ClosedError() | scamem.NotAMemberError() | scamem.BlindError():
            return "member"
        case scamem.StaleHandleError() | scamem.PlatformError():
            return "other"
        case _:
            return None


def is_warning(kind: type[Warning]) -> bool:
    """Return whether a warning is the library's."""
    return issubclass(kind, scamem.NotSharedWarning)


def total(future: Future[scamem.Array]) -> float:
    """Return the sum of a result, as from a pool."""
    return float(future.result().sum())


def main() -> None:
    """Use all of it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        with scamem.Arena.create(capacity=CAPACITY, huge=0, slots=64) as arena:
            use_names(arena)
            make_more(arena, folder)
            use_objects(arena, folder)
            use_together(arena)
            use_locks(arena)
            look(arena)
        with scamem.Arena.create(machine=machine(), init_on_alloc=True) as arena:
            assert_type(arena, scamem.Arena)
        with scamem.Arena.open(f"{folder}/arena", capacity=CAPACITY) as arena:
            assert scamem.Arena.join(f"{folder}/arena") is arena
            assert_type(arena.readonly, bool)
            with arena.serve(folder / "socket", mode=0o600) as serving:
                assert_type(serving, scamem.Serving)
                assert_type(serving.path, str)
    send(make_arrays())
    use_queues()
    future: Future[scamem.Array] = Future()
    future.set_result(scamem.ones(3))
    print(total(future), explain_error(scamem.ClosedError("closed")), is_warning(UserWarning))


if __name__ == "__main__":
    main()
