"""`scamem check --repair`: what can be derived is made anew, what cannot is left alone."""

from __future__ import annotations

import functools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.cli.repair import Repaired, repair
from scamem.core import walk
from scamem.core.check import check
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.membership import image
from tests.backing.children import Talk, child, in_child
from tests.fuzz.test_control_file import copied

CAPACITY_BYTES = 8 << 20
NAMES = 9


def furnish(talk: Talk, path: str) -> None:
    """Names, holes, loans, an object of several runs, records of a member that is then killed."""
    arena = scamem.Arena.create(path, capacity=CAPACITY_BYTES, slots=16)
    for number in range(NAMES):
        arena[f"name {number}"] = np.full(9000 + number, number)
    arena["any"] = {"x": np.arange(50)}
    for number in range(0, NAMES, 3):
        del arena[f"name {number}"]
    jobs, topic = arena.queue("jobs"), arena.topic("topic", 3)
    jobs.put_many([1, np.arange(50), 3, 4, 5, 6])
    jobs.get()
    leases = jobs.get_many(3, lease=True)
    leases.pop().give_back()
    reader = topic.subscribe()
    for number in range(4):
        topic.publish(number)
    del jobs, topic
    fill = [arena.alloc(4096) for _ in range(600)]
    del fill[::2]
    arena["large"] = arena.full(arena.stats().frames_free * 4096 // 8 - 600, 7.0)
    del fill[::3]
    kept = [arena.zeros(100) for _ in range(5)]
    arena["scattered"] = scattered = arena.alloc(60 * 4096)
    np.frombuffer(memoryview(scattered.map()), np.uint8)[:] = 9
    for _ in range(3):
        bytes(scamem.handle(kept[0]))
        bytes(scamem.handle(arena.zeros(2000)))
    assert arena.check() == []
    talk.say(os.getpid())
    talk.hear()
    del leases, reader


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An arena whose only member was killed."""
    folder = Path("/dev/shm") / f"scamem-test-repair-{os.getpid()}"
    folder.mkdir(mode=0o700)
    with child(lambda talk: furnish(talk, str(folder / "original"))) as started:
        os.kill(started.hear(), signal.SIGKILL)
        started.wait()
    yield folder / "original"
    shutil.rmtree(folder)


@pytest.fixture
def path(original: Path) -> Iterator[Path]:
    """A copy of it, to be damaged."""
    to = original.parent / "copy"
    copied(original, to)
    yield to
    shutil.rmtree(to)


class Damage:
    """The words of an arena that nobody is a member of."""

    def __init__(self, path: Path) -> None:
        self.control = path / "control"
        with self.control.open("rb") as file:
            nbytes = self.control.stat().st_size
            self.words = image.copy(file.fileno(), nbytes)
            self.before = image.copy(file.fileno(), nbytes)
        self.geometry = Geometry.from_words(self.words)
        self.mine = image.private_words(self.geometry)

    def at(self, table: int, index: int, word: int) -> int:
        return int(walk.place(self.mine, table, index)) + word

    def first(self, table: int, word: int, test: Callable[[int], bool] = bool) -> int:
        """Return the place of a word of the first record that passes."""
        end = walk.table_end(self.words, self.mine, table)
        places = (self.at(table, index, word) for index in range(1, end))
        return next(at for at in places if test(self.words[at]))

    def live(self) -> int:
        """Return the place of the first LIVE object."""
        return self.first(
            L.TABLE_OBJECTS,
            L.OBJECT_STATE,
            lambda value: value & L.OBJECT_STATE_MASK == L.OBJECT_STATE_LIVE,
        )

    def write(self) -> None:
        with self.control.open("r+b") as file:
            image.write_words(file.fileno(), self.words, image.changed(self.before, self.words))

    def findings(self) -> list[walk.Finding]:
        return check(self.words, self.mine)


def word(at: int, change: int = 1) -> Callable[[Damage], None]:
    def damage(arena: Damage) -> None:
        arena.words[at] += change

    return damage


def table_word(table: int, which: int, value: int) -> Callable[[Damage], None]:
    def damage(arena: Damage) -> None:
        arena.words[L.TABLES + L.TABLE_WORDS * table + which] = value

    return damage


def record_word(table: int, which: int, value: int) -> Callable[[Damage], None]:
    """Flip bits in a word of the first record in use."""

    def damage(arena: Damage) -> None:
        telling = {
            L.TABLE_OBJECTS: L.OBJECT_STATE,
            L.TABLE_HOLDERS: L.HOLDER_OBJECT,
            L.TABLE_LOANS: L.LOAN_ID,
            L.TABLE_AREAS: L.AREA_SIZES,
            L.TABLE_QUEUES: L.QUEUE_OBJECT,
            L.TABLE_ITEMS: L.ITEM_STATE,
            L.TABLE_CONSUMERS: L.CONSUMER_OF,
        }[table]
        start = arena.live() if table == L.TABLE_OBJECTS else arena.first(table, telling)
        arena.words[start - telling + which] ^= value

    return damage


def leaf(arena: Damage) -> None:
    """A leaf with free frames and used ones: others are not looked at."""
    mixed = (
        k
        for k in range(10_000)
        if 0 < arena.words[walk.leaf_at(arena.mine, L.ZONE_NORMAL, k)] < L.ALL_ONES
    )
    arena.words[walk.leaf_at(arena.mine, L.ZONE_NORMAL, next(mixed))] ^= 0xFF0


def node(arena: Damage) -> None:
    """The root, which is always looked at."""
    root = arena.words[L.ZONES + L.ZONE_ROOT_LEVEL]
    arena.words[walk.node_at(arena.mine, L.ZONE_NORMAL, root, 0) + L.NODE_LONGEST] += 3
    arena.words[walk.node_at(arena.mine, L.ZONE_NORMAL, root, 0) + L.NODE_ENDS] ^= 1


def chains(arena: Damage) -> None:
    start = arena.mine[L.MINE_HASH_AT]
    for k in range(arena.mine[L.MINE_HASH_BUCKETS]):
        arena.words[start + k] = 0


def memdesc(arena: Damage) -> None:
    run = low(arena.words[arena.live() + L.OBJECT_RUNS])
    pfn = low(arena.words[arena.at(L.TABLE_RUNS, run, L.RUN_FRAMES)])
    arena.words[arena.mine[L.MINE_MEMDESCS_AT] + pfn] = 0


def low(value: int) -> int:
    return value & L.MASK_32


def slot_list(slot: int) -> Callable[[Damage], None]:
    def damage(arena: Damage) -> None:
        arena.words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_HOLDERS] = 0
        arena.words[L.SLOTS + L.SLOT_WORDS * slot + L.SLOT_HOLDERS_COUNT] += 4

    return damage


def stack(arena: Damage) -> None:
    """A record that holds is on a stack of those to be dropped."""
    arena.words[L.SLOTS + L.SLOT_WORDS * L.SLOT_FIRST + L.SLOT_DROPS] |= 1


def all_derived(arena: Damage) -> None:
    for damage in DERIVED.values():
        if damage is not all_derived:
            damage(arena)


ZONE = L.ZONES + L.ZONE_WORDS * L.ZONE_NORMAL
DERIVED: dict[str, Callable[[Damage], None]] = {
    "leaf of the tree": leaf,
    "nodes of the tree": node,
    "frames free": word(ZONE + L.ZONE_FREE),
    "frames reserved": word(ZONE + L.ZONE_RESERVED),
    "sections online": word(ZONE + L.ZONE_ONLINE, -1),
    "root": word(ZONE + L.ZONE_ROOT_LEVEL),
    "memdesc": memdesc,
    "number of objects": word(L.OBJECTS_COUNT),
    "number of loans": word(L.LOANS_COUNT),
    "number of names": word(L.AREAS_COUNT),
    "next loan's id": word(L.NEXT_LOAN_ID, -2),
    "next version": word(L.NEXT_VERSION, -2),
    "slots": word(L.SLOTS_NEXT, -1),
    "dying list": word(L.DYING_HEAD, 5),
    "size of an object": record_word(L.TABLE_OBJECTS, L.OBJECT_NR, 5),
    "holders of an object": record_word(L.TABLE_OBJECTS, L.OBJECT_NR, 5 << L.SHIFT_32),
    "list of an object": record_word(L.TABLE_OBJECTS, L.OBJECT_HOLDERS, 3),
    "in transit": record_word(L.TABLE_OBJECTS, L.OBJECT_HOLDERS, 1 << L.SHIFT_32),
    "last run": record_word(L.TABLE_OBJECTS, L.OBJECT_RUNS, 7 << L.SHIFT_32),
    "object's links": record_word(L.TABLE_HOLDERS, L.HOLDER_OBJECT_LINKS, 0x5_0000_0005),
    "slot's links": record_word(L.TABLE_HOLDERS, L.HOLDER_SLOT_LINKS, 0x5_0000_0005),
    "stack of drops": stack,
    "a member's list": slot_list(L.SLOT_FIRST),
    "the names' list": slot_list(L.SLOT_AREAS),
    "the list in transit": slot_list(L.SLOT_TRANSIT),
    "loan's links": record_word(L.TABLE_LOANS, L.LOAN_LINKS, 0x9_0000_0009),
    "name's link": record_word(L.TABLE_AREAS, L.AREA_LINK, 0x9_0000_0009),
    "name's hash": record_word(L.TABLE_AREAS, L.AREA_HASH, 0xFF),
    "chains of names": chains,
    "list of items": record_word(L.TABLE_QUEUES, L.QUEUE_LIST, 3),
    "counts of a queue": record_word(L.TABLE_QUEUES, L.QUEUE_COUNTS, 3),
    "unfinished items": record_word(L.TABLE_QUEUES, L.QUEUE_UNFINISHED, 3),
    "items that came back": record_word(L.TABLE_QUEUES, L.QUEUE_RETURNED, 7),
    "consumers of a queue": record_word(L.TABLE_QUEUES, L.QUEUE_CONSUMERS, 1 << L.SHIFT_32),
    "item's links": record_word(L.TABLE_ITEMS, L.ITEM_LINKS, 0x9_0000_0009),
    "leases": record_word(L.TABLE_CONSUMERS, L.CONSUMER_LEASES, 1 << L.SHIFT_32),
    "consumer's links": record_word(L.TABLE_CONSUMERS, L.CONSUMER_SLOT_LINKS, 0x9_0000_0009),
    "journal": word(L.JOURNAL_LENGTH, 3),
    "mark of damage": word(L.JOURNAL_DAMAGED),
    **{
        f"{unit}: free list": table_word(table, L.TABLE_FREE, 3)
        for table, unit in enumerate(walk.UNITS)
    },
    **{
        f"{unit}: never used": table_word(table, L.TABLE_NEXT, 2)
        for table, unit in enumerate(walk.UNITS)
    },
    "everything": all_derived,
}


def contents(path: Path) -> dict[str, Any]:
    """Return what the names of an arena lead to, its rules asked before and after new work."""
    with scamem.Arena.join(str(path)) as arena:
        assert arena.check() == []
        found = {name: arena[name] for name in arena}
        copies = {
            name: value["x"].copy() if isinstance(value, dict) else bytes(view_of(value))
            for name, value in found.items()
        }
        loans = arena.stats().loans
        arena["new"] = np.ones(5)
        assert (arena["new"] == 1).all()
        del arena["new"], found
        assert arena.check() == []
        return {**{name: bytes(value) for name, value in copies.items()}, "": loans}


def view_of(value: Any) -> Any:
    return value.map() if isinstance(value, scamem.Scamem) else value.tobytes()


@pytest.fixture(scope="module")
def whole(original: Path) -> dict[str, Any]:
    to = original.parent / "whole"
    copied(original, to)
    found: dict[str, Any] = in_child(lambda: contents(to))
    assert len(found) == NAMES - 3 + 6
    shutil.rmtree(to)
    return found


def repaired(path: Path) -> Repaired:
    return repair(str(path))


def test_nothing_to_repair(path: Path) -> None:
    before = (path / "control").read_bytes()
    assert repaired(path).changed == []
    assert (path / "control").read_bytes() == before


@pytest.mark.parametrize("kind", DERIVED)
def test_derived(path: Path, whole: dict[str, Any], kind: str) -> None:
    arena = Damage(path)
    DERIVED[kind](arena)
    found = arena.findings()
    assert found
    arena.write()
    done = repaired(path)
    assert done.changed
    assert set(done.found) == set(found)
    assert Damage(path).findings() == []
    if kind == "everything":
        assert repaired(path).changed == []
        assert in_child(lambda: contents(path)) == whole


def break_chain(arena: Damage) -> None:
    arena.words[arena.live() + L.OBJECT_RUNS] ^= 0xFFF


def break_run(arena: Damage) -> None:
    run = low(arena.words[arena.live() + L.OBJECT_RUNS])
    arena.words[arena.at(L.TABLE_RUNS, run, L.RUN_FRAMES)] ^= 0xFF << L.SHIFT_32


def section(arena: Damage) -> None:
    arena.words[arena.mine[L.MINE_SECTIONS_AT]] += 1


PRIMARY: dict[str, Callable[[Damage], None]] = {
    "state of an object": record_word(L.TABLE_OBJECTS, L.OBJECT_STATE, 0xF),
    "object given up": record_word(L.TABLE_OBJECTS, L.OBJECT_STATE, L.OBJECT_STATE_LIVE),
    "chain of runs": break_chain,
    "run": break_run,
    "whose a record is": record_word(L.TABLE_HOLDERS, L.HOLDER_OBJECT, 0xFFF),
    "slot of a record": record_word(L.TABLE_HOLDERS, L.HOLDER_OBJECT, 8 << L.HOLDER_SLOT_SHIFT),
    "record of a loan": record_word(L.TABLE_LOANS, L.LOAN_HOLDER, 0xFFF),
    "length of a name": record_word(L.TABLE_AREAS, L.AREA_SIZES, L.MASK_32),
    "section": section,
}


@pytest.mark.parametrize("kind", PRIMARY)
def test_primary(path: Path, kind: str) -> None:
    """It says that it cannot, what is wrong, and changes nothing."""
    arena = Damage(path)
    PRIMARY[kind](arena)
    assert arena.findings()
    arena.write()
    before = (path / "control").read_bytes()
    with pytest.raises(scamem.ArenaDamagedError, match="nothing was changed"):
        repaired(path)
    assert (path / "control").read_bytes() == before


def stay(talk: Talk, path: Path) -> None:
    with scamem.Arena.join(str(path)):
        talk.say()
        talk.hear()


def test_not_while_there_are_members(path: Path) -> None:
    arena = Damage(path)
    word(L.OBJECTS_COUNT)(arena)
    with child(lambda talk: stay(talk, path)) as member:
        member.hear()
        arena.write()
        with pytest.raises(scamem.ArenaBusyError, match="without members"):
            repaired(path)
        member.kill()
        assert repaired(path).changed


def half_repaired(path: Path, stores: int, _: Talk) -> None:
    """Repair, killed after so many stores."""
    write_word, left = image.write_word, [stores]

    def write(fd: int, at: int, value: int) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        write_word(fd, at, value)

    image.write_word = write
    repaired(path)


def test_killed_while_it_repairs(path: Path, original: Path, whole: dict[str, Any]) -> None:
    """Half repaired, an arena refuses work; repaired again it is whole.

    At every so-many-th store.
    """
    stores, killed = 0, 0
    while True:
        copied(original, path)
        arena = Damage(path)
        for kind in ("frames free", "chains of names", "holder record: free list"):
            DERIVED[kind](arena)
        arena.write()
        with child(functools.partial(half_repaired, path, stores)) as worker:
            status = worker.wait()
        if os.WIFEXITED(status):
            break
        killed += 1
        assert repaired(path).changed
        assert Damage(path).findings() == []
        stores += 87
    assert killed > 5
    assert in_child(lambda: contents(path)) == whole
