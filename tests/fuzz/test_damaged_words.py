"""Each word of a live control file set to a wild value: an answer or a ScamemError, nothing else.

An arena with something of everything in it lies in a file. Case by case the file is put back, a
forked child joins, damages one word, before it joins or while it holds objects, and goes through
all that the library does. It is stopped by a deadline; its death by a signal, or an exception that
is no ScamemError, fails the test. Words that are 0 are taken where they are the whole arena's.
`--deep` takes all of these; otherwise one of each kind does, another one in the other case.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import scamem
from scamem.core.store import layout as L
from scamem.core.store.geometry import TABLE_RECORDS, Geometry
from tests.backing.children import child, run_script
from tests.fuzz.test_control_file import words_with_data

DEADLINE_S = 20  # of each child: a hang, not a slow machine
RECORD_WORDS = {
    "slots": L.SLOT_WORDS,
    "sections": L.SECTION_WORDS,
    "top_tree": L.NODE_WORDS,
    **{name: words for name, words, _ in TABLE_RECORDS},
}
MEMDESCS_STRIDE = 64  # they are all alike
LAST_GLOBAL = L.ZONES + L.ZONE_WORDS
LARGE = 0x00FFFFFF00FFFFFF  # two halves that are indices beyond every table


class Original(NamedTuple):
    """An arena that nobody is a member of, as bytes: {place, words} of what its file holds."""

    folder: Path
    control: Path
    size: int
    data: list[tuple[int, bytes]]


def scattered(arena: Any, frames: int) -> tuple[Any, list[Any]]:
    """An object of runs of one frame, and what lies between them."""
    lone = [arena.alloc(4096) for _ in range(2 * frames)]
    for one in lone[::2]:
        one.close()
    rest = arena.alloc(arena.stats().frames_free * 4096 - frames * 4096)
    made = arena.alloc(frames * 4096)
    rest.close()
    return made, lone[1::2]


def fill(arena: Any) -> None:
    """Names, loans, free records of every table, and an object of several runs, kept by a name."""
    for number in range(6):
        arena[f"name {number}"] = np.full(1500, number)
    arena["any"] = {"x": np.arange(50)}
    for number in range(0, 6, 2):
        del arena[f"name {number}"]
    made, between = scattered(arena, 4)
    arena["scattered"] = made
    arena["lone"] = between[0]
    for _ in range(2):
        bytes(scamem.handle(arena.zeros(600)))
    jobs = arena.queue("jobs", maxsize=20)
    jobs.put_many([b"small", np.arange(100), 3, 4, 5])
    jobs.get()
    leases = jobs.get_many(3, lease=True)
    for lease in leases:
        lease.give_back()
    topic = arena.topic("topic", history=3)
    with topic.subscribe():
        for k in range(4):
            topic.publish(np.full(10, k))


@pytest.fixture(scope="module")
def original() -> Iterator[Original]:
    folder = Path(tempfile.mkdtemp(prefix="scamem-test-", dir="/dev/shm"))
    run_script(
        f"""
        import sys
        sys.path.insert(0, ".")
        import scamem
        from tests.fuzz.test_damaged_words import fill
        with scamem.Arena.create({str(folder / "arena")!r}, capacity=16 << 20, slots=16) as arena:
            fill(arena)
        """
    )
    control = folder / "arena" / "control"
    with control.open("rb") as file:
        pages = sorted({place // 512 for place in words_with_data(control)})
        data = [(page * 4096, os.pread(file.fileno(), 4096, page * 4096)) for page in pages]
    yield Original(folder / "arena", control, control.stat().st_size, data)
    shutil.rmtree(folder)


def put_back(original: Original) -> None:
    """Write the arena's words anew; what was written since becomes holes."""
    with original.control.open("r+b") as file:
        os.ftruncate(file.fileno(), 0)
        os.ftruncate(file.fileno(), original.size)
        for place, data in original.data:
            os.pwrite(file.fileno(), data, place)


def read_word(control: Path, place: int) -> int:
    with control.open("rb") as file:
        return int.from_bytes(os.pread(file.fileno(), 8, place * 8), "little")


def write_word(control: Path, place: int, value: int) -> None:
    with control.open("r+b") as file:
        os.pwrite(file.fileno(), value.to_bytes(8, "little"), place * 8)


def wild(value: int) -> list[int]:
    """Values that no member of this arena writes there, or not now."""
    values = [L.ALL_ONES, LARGE, value ^ 1 << 31, value + 1 & L.ALL_ONES, value ^ 1 << 63, 0]
    return [other for other in dict.fromkeys(values) if other != value]


def kind_of(geometry: Geometry, place: int) -> tuple[str, int]:
    """Which word of which record a place is."""
    for name, region in geometry.regions().items():
        within = place - region.start
        if 0 <= within < region.words:
            if name == "globals":
                if within >= L.JOURNAL_ENTRIES:
                    return "journal", within % L.JOURNAL_ENTRY_WORDS
                return name, within
            if name == "section_trees":
                inner = within % geometry.section_tree_words
                height = geometry.section_shift - geometry.leaf_shift
                return name, inner % 2 if inner >= 1 << height else 2
            return name, within % RECORD_WORDS.get(name, 1)
    return "nothing", 0


def chosen(geometry: Geometry, places: list[int], deep: bool, which: int) -> list[int]:
    """All places, but few of the memdescs; or one of each kind, the `which`-th."""
    if deep:
        first = geometry.regions()["memdescs"].start
        alike = range(first, first + geometry.frames)
        return [at for at in places if at not in alike or at % MEMDESCS_STRIDE == 0]
    kinds: dict[tuple[str, int], list[int]] = {}
    for place in places:
        kinds.setdefault(kind_of(geometry, place), []).append(place)
    return sorted(found[which] for found in kinds.values())


class Live:
    """What a member holds while a word is damaged under it."""

    def __init__(self, folder: Path) -> None:
        self.arena: Any = scamem.Arena.join(str(folder))
        self.arena._seat.member.lock_timeout_s = 0.2
        self.array = self.arena.zeros(2000)
        self.scattered, self.between = scattered(self.arena, 3)
        self.view = self.scattered.map()
        self.pin = self.scattered.pin()
        self.spare = self.arena.alloc(3 * 4096)
        self.wire = bytes(scamem.handle(self.array))
        self.arena["live"] = self.array
        self.jobs, self.topic = self.arena.queue("jobs"), self.arena.topic("topic")
        self.lease = self.jobs.get(lease=True, lease_timeout=60)
        self.reader = self.topic.subscribe(start="oldest")

    def uses(self) -> dict[str, Any]:
        """All that can be done with them; each by itself."""
        arena = self.arena
        pfns = np.arange(0, 4096, 3)

        def forked() -> None:
            pid = os.fork()
            if pid == 0:
                stop_at_deadline()
                status = 1
                try:
                    with suppress(scamem.ScamemError):
                        arena.alloc(4096).close()
                    status = 0
                finally:
                    os._exit(status)
            status = os.waitpid(pid, 0)[1]
            if status:
                raise AssertionError(f"the forked child ended with status {status:#x}")

        def through_the_queue() -> None:
            with suppress(queue.Empty, queue.Full, scamem.LeaseLostError):
                self.jobs.put_many([b"1", np.arange(10)], timeout=0)
                self.jobs.get_nowait()
                self.jobs.get(timeout=0, lease=True).done()
                self.lease.give_back()

        def through_the_topic() -> None:
            with suppress(queue.Empty):
                self.topic.publish(np.arange(10))
                self.reader.get_nowait()
                self.reader.latest()

        return {
            "queue": through_the_queue,
            "topic": through_the_topic,
            "map": lambda: bytes(self.scattered.map(writable=False)),
            "private": lambda: bytes(self.scattered.map(private=True)),
            "runs": lambda: (self.scattered.runs, self.scattered.pages, repr(self.scattered)),
            "pin": self.pin.iovec,
            "pinned": lambda: (self.pin.frames, self.scattered.pin(io=True).close()),
            "send": lambda: scamem.from_handle(bytes(scamem.handle(self.array[5:]))),
            "put": lambda: arena.get(arena.put({"a": np.arange(3000)})),
            "load": lambda: scamem.from_handle(self.wire),
            "grow": lambda: self.spare.resize(9 * 4096),
            "cut": lambda: self.spare.resize(2 * 4096),
            "splice": lambda: self.spare.splice(arena.alloc(8192)),
            "append": lambda: arena.growable((3,), np.int32).extend(np.ones((4000, 3), np.int32)),
            "snapshot": self.array.snapshot,
            "fork": forked,
            "take section": lambda: arena.offline_section(1),
            "trim": arena.trim,
            "bring section": lambda: arena.online_section(1),
            "let go": self.let_go,
            **looks(arena, pfns),
        }

    def let_go(self) -> None:
        self.between.clear()
        self.scattered.close()
        del self.view
        self.pin.close()


def looks(arena: Any, pfns: Any) -> dict[str, Any]:
    """All that can be done with an arena alone."""
    return {
        "stats": arena.stats,
        "objects": arena.objects,
        "holders": lambda: [arena.holders(number) for number in range(30)],
        "loans": arena.loans,
        "sections": arena.sections,
        "bitmap": arena.free_bitmap,
        "check": arena.check,
        "names": lambda: list(arena),
        "named": lambda: [arena[name] for name in ("name 1", "any", "scattered", "lone")],
        "pages": lambda: arena.page_to_scamem(pfns),
        "page": lambda: [arena.page_to_scamem(pfn) for pfn in range(64)],
        "nodes": lambda: (arena.page_to_nid(pfns), arena.page_to_nid(pfns, verify=True)),
        "zones": lambda: (arena.page_zone(pfns), arena.page_to_section(pfns)),
        "alloc": lambda: [arena.zeros(5000) for _ in range(5)],
        "fill": lambda: arena.alloc(6 << 20).close(),
        "publish": lambda: arena.publish("new", np.arange(5), replace=True),
        "replace": lambda: arena.publish("name 1", np.arange(5), replace=True),
        "unpublish": lambda: arena.unpublish("name 3"),
        "reap": lambda: arena.reap(loans=True),
    }


def go_through(uses: dict[str, Any], turn: int) -> list[str]:
    """What was raised that may not be. Each case begins elsewhere: damage found ends all work."""
    wrong = []
    names = list(uses)
    for name in names[turn % len(names) :] + names[: turn % len(names)]:
        try:
            uses[name]()
        except scamem.ScamemError:
            pass
        except Exception:  # noqa: BLE001 - what it is, is what is asked
            wrong.append(f"{name}: {' '.join(traceback.format_exc().split()[-40:])}")
    return wrong


def damaged_while_live(original: Original, place: int, value: int, turn: int) -> list[str]:
    live = Live(original.folder)
    write_word(original.control, place, value)
    return go_through(live.uses(), turn) + closed(live.arena)


def damaged_before(original: Original, place: int, value: int, turn: int) -> list[str]:
    write_word(original.control, place, value)
    try:
        arena: Any = scamem.Arena.join(str(original.folder))
    except scamem.ScamemError:
        return []
    arena._seat.member.lock_timeout_s = 0.2
    return go_through(looks(arena, np.arange(0, 4096, 3)), turn) + closed(arena)


def closed(arena: Any) -> list[str]:
    return go_through({"close": arena.close}, 0)


def stop_at_deadline() -> None:
    """End this process then, whatever it does: no handler of pytest's, which needs the GIL."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(DEADLINE_S)


def outcome(original: Original, body: Any) -> Any:
    """What a forked child says of the arena as it is in the file; in words if it cannot."""

    def run(talk: Any) -> None:
        stop_at_deadline()
        talk.say(body())

    put_back(original)
    with child(run) as other:
        try:
            return other.hear()
        except EOFError:
            return [f"ended by signal {os.WTERMSIG(other.wait())}"]


def pilot(original: Original) -> tuple[Geometry, list[int]]:
    """The geometry, and the words that are not 0 while a member holds objects."""

    def body() -> Any:
        live = Live(original.folder)
        known = set(words_with_data(original.control)) | set(range(L.STOP_HITS + 1, LAST_GLOBAL))
        return live.arena._seat.geometry, sorted(known)

    geometry, places = outcome(original, body)
    assert {"globals", "slots", *RECORD_WORDS} <= {kind_of(geometry, at)[0] for at in places}
    return geometry, places


@pytest.mark.parametrize("length", [1, L.JOURNAL_ENTRIES_MAX, L.ALL_ONES])
@pytest.mark.parametrize("place", [L.HEADER_VERSION, 1 << 40, L.ALL_ONES])
def test_journal_of_a_dead_holder(original: Original, place: int, length: int) -> None:
    """Words that a dead member is said to have changed are not put back outside the arena."""

    def body() -> list[str]:
        arena: Any = scamem.Arena.join(str(original.folder))
        write_word(original.control, L.JOURNAL_ENTRIES, place)
        write_word(original.control, L.JOURNAL_LENGTH, length)
        lock = read_word(original.control, L.LOCK) + L.LOCK_TICKET_ONE
        write_word(original.control, L.LOCK, lock | arena.slot + 1)
        before = read_word(original.control, L.HEADER_VERSION)
        with pytest.raises(scamem.ArenaDamagedError):
            arena.alloc(4096)
        assert read_word(original.control, L.HEADER_VERSION) == before
        return closed(arena)

    assert outcome(original, body) == []


@pytest.mark.parametrize("case", [damaged_before, damaged_while_live])
def test_wild_words(original: Original, deep: bool, case: Any) -> None:
    geometry, places = pilot(original)
    wrong = []
    done = 0
    words = chosen(geometry, places, deep, 0 if case is damaged_before else -1)
    print(f"{len(words)} words of {len(places)}")
    for number, at in enumerate(words):
        put_back(original)
        values = wild(read_word(original.control, at))
        for value in values if deep else values[number % 3 :][:1]:
            done += 1
            found = outcome(original, partial(case, original, at, value, done))
            wrong += [f"word {at} {kind_of(geometry, at)} = {value:#x}: {text}" for text in found]
    print(f"{done} cases")
    assert not wrong, f"{len(wrong)} of {done}:\n" + "\n".join(wrong)
