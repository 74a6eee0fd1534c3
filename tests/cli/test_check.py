"""`scamem check`: it names what is wrong, works without joining, and changes nothing."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry

from .conftest import Run

Words = list[int]


def words_of(control: Path, count: int) -> Words:
    with control.open("rb") as file:
        return list(struct.unpack(f"={count}Q", file.read(8 * count)))


def store(control: Path, at: int, value: int) -> None:
    with control.open("r+b") as file:
        file.seek(8 * at)
        file.write(struct.pack("=Q", value))


@pytest.fixture
def control(scamem: Run, arenas: Path) -> Path:
    """The control file of an arena with one object of three frames, named x."""
    scamem("put", "-", "x", "--capacity", "8M", input=bytes(3 * 4096))
    return arenas / "default" / "control"


def test_whole(scamem: Run, control: Path) -> None:
    assert scamem("check").stdout == b"OK: the arena is consistent (8 checks passed)\n"
    assert json.loads(scamem("check", "--json").stdout)["findings"] == []


def object_word(control: Path, word: int) -> int:
    geometry = Geometry.from_words(words_of(control, L.SLOTS))
    return int(geometry.regions()["objects_max"].start + L.OBJECT_WORDS + word)


def count_of_objects(_: Path) -> int:
    return int(L.OBJECTS_COUNT)


def frames_of_the_object(control: Path) -> int:
    return object_word(control, L.OBJECT_NR)


def free_frames(_: Path) -> int:
    return int(L.ZONES + L.ZONE_FREE)


@pytest.mark.parametrize(
    ("place", "rule"),
    [(free_frames, "I1"), (count_of_objects, "I3"), (frames_of_the_object, "I4")],
)
def test_damage(scamem: Run, control: Path, place: Callable[[Path], int], rule: str) -> None:
    at = place(control)
    store(control, at, words_of(control, at + 1)[at] + 1)
    before = control.read_bytes()
    ended = scamem("check", "--json", code=1, findings=True)
    found = json.loads(ended.stdout)["findings"]
    assert rule in {finding["rule"] for finding in found}
    assert rule.encode() in scamem("check", code=1, findings=True).stdout
    assert control.read_bytes() == before


def test_who_died_inside(scamem: Run, control: Path) -> None:
    """A lock holder that is gone: what it had begun is put back in the copy, not in the arena."""
    found = words_of(control, L.JOURNAL_ENTRIES + 2)
    store(control, L.JOURNAL_ENTRIES, L.OBJECTS_COUNT)
    store(control, L.JOURNAL_ENTRIES + 1, found[L.OBJECTS_COUNT])
    store(control, L.JOURNAL_LENGTH, 1)
    store(control, L.OBJECTS_COUNT, 77)
    slot = 9
    store(control, L.LOCK, found[L.LOCK] // L.LOCK_TICKET_ONE * L.LOCK_TICKET_ONE + slot)
    store(control, L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_PID, 4321)
    before = control.read_bytes()
    checked = json.loads(scamem("check", "--json").stdout)
    assert checked["inside"] == 4321
    assert checked["words_put_back"] == 1
    assert checked["findings"] == []
    assert control.read_bytes() == before
    assert b"4321" in scamem("check").stdout


def test_no_arena(scamem: Run, control: Path) -> None:
    store(control, L.HEADER_MAGIC, 1)
    before = control.read_bytes()
    assert b"refused" in scamem("check", code=1).stderr
    assert control.read_bytes() == before
