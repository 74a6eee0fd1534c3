"""Handles are data: whatever their bytes say, no code runs and no memory outside is reached."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import scamem
from scamem.arrays.place import locate
from scamem.handles.description import ARRAY, BYTES, HEAD, PICKLE, RAW, STRIDED, decode
from scamem.handles.dtypes import dtype_of
from scamem.membership import naming

FAST = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=300)
OBJECT_BYTES = 3 * 4096
HEADER_BYTES = 44  # of a handle, before its members' places
TAIL_BYTES = 24


@pytest.fixture(scope="module")
def arena() -> Iterator[scamem.Arena]:
    with scamem.Arena.create(capacity=8 << 20) as made:
        yield made


@pytest.fixture(scope="module")
def victim(arena: scamem.Arena) -> Iterator[scamem.Array]:
    """An array between two others, which nobody may read or write through its handle."""
    before, made, behind = (arena.full(OBJECT_BYTES, n, np.uint8) for n in (1, 2, 3))
    yield made
    assert (before == 1).all()
    assert (behind == 3).all()


def use(data: bytes) -> None:
    """Load bytes as a handle: an error of the library, or something that lies in its object."""
    try:
        found = scamem.from_handle(data)
    except scamem.ScamemError:
        return
    if isinstance(found, np.ndarray):
        inside(found)
        if found.size:  # not by reshape: a forged stride of 0 makes that a copy of many GiB
            assert found.flat[:8].tobytes() is not None


def inside(found: np.ndarray[Any, Any]) -> None:
    """Each byte of an array lies in the object that keeps it."""
    place = locate(found)
    assert place is not None
    if found.size == 0:
        return
    low, high = np.lib.array_utils.byte_bounds(found)
    start = found.__array_interface__["data"][0] - place.offset
    assert start <= low
    assert high <= start + place.hold.member.nr(place.hold) * 4096


@FAST
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_bytes_changed(victim: scamem.Array, changes: list[tuple[int, int]]) -> None:
    handle = scamem.handle(victim[10:200:3])
    data = bytearray(bytes(handle))
    for at, value in changes:
        data[at % len(data)] = value
    use(bytes(data))
    handle.cancel()


@FAST
@given(cut=st.integers(0, 300), tail=st.binary(max_size=40))
def test_bytes_cut_and_replaced(victim: scamem.Array, cut: int, tail: bytes) -> None:
    handle = scamem.handle(victim)
    data = bytes(handle)
    use(data[: cut % (len(data) + 1)] + tail)
    if cut % (len(data) + 1) < len(data) and not tail:
        with pytest.raises(scamem.ScamemError):
            scamem.from_handle(data[: cut % (len(data) + 1)])
    handle.cancel()


@FAST
@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(scamem.ScamemError):
        scamem.from_handle(data)
    with pytest.raises(scamem.ScamemError):
        scamem.from_handle(b"scm1" + data)


NUMBERS = st.one_of(
    st.integers(-64, 64),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 4096, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63), OBJECT_BYTES]),
)
DTYPES = st.sampled_from(
    [
        *(b'"<f8"', b'"|u1"', b'"|S0"', b'"<U0"', b'"|V0"', b'"|V12288"', b'"<M8[ns]"', b"", b"[]"),
        *(b'["<f8",[3]]', b'["<f8",[-1]]', b'["<f8",[9999999999]]', b'"|V9999999999"', b'"O"'),
        b'{"fields":[["a","<f8",0]],"bytes":8,"aligned":0}',
        b'{"fields":[["a","<f8",4000000000]],"bytes":8,"aligned":0}',
        b'{"fields":[],"bytes":0,"aligned":0}',
        b'{"fields":[],"bytes":64,"aligned":0}',
        b'{"fields":[["a","O",0]],"bytes":8,"aligned":0}',
    ]
)


@FAST
@given(
    kind=st.integers(0, 5),
    flags=st.integers(0, 5),
    shape=st.lists(NUMBERS, max_size=5),
    strides=st.lists(NUMBERS, max_size=5),
    offset=st.one_of(st.integers(0, OBJECT_BYTES), st.integers(0, 2**64 - 1)),
    dtype=DTYPES,
)
@example(BYTES, STRIDED, [2**40], [0], 0, b"")
@example(PICKLE, 0, [2**40], [], 0, b'"|S0"')
@example(ARRAY, 0, [2**40], [], 0, b'"|S0"')
@example(ARRAY, STRIDED, [2**40, 2**40], [0, 0], 0, b'"<f8"')
@example(ARRAY, STRIDED, [0, 2**62, 2**62], [1, 2**62, -(2**63)], 0, b'"<f8"')
@example(ARRAY, STRIDED, [3], [-8], 0, b'"<f8"')
@example(ARRAY, STRIDED, [2**31, 12], [0, 1], 0, b'"|u1"')
@example(ARRAY, STRIDED, [2, 2], [2**63 - 1, -(2**63)], 0, b'"|u1"')
@example(ARRAY, 0, [OBJECT_BYTES + 1], [], 0, b'"|u1"')
@example(ARRAY, 0, [1], [], 2**64 - 8, b'"<f8"')
@example(RAW, 0, [], [], OBJECT_BYTES, b"")
def test_descriptions_forged(
    victim: scamem.Array,
    kind: int,
    flags: int,
    shape: list[int],
    strides: list[int],
    offset: int,
    dtype: bytes,
) -> None:
    if flags & STRIDED:
        strides = (strides + [0] * len(shape))[: len(shape)]
        numbers = shape + strides
    else:
        numbers = shape
    description = HEAD.pack(kind, flags, len(shape), len(dtype), offset)
    description += struct.pack(f"<{len(numbers)}q", *numbers) + dtype
    if kind == PICKLE:  # its bytes are code by nature, for who may write to the arena
        try:
            assert decode(description, OBJECT_BYTES).shape[0] <= OBJECT_BYTES - offset
        except scamem.ScamemError:
            return
        return
    handle = scamem.handle(victim)
    data = bytes(handle)
    use(data[: len(data) - len(handle.description)] + description)
    handle.cancel()


TEXTS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), NUMBERS, st.floats(), st.text(max_size=6), DTYPES.map(repr)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.fixed_dictionaries({"fields": st.lists(inner), "bytes": inner, "aligned": inner}),
    ),
    max_leaves=8,
)


@FAST
@given(found=TEXTS)
def test_dtypes_forged(found: Any) -> None:
    import json

    try:
        dtype = dtype_of(json.dumps(found).encode())
    except scamem.ScamemError:
        return
    assert not dtype.hasobject
    assert dtype.itemsize > 0


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"[" * 900_000 + b"]" * 900_000,
        b'{"fields":' * 50_000,
        b'["<f8",[' + b"1," * 70 + b"1]]",
        b'["<f8",[' + b"9" * 5000 + b"]]",
        b'{"fields":[["a"]],"bytes":8,"aligned":0}',
        b'{"fields":[["a","<f8",0,["t"]]],"bytes":8,"aligned":0}',
        b'{"fields":[["a","<f8",0],["a","<f8",0]],"bytes":8,"aligned":0}',
        b'{"fields":[["a","<f8",-8]],"bytes":8,"aligned":0}',
        b'{"fields":[["a","<f8",0]],"bytes":-8,"aligned":0}',
        b"\xff\xfe",
        b"__import__('os')",
        b"NaN",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_dtype_bombs(text: bytes) -> None:
    with pytest.raises(scamem.ScamemError, match="dtype"):
        dtype_of(text)


@FAST
@given(
    device=st.integers(0, 2**64 - 1),
    places=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=10),
    path=st.sampled_from(
        [b"", b"relative", b"/no/such", b"/a\0b", b"/dev/shm", b"/dev/shm/\xff", b"."]
    ),
)
def test_addresses_forged(
    victim: scamem.Array, device: int, places: list[tuple[int, int]], path: bytes
) -> None:
    """Of an arena that this process has not joined: whoever is named is not believed."""
    body = b"".join(struct.pack("<II", *each) for each in places)
    size = HEADER_BYTES + len(body) + len(path)
    head = struct.pack(
        "<4s16sHBxHxxQQ", b"scm1", b"\7" * 16, size, len(places), len(path), device, 5
    )
    with pytest.raises(scamem.ScamemError):
        scamem.from_handle(head + body + path + b"\0" * TAIL_BYTES)


def test_own_descriptors_are_not_believed(victim: scamem.Array) -> None:
    """A forged handle that names this process's pipes and terminals opens none of them."""
    import os

    ends = os.pipe()
    try:
        for number in (0, 1, 2, *ends):
            found = os.fstat(number)
            head = struct.pack(
                "<4s16sHBxHxxQQ", b"scm1", b"\7" * 16, 52, 1, 0, found.st_dev, found.st_ino
            )
            place = struct.pack("<II", os.getpid(), number)
            with pytest.raises(scamem.ScamemError):
                scamem.from_handle(head + place + b"\0" * TAIL_BYTES)
    finally:
        for number in ends:
            os.close(number)


def test_forged_numbers_take_nothing(arena: scamem.Arena, victim: scamem.Array) -> None:
    """Another object, generation, loan or id in a good handle: stale, or what that object is."""
    handle = scamem.handle(victim)
    data = bytes(handle)
    at = len(data) - len(handle.description) - TAIL_BYTES
    index, loan, generation, loan_id = struct.unpack_from("<IIQQ", data, at)
    loans = arena.stats().loans
    for wrong in (
        (index, loan, generation + 1, loan_id),
        (index, loan, generation, loan_id + 1),
        (index, 2**32 - 1, generation, loan_id),
        (2**32 - 1, loan, generation, loan_id),
        (0, 0, 0, 0),
        (index, loan, 2**64 - 1, loan_id),
        (index + 1, loan, generation, loan_id),
    ):
        forged = data[:at] + struct.pack("<IIQQ", *wrong) + data[at + TAIL_BYTES :]
        use(forged)
    assert arena.stats().loans == loans
    assert handle.cancel() == 1


def test_names_hold_descriptions_too(arena: scamem.Arena) -> None:
    """What an area says is read as strictly as what a handle says."""
    made = arena.full(10, 1, np.uint8)
    hold = scamem.handle(made).hold
    arena["forged"] = made
    beyond = HEAD.pack(ARRAY, 0, 1, 4, 0) + struct.pack("<q", sys.maxsize) + b'"|u1"'[:4]
    for description in (beyond, b"", b"x" * 30, HEAD.pack(ARRAY, 0, 0, 0, 0)):
        naming.publish_name(arena._seat.member, hold, b"forged", description, 1)
        with pytest.raises(scamem.ScamemError, match="a handle or area"):
            arena["forged"]
    del arena["forged"]
