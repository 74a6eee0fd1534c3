"""Damaged and hostile frozen data: an error of the library, and nothing outside the object."""

from __future__ import annotations

import collections.abc
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import scamem
from scamem.core.store import layout as L
from scamem.datasets import layout as F
from scamem.datasets.on_frames import OnFrames
from scamem.objects.scamem import Scamem
from tests.datasets.shapes import everything

WORDS = (0, 1, 2, 3, 64, 1 << 32, 1 << 48, 1 << 63, (1 << 64) - 1)


class Victim:
    """A frozen value whose bytes a test may change."""

    def __init__(self, arena: scamem.Arena) -> None:
        self.frozen = arena.freeze(everything())
        source = self.frozen._source
        self.handle = scamem.handle(self.frozen)
        obj: Any = Scamem(source.seat, source.hold.another(L.BY_HAND))
        self.bytes = memoryview(obj.map())
        self.nbytes = source.nbytes
        self.good = bytes(self.bytes[: self.nbytes])

    def use(self) -> type[Exception] | None:
        """Read all of it; return the error of the library that came, if one did."""
        errors: list[type[Exception]] = []
        for look in (walk, scamem.thaw, lambda value: value == everything()):
            try:
                look(scamem.from_handle(self.handle))
            except scamem.ScamemError as error:
                errors.append(type(error))
        return errors[0] if errors else None


def walk(value: Any) -> None:
    repr(value)
    if isinstance(value, collections.abc.Mapping):
        for key in value:
            value.get(key)
            assert isinstance(key in value, bool)
        value = value.values()
    if isinstance(value, scamem.FrozenList):
        for name in value.fields:
            value.column(name)
    if isinstance(value, OnFrames) and isinstance(value, collections.abc.Iterable):
        for item in value:
            walk(item)


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with scamem.Arena.create(capacity=8 << 20) as arena:
        yield Victim(arena)


def test_random_damage(victim: Victim, deep: bool) -> None:
    chance = random.Random(5)
    for _ in range(3_000 if deep else 120):
        victim.bytes[: victim.nbytes] = victim.good
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(victim.nbytes // 8) * 8
            near = chance.randrange(victim.nbytes // 8) * 8
            word = chance.choice((*WORDS, victim.nbytes, near, chance.getrandbits(64)))
            victim.bytes[at : at + 8] = struct.pack("<Q", word)
            victim.bytes[chance.randrange(victim.nbytes)] ^= 1 << chance.randrange(8)
        victim.use()
    victim.bytes[: victim.nbytes] = victim.good
    assert victim.use() is None


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, 5, "no header"),
        (8, 2 | F.LITTLE_ENDIAN, "version"),
        (8, 1 | 0x04030201 << 32, "version"),
        (16, 1 << 40, "bytes by its header"),
        (16, 8, "bytes by its header"),
        (24, 1 << 40, "begins no earlier value"),
        (24, 68, "begins no earlier value"),
        (40, 1 << 60, "sections"),
        (32, 1 << 60, "sections"),
    ],
)
def test_headers(victim: Victim, at: int, value: int, message: str) -> None:
    victim.bytes[at : at + 8] = struct.pack("<Q", value)
    try:
        with pytest.raises(scamem.DatasetDamagedError, match=message):
            scamem.from_handle(victim.handle)
    finally:
        victim.bytes[: victim.nbytes] = victim.good


def test_nodes_that_refer_to_themselves(arena: scamem.Arena) -> None:
    """A list whose only item is made itself: the walk would never end."""
    frozen = arena.freeze([(1, 2), None])
    source = frozen._column.source
    obj: Any = Scamem(source.seat, source.hold.another(L.BY_HAND))
    words = memoryview(obj.map()).cast("Q")
    _, section, at = source.numbers(frozen._column.ref, 3)
    words[source.start_of(section, at, 8) // 8] = frozen._column.ref
    again = scamem.from_handle(scamem.handle(frozen))
    with pytest.raises(scamem.DatasetDamagedError, match="no earlier value"):
        scamem.thaw(again)


def test_an_object_that_was_not_frozen(arena: scamem.Arena) -> None:
    """A handle that says so of any other object is refused, whatever its bytes are."""
    frozen = arena.freeze([1, 2])
    data = bytes(scamem.handle(frozen))
    copied = arena.array(frozen._column.source.plain)
    forged = bytes(scamem.handle(copied))
    start = data.index(scamem.handle(frozen).description)
    plain = len(scamem.handle(copied).description)
    with pytest.raises(scamem.DatasetDamagedError, match="no frozen value was stored"):
        scamem.from_handle(forged[:-plain] + data[start:])
    scamem.from_handle(data)
    scamem.from_handle(forged)


@pytest.mark.parametrize(
    "place",
    [
        F.Place(F.ITEMS, 64, 0, 1 << 40, 1),
        F.Place(F.ITEMS, 64, -5, 2, 1),
        F.Place(F.ITEMS, 64, 0, 2, 0),
        F.Place(F.ROW, 64, 0),
        F.Place(9, 64),
        F.Place(F.VALUE, 1 << 50),
        F.Place(F.VALUE, -8),
    ],
)
def test_places_outside(arena: scamem.Arena, place: F.Place) -> None:
    frozen = arena.freeze([1, 2, 3])
    handle = frozen._column.source.handle(place._replace(ref=frozen._column.ref))
    if place.kind == F.VALUE:
        handle = frozen._column.source.handle(place)
    with pytest.raises(scamem.DatasetDamagedError):
        scamem.from_handle(handle)
