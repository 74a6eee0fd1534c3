"""Pins and files: any scatter, any range, their ends, and what they refuse."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scamem
from tests.io.scattered import FRAME_BYTES, FRAMES, bytes_of, content, fill, scattered

SIZE = FRAMES * FRAME_BYTES
KINDS = ("disk", "tmpfs", "memfd")


@pytest.fixture(params=KINDS)
def descriptor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """An empty file of each kind."""
    if request.param == "disk":
        made = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    elif request.param == "tmpfs":
        made = os.open("/dev/shm", os.O_RDWR | os.O_TMPFILE)
    else:
        made = os.memfd_create("test")
    yield made
    os.close(made)


def test_a_file_at_any_scatter(arena: scamem.Arena, descriptor: int) -> None:
    data = content(SIZE)
    obj = scattered(arena)
    fill(obj, data)
    with obj.pin() as pin:
        assert pin.write_to(descriptor) == SIZE
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == SIZE
        assert os.pread(descriptor, SIZE, 0) == data
        fill(obj, bytes(SIZE))
        assert pin.read_from(descriptor, 0) == SIZE
    assert bytes_of(obj) == data


def test_ranges_of_bytes(arena: scamem.Arena, descriptor: int) -> None:
    """Pins of a part, ranges that begin and end inside frames, offsets, and nothing beside them."""
    data = content(SIZE)
    obj = scattered(arena)
    os.write(descriptor, data)
    expected = bytearray(SIZE)
    fill(obj, bytes(SIZE))
    with obj.pin(7, 2000) as pin:
        for start, nbytes, offset in (
            (1, 1, 5),
            (100, 4000, 77),
            (5000, 2000 * 3500, 1),
            (9, 0, 0),
        ):
            assert pin.read_from(descriptor, offset, nbytes, start=start) == nbytes
            at = 7 * FRAME_BYTES + start
            expected[at : at + nbytes] = data[offset : offset + nbytes]
            assert bytes_of(obj) == expected
        assert pin.write_to(descriptor, SIZE + 3, 5000, start=123) == 5000
    at = 7 * FRAME_BYTES + 123
    assert os.pread(descriptor, 6000, SIZE) == bytes(3) + expected[at : at + 5000]


def test_end_of_the_file(arena: scamem.Arena, descriptor: int) -> None:
    obj = arena.alloc(SIZE)
    os.write(descriptor, content(10_000))
    with obj.pin() as pin:
        assert pin.read_from(descriptor) == 0  # its position is behind the last byte
        assert pin.read_from(descriptor, 0) == 10_000
        assert pin.read_from(descriptor, 9_999) == 1
        assert pin.read_from(descriptor, 10_000) == 0
        assert pin.read_from(descriptor, 1 << 40) == 0
        os.ftruncate(descriptor, 5_000)
        assert pin.read_from(descriptor, 0, 10_000) == 5_000
        os.ftruncate(descriptor, 20_000)
        assert pin.read_from(descriptor, 0, 20_000) == 20_000
    found = bytes_of(obj)
    assert found[:5000] == content(10_000)[:5000]
    assert found[5000:20_000] == bytes(15_000)


def test_position_of_the_descriptor(arena: scamem.Arena, descriptor: int) -> None:
    obj = scattered(arena)
    fill(obj, content(SIZE))
    with obj.pin() as pin:
        pin.write_to(descriptor, nbytes=5)
        pin.write_to(descriptor, nbytes=7, start=5)
        pin.write_to(descriptor, 0, 1)  # moves nothing
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 12
        assert os.pread(descriptor, 20, 0) == content(SIZE)[:12]
        os.lseek(descriptor, 2, os.SEEK_SET)
        assert pin.read_from(descriptor, nbytes=4) == 4
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 6


def test_more_than_one_call_takes(arena: scamem.Arena) -> None:
    """A single run of 40 MiB, and a file with a hole."""
    obj = arena.alloc(40 << 20)
    with tempfile.TemporaryFile(buffering=0, dir="/dev/shm") as file, obj.pin() as pin:
        file.truncate(41 << 20)
        os.pwrite(file.fileno(), b"end", (40 << 20) - 3)
        assert pin.read_from(file, 0) == 40 << 20
        assert pin.write_to(file, 1 << 20) == 40 << 20
        assert os.pread(file.fileno(), 9, (41 << 20) - 3) == b"end"


def test_iovec_is_where_the_bytes_are(arena: scamem.Arena) -> None:
    data = content(SIZE)
    obj = scattered(arena)
    fill(obj, data)
    with obj.pin(1) as pin:
        found = pin.iovec()
        assert found.dtype == np.uint64
        assert found.shape == (FRAMES - 1, 2)
        assert b"".join(ctypes.string_at(int(at), int(n)) for at, n in found) == data[FRAME_BYTES:]
        ((first, length), (second, rest)) = pin.iovec(4000, 100)
        assert (length, rest) == (96, 4)
        assert ctypes.string_at(int(first), 96) == data[8096:8192]
        assert ctypes.string_at(int(second), 4) == data[8192:8196]
        assert pin.iovec(5, 0).shape == (0, 2)
        assert pin.nbytes == SIZE - FRAME_BYTES
    with arena.alloc(10 * FRAME_BYTES) as whole, whole.pin() as pin:
        assert pin.iovec().shape == (len(whole.runs), 2)


def test_runs_side_by_side_are_one(arena: scamem.Arena) -> None:
    """What comes second may get frames in front of, or behind, the first's: one view knows."""
    with arena.alloc(SIZE) as obj, obj.pin() as pin:
        assert pin.iovec().shape == (1, 2)
        assert pin.iovec(1, 9000)[0, 1] == 9000


def test_direct_io(arena: scamem.Arena, tmp_path: Path) -> None:
    data = content(SIZE)
    (tmp_path / "file").write_bytes(data + b"tail")
    try:
        descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_DIRECT)
    except OSError as error:
        pytest.skip(f"no O_DIRECT here: {error}")
    obj = scattered(arena)
    larger = arena.alloc(SIZE + FRAME_BYTES) if arena.stats().frames_free > FRAMES else None
    with obj.pin() as pin:
        assert pin.read_from(descriptor, 0) == SIZE
        assert bytes_of(obj) == data
        assert pin.write_to(descriptor, FRAME_BYTES, 8 * FRAME_BYTES, start=0) == 8 * FRAME_BYTES
        with pytest.raises(OSError, match="O_DIRECT, which takes whole blocks") as caught:
            pin.read_from(descriptor, 3, 100, start=5)
        assert caught.value.errno == errno.EINVAL
        # Its last block is no whole one: the file ends there, it is no error.
        os.ftruncate(descriptor, 2 * FRAME_BYTES + 4)
        assert pin.read_from(descriptor, 0) == 2 * FRAME_BYTES + 4
        os.lseek(descriptor, FRAME_BYTES, os.SEEK_SET)
        assert pin.read_from(descriptor) == FRAME_BYTES + 4
    del larger
    os.close(descriptor)


def test_refused(arena: scamem.Arena, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    obj = arena.alloc(2 * FRAME_BYTES)
    pin = obj.pin()
    with open(path, "rb", buffering=0) as raw:
        with pytest.raises(OSError, match="0 of 8,192 bytes were written") as caught:
            pin.write_to(raw)
        assert caught.value.errno == errno.EBADF
        assert caught.value.bytes_done == 0  # type: ignore[attr-defined]  # set on purpose
        for start, nbytes in ((-1, 1), (0, 8193), (8193, 0), (1, 8192), (0, -1)):
            with pytest.raises(IndexError, match=f"bytes {start} to {start + nbytes} of a pin"):
                pin.read_from(raw, 0, nbytes, start=start)
            with pytest.raises(IndexError):
                pin.iovec(start, nbytes)
        with pytest.raises(ValueError, match="0 or more"):
            pin.read_from(raw, -1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        pin.read_from(-1)
    with open(path, "rb") as buffered:
        buffered.read(10)
        with pytest.raises(TypeError, match=re.escape("file.tell()")):
            pin.read_from(buffered)
        assert pin.read_from(buffered, buffered.tell()) == 90
    with pytest.raises(AttributeError):
        pin.read_from("file")  # type: ignore[arg-type]  # no descriptor
    pin.close()
    with open(path, "rb", buffering=0) as raw:
        for call in (pin.read_from, pin.write_to):
            with pytest.raises(scamem.ClosedError):
                call(raw)
    with pytest.raises(scamem.ClosedError):
        pin.iovec()


def test_a_full_disk_says_how_far_it_came(arena: scamem.Arena) -> None:
    """A file that may not grow: the part that fits was written, and the error counts it."""
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 10 * FRAME_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    obj = scattered(arena)
    fill(obj, content(SIZE))
    with obj.pin() as pin, pytest.raises(OSError, match="40,960 of") as caught:
        pin.write_to(descriptor, 0)
    assert caught.value.errno == errno.EPERM
    assert caught.value.bytes_done == 10 * FRAME_BYTES  # type: ignore[attr-defined]  # set there
    assert os.pread(descriptor, 10 * FRAME_BYTES, 0) == content(SIZE)[: 10 * FRAME_BYTES]
    os.close(descriptor)
