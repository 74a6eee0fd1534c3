"""Fragmentation never fails an allocation: every second object freed, all free frames as one."""

from __future__ import annotations

import mmap
import resource
from pathlib import Path

import numpy as np
import pytest

import scamem
from scamem import Arena, TooScatteredError
from scamem.backing import head_room
from tests.backing.children import Talk
from tests.death.nursery import Nursery
from tests.death.operations import words

MIB = 1 << 20
GIB = 1 << 30
OBJECT_BYTES = 64 << 10
CHUNK_BYTES = 64 * MIB
FACTOR = np.uint64(0x9E3779B97F4A7C15)
OBJECTS = 1_000_000  # of one frame each


def arena_bytes() -> int:
    """4 GiB where RAM allows."""
    room = head_room.rooms()[0].free_bytes
    for size in (4 * GIB, GIB, 256 * MIB):
        if room > 2 * size:
            return size
    pytest.skip(f"only {room / MIB:.0f} MiB of memory are to be had: {head_room.rooms()[0].name}")


def pattern(start: int, nbytes: int) -> np.ndarray:
    """What belongs at a byte offset: no two words are alike."""
    return np.arange(start // 8, (start + nbytes) // 8, dtype=np.uint64) * FACTOR


def write(view: np.ndarray) -> None:
    for start in range(0, view.nbytes, CHUNK_BYTES):
        part = view[start // 8 : (start + CHUNK_BYTES) // 8]
        part[:] = pattern(start, part.nbytes)


def is_written(view: np.ndarray) -> bool:
    for start in range(0, view.nbytes, CHUNK_BYTES):
        part = view[start // 8 : (start + CHUNK_BYTES) // 8]
        if not np.array_equal(part, pattern(start, part.nbytes)):
            return False
    return True


def read_elsewhere(data: bytes) -> tuple[int, bool]:
    obj = scamem.from_handle(data)
    return obj.nbytes, is_written(words(obj, writable=False))


def can_still_allocate() -> bool:
    """Memory of its own, large and small, and mappings of its own."""
    private = [np.ones(MIB) for _ in range(20)]
    mapped = [mmap.mmap(-1, 4096) for _ in range(1000)]
    return bool(all(part.all() for part in private) and len(mapped) == 1000)


def scatter_by_64_kib(size: int) -> tuple[int, int, bytes, bool]:
    arena = Arena.create(capacity=size, slots=8)
    objects = [arena.alloc(OBJECT_BYTES) for _ in range(size // OBJECT_BYTES)]
    assert arena.stats().frames_free == 0
    for k, obj in enumerate(objects):
        words(obj)[0] = k
    del objects[::2], obj
    free_bytes = arena.stats().frames_free * arena.frame_bytes
    assert free_bytes == size // 2
    assert arena.stats().longest_free_run == OBJECT_BYTES // arena.frame_bytes
    obj = arena.alloc(free_bytes)
    assert arena.stats().frames_free == 0
    view = words(obj)
    write(view)
    kept = all(words(other)[0] == 2 * k + 1 for k, other in enumerate(objects))
    return len(obj.runs), obj.nbytes, bytes(scamem.handle(obj)), kept and can_still_allocate()


def scatter_and_show(talk: Talk, size: int) -> None:
    """Keep the arena until the test has looked at it from elsewhere."""
    talk.say(scatter_by_64_kib(size))
    talk.hear()


def test_all_free_frames_as_one_object(nursery: Nursery) -> None:
    size = arena_bytes()
    with nursery.start(scatter_and_show, size) as victim:
        runs, nbytes, data, good = victim.hear()
        assert (runs, nbytes, good) == (size // 2 // OBJECT_BYTES, size // 2, True)
        assert nursery.run(read_elsewhere, data) == (size // 2, True)
        print(f"{nbytes / GIB:g} GiB in {runs:,} runs of {OBJECT_BYTES >> 10} KiB")


def scatter_by_frames(size: int) -> dict[str, object]:
    """Fill an arena with objects of one frame, with 64 descriptors, and free every second one."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    arena = Arena.create(capacity=size, slots=8)
    objects = [arena.alloc(1) for _ in range(size // 4096)]
    assert arena.stats().frames_free == 0
    del objects[::2]
    free = arena.stats().frames_free
    obj = arena.alloc(free * 4096)
    found: dict[str, object] = {"objects": 2 * len(objects), "free": free, "nr": obj.nr}
    found["runs"] = len(obj.runs)
    try:
        obj.map()
    except TooScatteredError as error:
        found["error"] = (error.runs, error.limit, str(error))
    with obj.pin(5, free - 5) as pin:
        found["pinned"] = len(pin.frames)
    obj.close()
    del obj
    smaller = arena.alloc(10_000 * 4096)
    view = words(smaller)
    write(view)
    found["smaller"] = (len(smaller.runs), is_written(view))
    found["allocates"] = can_still_allocate()
    return found


def test_objects_of_one_frame_and_64_descriptors(nursery: Nursery) -> None:
    size = min(arena_bytes(), -(-OBJECTS * 4096 // (8 * MIB)) * 8 * MIB)
    found = nursery.run(scatter_by_frames, size)
    half = size // 4096 // 2
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    error = found.pop("error", None)
    if half > limit:
        assert error is not None
        runs, left, message = error
        assert runs == half
        assert left < limit
        assert "Work on the runs one by one" in message
    assert found == {
        "objects": 2 * half,
        "free": half,
        "nr": half,
        "runs": half,
        "pinned": half - 5,
        "smaller": (10_000, True),
        "allocates": True,
    }
    print(f"{2 * half:,} objects of one frame; half of them as one object of {half:,} runs")
