"""Files as arrays: what comes is what NumPy reads, and what is refused."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from tests.death.nursery import Nursery
from tests.io.scattered import FRAME_BYTES, content, scattered

MIB = 1 << 20

ARRAYS: dict[str, Any] = {
    "floats": np.linspace(0, 1, 1000),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "large": np.arange(5_000_000, dtype=np.int64).reshape(-1, 5),
    "single": np.array(3 + 4j),
    "nothing": np.empty((0, 3), np.int8),
    "structured": np.array([(1, b"one"), (2, b"two")], [("n", "<i4"), ("s", "S5")]),
    "unicode names": np.array([(1, 2.0)], [("名", "<i4"), ("x", "<f8")]),
    "many fields": np.zeros(
        3, [(f"a field with a long name, number {k}", "<f8") for k in range(99)]
    ),
    "big endian": np.arange(5, dtype=">i8"),
    "text": np.array(["a", "bcd", "ü"]),
    "dates": np.array(["2026-01-01", "NaT"], "M8[D]"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("ignore:Stored array in format:UserWarning")
def test_npy(arena: scamem.Arena, tmp_path: Path, name: str) -> None:
    array = ARRAYS[name]
    path = tmp_path / "x.npy"
    np.save(path, array)
    found = arena.from_file(path)
    assert isinstance(found, scamem.Array)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    assert found.flags.f_contiguous == array.flags.f_contiguous
    assert found.tobytes() == array.tobytes()
    found.tofile(tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == array.tobytes()
    del found


def test_bytes_and_elements(arena: scamem.Arena, tmp_path: Path) -> None:
    data = content(100_000)
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    whole = arena.from_file(str(path))
    assert whole.dtype == np.uint8
    assert whole.tobytes() == data
    assert arena.from_file(path, "<f4", offset=4000).tobytes() == data[4000:]
    part = arena.from_file(path, np.int16, (3, 5), 7)
    assert part.tobytes() == data[7:37]
    assert part.shape == (3, 5)
    assert arena.from_file(path, ("<u2", (2, 2)), 3).shape == (3, 2, 2)
    assert arena.from_file(path, shape=0).size == 0
    assert arena.from_file(path, offset=100_000).size == 0
    path.rename(tmp_path / "x.npy")
    assert arena.from_file(tmp_path / "x.npy", np.uint8).tobytes() == data
    (tmp_path / "empty").touch()
    assert arena.from_file(tmp_path / "empty").size == 0
    del whole, part


def test_progress(arena: scamem.Arena, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content(40 * MIB))
    seen: list[tuple[int, int]] = []
    x = arena.from_file(path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n * MIB, 40 * MIB) for n in (16, 32, 40)]
    assert x.tobytes() == content(40 * MIB)
    del x

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arena.from_file(path, progress=stop)


def test_scattered_frames(arena: scamem.Arena, tmp_path: Path) -> None:
    data = content(1000 * FRAME_BYTES)
    (tmp_path / "x").write_bytes(data)
    around = scattered(arena, 1000)
    around.close()  # free again: nothing but lone frames
    pieces = []
    while arena.stats().longest_free_run > 1:
        pieces.append(arena.alloc(arena.stats().longest_free_run * FRAME_BYTES))
    pieces = [arena.alloc(FRAME_BYTES) for _ in range(arena.stats().frames_free)]
    del pieces[::2]
    frames = arena.stats().frames_free
    x = arena.from_file(tmp_path / "x", shape=min(frames, 1000) * FRAME_BYTES)
    assert x.tobytes() == data[: x.nbytes]
    del x, pieces


def test_too_short(arena: scamem.Arena, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(1000))
    os.truncate(path, 5000)
    with pytest.raises(scamem.FileTooShortError, match="8,128 bytes") as caught:
        arena.from_file(path)
    assert (caught.value.asked_bytes, caught.value.found_bytes) == (8128, 5000)
    with pytest.raises(EOFError):
        arena.from_file(path, np.uint8, 5001)
    with pytest.raises(EOFError):
        arena.from_file(path, np.uint8, offset=5001)


def test_shorter_since(arena: scamem.Arena, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(40 * MIB))
    with pytest.raises(scamem.FileTooShortError) as caught:
        arena.from_file(path, progress=lambda *_: os.truncate(path, 20 * MIB))
    assert caught.value.found_bytes == 20 * MIB
    del caught  # its traceback has the array
    gc.collect()
    assert arena.objects() == []


def test_refused(arena: scamem.Arena, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(11))
    with pytest.raises(ValueError, match="no whole number of elements of 8 bytes"):
        arena.from_file(path, float)
    with pytest.raises(ValueError, match="begins at 0"):
        arena.from_file(path, offset=-1)
    with pytest.raises(TypeError, match="Python objects"):
        arena.from_file(path, object)
    with pytest.raises(FileNotFoundError):
        arena.from_file(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        arena.from_file(tmp_path)
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"not at all what is said")
    with pytest.raises(ValueError, match="magic string"):
        arena.from_file(bad)
    bad.write_bytes(b"\x93NUMPY\x03\x00\x05\x00\x00\x00{1:2}")
    with pytest.raises(ValueError, match=r"no \.npy header of version 3"):
        arena.from_file(bad)
    bad.write_bytes(b"\x93NUMPY\x09\x00\x05\x00\x00\x00{1:2}")
    with pytest.raises(ValueError, match="of version"):
        arena.from_file(bad)
    with pytest.raises(ValueError, match="says itself"):
        arena.from_file(bad, offset=5)
    np.save(bad, np.array([None]), allow_pickle=True)
    with pytest.raises(TypeError, match="Python objects"):
        arena.from_file(bad)
    with pytest.raises(scamem.OutOfMemoryError):
        with open(tmp_path / "huge", "wb") as huge:
            huge.truncate(1 << 40)
        arena.from_file(tmp_path / "huge")
    assert arena.objects() == []


def test_devices_and_pipes(arena: scamem.Arena, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="does not say how long"):
        arena.from_file("/dev/zero")
    assert not arena.from_file("/dev/zero", shape=10_000).any()
    writer = threading.Thread(target=pipe.write_bytes, args=(content(100_000),))
    writer.start()
    found = arena.from_file(pipe, shape=100_000)
    writer.join()
    assert found.tobytes() == content(100_000)
    del found


def sum_of(data: bytes) -> int:
    return int(scamem.from_handle(data).sum())


def test_it_travels_by_handle(arena: scamem.Arena, tmp_path: Path, nursery: Nursery) -> None:
    np.save(tmp_path / "x.npy", np.arange(1000))
    x = arena.from_file(tmp_path / "x.npy")
    assert nursery.run(sum_of, bytes(scamem.handle(x))) == 499_500
    del x
