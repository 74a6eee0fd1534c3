"""What is unpickled is what `put` pickled: the arena says so, not the handle."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.handles.description import PICKLE, Description, encode
from scamem.membership import naming

ALIGN_BYTES = 64
OBJECT_BYTES = 4096


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def stored(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return bytes that lie in an object as a pickle would: its head, then the pickle."""
    stream = pickle.dumps(Malice(path), protocol=5)
    data = struct.pack("<2Q", len(stream), 0).ljust(ALIGN_BYTES, b"\0") + stream
    return np.frombuffer(data.ljust(OBJECT_BYTES, b"\0"), np.uint8)


def as_pickle(handle: scamem.Handle, offset: int = 0) -> bytes:
    """Return a handle's bytes, changed so that they say: a pickle."""
    data = bytes(handle)
    said = encode(Description(PICKLE, offset, (OBJECT_BYTES - offset,), None, None, True))
    return data[: len(data) - len(handle.description)] + said


def refused(handle: scamem.Handle, offset: int = 0) -> None:
    """Load a handle that says: a pickle. Nothing is run, and its loan is there again."""
    with pytest.raises(scamem.ScamemError, match="nothing was unpickled"):
        scamem.from_handle(as_pickle(handle, offset))
    assert handle.cancel() == 1


def test_the_bytes_are_malicious(tmp_path: Path) -> None:
    """What the tests below forge would run: else they show nothing."""
    data = stored(tmp_path / "ran").tobytes()
    pickle.loads(data[ALIGN_BYTES : ALIGN_BYTES + struct.unpack_from("<Q", data)[0]])
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("how", ["array", "bytes", "copied array", "alloc"])
def test_an_array_is_not_unpickled(arena: scamem.Arena, tmp_path: Path, how: str) -> None:
    data = stored(tmp_path / "ran")
    if how == "array":
        handle = scamem.handle(arena.array(data))
    elif how == "alloc":
        made = arena.alloc(OBJECT_BYTES)
        np.frombuffer(memoryview(made.map()), np.uint8)[:] = data
        handle = scamem.handle(made)
    else:
        handle = arena.put(data.tobytes() if how == "bytes" else data)
    refused(handle)
    assert not (tmp_path / "ran").exists()


def test_a_name_is_not_believed_either(arena: scamem.Arena, tmp_path: Path) -> None:
    made = arena.array(stored(tmp_path / "ran"))
    arena["forged"] = made
    hold = scamem.handle(made).hold
    said = encode(Description(PICKLE, 0, (OBJECT_BYTES,), None, None, True))
    naming.publish_name(arena._seat.member, hold, b"forged", said, 1)
    with pytest.raises(scamem.ScamemError, match="nothing was unpickled"):
        arena["forged"]
    assert not (tmp_path / "ran").exists()
    del arena["forged"]


def test_not_from_the_middle_of_a_pickle(arena: scamem.Arena, tmp_path: Path) -> None:
    """A pickle's buffer holds what its sender was given: only the pickle's own start is one."""
    with arena.put([stored(tmp_path / "ran")]) as handle:
        frames = arena._seat.member.runs(handle.hold)[0]
        found = arena.page_to_scamem(frames[0])
        assert found is not None
        view = np.frombuffer(memoryview(found.map()), np.uint8)
        at = view.tobytes().index(b"mkdir") // ALIGN_BYTES * ALIGN_BYTES
        for offset in range(ALIGN_BYTES, at + ALIGN_BYTES, ALIGN_BYTES):
            refused(handle, offset)
        found.close()
        del view
    assert not (tmp_path / "ran").exists()


def test_the_mark_goes_with_the_object(arena: scamem.Arena, tmp_path: Path) -> None:
    """Whoever has the record and the frames next is no pickle."""
    with arena.put({"any": "object"}) as handle:
        before = handle.hold.index, arena._seat.member.runs(handle.hold)
        assert arena.get(handle) == {"any": "object"}
    made = arena.array(stored(tmp_path / "ran"))
    again = scamem.handle(made)
    assert (again.hold.index, arena._seat.member.runs(again.hold)) == before
    refused(again)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_is_one_for_everybody(arena: scamem.Arena) -> None:
    """By handle, by its bytes, by a name that was given to it; also after its putter let go."""
    value = {"rows": np.arange(1000), "note": "x"}
    handle = arena.put(value)
    arena["kept"] = handle
    data = bytes(handle)
    handle.close()
    for found in (scamem.from_handle(data), arena["kept"]):
        assert found["note"] == "x"
        assert (found["rows"] == value["rows"]).all()
    del arena["kept"], found
