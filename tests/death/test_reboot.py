"""A named arena from before a reboot: recovered behind its door, or refused untouched.

The machine stays as it is: the boot id in the header is changed, and what was counted by the clock
of that boot is set as after a long uptime.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scamem
from scamem.core import walk
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from scamem.membership import image, lending
from tests.backing.children import Talk, child, in_child
from tests.death import operations
from tests.death.nursery import Nursery
from tests.death.operations import KEPT

CAPACITY_BYTES = 8 << 20
UPTIME_NS = 10**17  # three years, which no test machine has been up for
INSIDE_STORE = 30
OPENERS = 6
ROUNDS = 8


def furnish(path: str) -> tuple[bytes, int]:
    """Make an arena with a name, objects of several kinds, and loans of a sender that ends."""
    arena = scamem.Arena.create(path, capacity=CAPACITY_BYTES, slots=20)
    arena[KEPT] = arena.array(np.arange(5000))
    made = arena.array(np.arange(777))
    data = bytes(scamem.handle(made))
    del made
    assert arena.stats().loans == 1
    return data, arena.stats().frames_free


def words_of(path: Path) -> memoryview:
    control = path / "control"
    with control.open("rb") as file:
        return image.copy(file.fileno(), control.stat().st_size)


def reboot(path: Path, boot: int = 12345) -> None:
    """Write what an arena of another boot has in it."""
    words = words_of(path)
    mine = image.private_words(Geometry.from_words(words))
    changed = {L.HEADER_BOOT_LOW: boot, L.HEADER_BOOT_HIGH: boot, L.HEADER_CREATED_NS: UPTIME_NS}
    for record in range(1, walk.table_end(words, mine, L.TABLE_HOLDERS)):
        at = walk.place(mine, L.TABLE_HOLDERS, record)
        if words[at + L.HOLDER_OBJECT] >> L.HOLDER_KIND_SHIFT == L.HOLDER_TRANSIT:
            changed[at + L.HOLDER_LOANS] = words[at + L.HOLDER_LOANS] | L.MASK_24 << L.SHIFT_32
    for loan in range(1, walk.table_end(words, mine, L.TABLE_LOANS)):
        changed[walk.place(mine, L.TABLE_LOANS, loan) + L.LOAN_LENT_NS] = UPTIME_NS
    with (path / "control").open("r+b") as file:
        for at, value in changed.items():
            image.write_word(file.fileno(), at, value)


def look(path: Path, data: bytes) -> dict[str, Any]:
    """Join, and return what there is; what was on its way is loaded."""
    with scamem.Arena.join(str(path)) as arena:
        assert arena.check() == []
        ages = [loan.age_s for loan in arena.loans()]
        loaded = scamem.from_handle(data)
        assert (loaded == np.arange(777)).all()
        assert (arena[KEPT] == np.arange(5000)).all()
        found = {
            "ages": ages,
            "members": len(arena.stats().members),
            "objects": len(arena.objects()),
            "names": list(arena),
        }
        del loaded
        found["free"] = arena.stats().frames_free
        assert arena.check() == []
        return found


@pytest.fixture
def made(place: Path) -> tuple[Path, bytes, int]:
    """An arena that nobody is a member of, a handle on its way, and the frames that are free."""
    data, free = in_child(lambda: furnish(str(place / "made")))
    return place / "made", data, free


def test_recovered(made: tuple[Path, bytes, int]) -> None:
    """Names, data and loans are there; nobody is a member; ages count from now."""
    path, data, free = made
    reboot(path)
    found = in_child(lambda: look(path, data))
    assert found["members"] == 1
    assert found["names"] == [KEPT]
    assert found["objects"] == 2
    assert len(found["ages"]) == 1
    assert 0 <= found["ages"][0] < 3600
    assert found["free"] == free + 2  # the frames of what was on its way
    again = words_of(path)
    assert again[L.HEADER_BOOT_LOW] != 12345


def test_loans_live_for_their_grace_again(made: tuple[Path, bytes, int]) -> None:
    path, _, _ = made
    reboot(path)

    def expired() -> tuple[int, int]:
        with scamem.Arena.join(str(path)) as arena:
            lending.expire(arena._seat.member, 60)
            before = arena.stats().loans
            lending.expire(arena._seat.member, 0)
            return before, arena.stats().loans

    assert in_child(expired) == (1, 0)


def test_died_inside_before(place: Path, stop_nursery: Nursery) -> None:
    """Whoever was inside the lock when the machine stopped: rolled back, taken over, reaped."""
    path = place / "inside"
    data, free = in_child(lambda: furnish(str(path)))
    args = (operations.AllocSmall, str(path), INSIDE_STORE, b"", signal.SIGKILL)
    with stop_nursery.start(operations.perform, *args) as victim:
        victim.wait()
    words = words_of(path)
    assert words[L.LOCK] & L.LOCK_SLOT_MASK
    assert words[L.JOURNAL_LENGTH]
    reboot(path)
    found = in_child(lambda: look(path, data))
    assert found["members"] == 1
    assert found["free"] == free + 2


def test_refused_where_the_disk_has_half_of_it(made: tuple[Path, bytes, int]) -> None:
    path, data, _ = made
    reboot(path)
    with (path / "control").open("r+b") as file:
        count = words_of(path)[L.OBJECTS_COUNT]
        image.write_word(file.fileno(), L.OBJECTS_COUNT, count + 1)
    before = (path / "control").read_bytes()
    with pytest.raises(scamem.ArenaRefusedError, match="machine restarted") as caught:
        scamem.Arena.join(str(path))
    assert caught.value.reason == "damaged"
    assert (path / "control").read_bytes() == before
    from scamem.cli.repair import repair

    assert repair(str(path)).changed
    assert in_child(lambda: look(path, data))["members"] == 1


def stay(talk: Talk, path: Path) -> None:
    with scamem.Arena.join(str(path)):
        talk.say()
        talk.hear()


def test_not_from_under_living_members(made: tuple[Path, bytes, int]) -> None:
    """Members of another machine, seen by their locks: their arena is theirs."""
    path, data, _ = made
    with child(functools.partial(stay, path=path)) as member:
        member.hear()
        reboot(path)
        before = words_of(path)
        with pytest.raises(scamem.ArenaBusyError, match="processes have joined"):
            scamem.Arena.join(str(path))
        assert bytes(words_of(path)) == bytes(before)
    assert in_child(lambda: look(path, data))["members"] == 1


def killed_at(path: Path, stores: int, _: Talk) -> None:
    """Join, killed after so many words of the recovery."""
    write_word, left = image.write_word, [stores]

    def write(fd: int, at: int, value: int) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        write_word(fd, at, value)

    image.write_word = write
    scamem.Arena.join(str(path))


def test_killed_at_every_store(place: Path, stop_nursery: Nursery) -> None:
    """Whoever opens next does all of it again; also after two deaths."""
    kills = 0
    for stores in range(0, 100, 2):
        path = place / f"made-{stores}"
        data, free = in_child(functools.partial(furnish, str(path)))
        args = (operations.AllocSmall, str(path), INSIDE_STORE, b"", signal.SIGKILL)
        with stop_nursery.start(operations.perform, *args) as victim:
            victim.wait()
        reboot(path)
        for deadly in (stores, stores // 2):
            with child(functools.partial(killed_at, path, deadly)) as opener:
                status = opener.wait()
        assert in_child(functools.partial(look, path, data))["free"] == free + 2
        kills += 1
        if os.WIFEXITED(status):
            break
    assert kills > 5


def open_at_once(talk: Talk, path: Path) -> None:
    talk.hear()
    with scamem.Arena.join(str(path)) as arena:
        held = arena[KEPT]
        talk.say(bool((held == np.arange(5000)).all()))
        talk.hear()


def test_openers_race_behind_the_door(made: tuple[Path, bytes, int]) -> None:
    """All get in, one recovers; nobody's lock or slot is cleared by another who came later."""
    path, data, free = made
    for boot in range(1, ROUNDS):
        reboot(path, boot)
        body = functools.partial(open_at_once, path=path)
        with contextlib.ExitStack() as openers:
            started = [openers.enter_context(child(body)) for _ in range(OPENERS)]
            for opener in started:
                opener.say()
            assert [opener.hear() for opener in started] == [True] * OPENERS
            words = words_of(path)
            slots = range(L.SLOT_FIRST, words[L.SLOTS_NEXT])
            states = [words[L.SLOTS + L.SLOT_WORDS * slot] & L.MASK_8 for slot in slots]
            assert states.count(L.SLOT_STATE_ACTIVE) == OPENERS
    assert in_child(lambda: look(path, data))["free"] == free + 2
