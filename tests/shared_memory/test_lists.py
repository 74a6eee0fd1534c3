"""ShareableList: items of every type, replaced in place, in several processes."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scamem.shared_memory import ShareableList, SharedMemory

ITEMS = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=20),
    st.none(),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(ITEMS, max_size=8))
def test_items_come_back(segments: Path, items: list[Any]) -> None:
    """Any text and bytes, also those that end with zeros."""
    made = ShareableList(items)
    other = ShareableList(name=made.shm.name)
    try:
        assert list(other) == items
        assert [type(item) for item in other] == [type(item) for item in items]
        assert len(other) == len(items)
        assert struct.calcsize(made.format) >= 8 * len(items)
    finally:
        other.shm.close()
        made.shm.close()
        made.shm.unlink()


def test_replaced(segments: Path) -> None:
    made = ShareableList([0, "text", None])
    made[0] = b"\0\0"
    made[1] = ""
    made[-1] = True
    assert list(made) == [b"\0\0", "", True]
    with pytest.raises(ValueError, match="exceeds available storage"):
        made[0] = "nine bytes"
    for position in (3, -4):
        with pytest.raises(IndexError, match="out of range"):
            made[position]
        with pytest.raises(IndexError, match="assignment index"):
            made[position] = 1
    refused: tuple[object, ...] = ({}, 1j)
    for value in refused:
        with pytest.raises(KeyError):
            made[0] = value
    with pytest.raises(struct.error):
        made[0] = 1 << 64
    assert list(made) == [b"\0\0", "", True]
    assert (made.count(True), made.index("")) == (1, 1)
    with pytest.raises(ValueError, match="not in this list"):
        made.index(5)
    made.shm.close()
    with pytest.raises(ValueError, match="closed"):
        made[0]
    made.shm.unlink()


def test_pickled(segments: Path) -> None:
    made = ShareableList(["a", 1])
    other = pickle.loads(pickle.dumps(made))
    other[1] = 2
    assert list(made) == ["a", 2]
    other.shm.close()
    made.shm.close()
    made.shm.unlink()


def test_what_is_no_list_is_refused(segments: Path) -> None:
    made = SharedMemory("no-list", create=True, size=100)
    assert made.buf is not None
    with pytest.raises(ValueError, match="not a ShareableList"):
        ShareableList(name="no-list")
    listed = ShareableList(["text", 1])
    assert listed.shm.buf is not None
    for at in range(16, 80):  # any word of the places
        before = listed.shm.buf[at]
        listed.shm.buf[at] = 255
        for position in range(2):
            try:
                listed[position]
            except ValueError:
                continue
        listed.shm.buf[at] = before
    assert list(listed) == ["text", 1]
    for one in (made, listed.shm):
        one.close()
        one.unlink()
