"""Damage one word of a sound arena, and see the finding that names the rule."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from scamem.core import check as built
from scamem.core import walk
from scamem.core.store import layout as L
from scamem.core.store.geometry import Geometry
from tests.explore import scenarios as S
from tests.explore.interpreted import Core
from tests.explore.world import TINY, World, new_world


@pytest.fixture(params=["built", "interpreted"])
def check(request: pytest.FixtureRequest, core: Core) -> Callable[..., list[walk.Finding]]:
    """The compiled check that users have, and the same source interpreted."""
    module: Any = built if request.param == "built" else core.check
    function: Callable[..., list[walk.Finding]] = module.check
    return function


def place(world: World, table: int, record: int, word: int) -> int:
    return int(walk.place(world.members[0].mine, table, record)) + word


@pytest.fixture
def world(core: Core) -> World:
    """Objects lent, published, in two runs, in transit, DYING; a record on a stack of drops.

    Frames 0, 1: object 1; 2: object 2; 4, 6: an object in two runs; 7: one in transit; 3, 5: one
    that is DYING. Member 3's stack of drops has its record of object 2.
    """
    world = new_world(
        core, Geometry(**(TINY._asdict() | {"frames": 16, "spans": ()})), members=4, sections=3
    )
    a, b, _, d = world.members
    S.furnish(world)
    S.hold(world, d, S.small(world, a))
    fillers = [S.small(world, a) for _ in range(8)]
    S.let_go(world, a, fillers[1])
    S.let_go(world, a, fillers[3])
    S.large(world, a, 2)  # takes the frames of fillers[1] and fillers[3]
    S.lend(world, a, fillers[4])
    S.let_go(world, a, fillers[4])
    S.let_go(world, a, fillers[0])
    S.let_go(world, a, fillers[2])
    dying = S.large(world, b, 2)
    record = world.alone(b, core.hold.subtract, dying, L.BY_HAND)
    world.run(b, core.hold.put_holder, record)
    S.defer(world, d, 2)
    core.lock.clear_drops(world.arena)
    return world


def frame_of(world: World, obj: int) -> int:
    at = place(world, L.TABLE_OBJECTS, obj, 0)
    runs, _, _ = walk.runs_of(world.arena, world.members[0].mine, at)
    return runs[0][0]


def obj_in(world: World, state: int) -> int:
    return walk.objects_in(world.arena, world.members[0].mine, (state,))[0][0]


def two_runs(world: World) -> int:
    mine = world.members[0].mine
    for obj, at in walk.objects_in(world.arena, mine, (L.OBJECT_STATE_LIVE,)):
        if len(walk.runs_of(world.arena, mine, at)[0]) == 2:
            return obj
    raise AssertionError("no object has two runs")


def memdesc_at(world: World, pfn: int) -> int:
    return world.members[0].mine[L.MINE_MEMDESCS_AT] + pfn


def object_word(word: int) -> Callable[[World], int]:
    return lambda world: place(world, L.TABLE_OBJECTS, 1, word)


def holder_word(word: int) -> Callable[[World], int]:
    return lambda world: place(world, L.TABLE_HOLDERS, 1, word)


def slot_word(slot: int, word: int) -> Callable[[World], int]:
    return lambda world: L.SLOTS + L.SLOT_WORDS * slot + word


def at(place: int) -> Callable[[World], int]:
    return lambda world: place


def plus(amount: int) -> Callable[[int], int]:
    return lambda value: (value + amount) & L.ALL_ONES


def zero(value: int) -> int:
    return 0


HALF = 1 << L.SHIFT_32
DAMAGE: tuple[tuple[str, str, Callable[[World], int], Callable[[int], int]], ...] = (
    ("I1", "free count", at(L.ZONES + L.ZONE_FREE), plus(1)),
    ("I1", "reserved", at(L.ZONES + L.ZONE_RESERVED), plus(1)),
    ("I1", "root too high", at(L.ZONES + L.ZONE_ROOT_LEVEL), plus(50)),
    ("I1", "root too low", at(L.ZONES + L.ZONE_ROOT_LEVEL), plus(-1)),
    ("I1", "bitmap", lambda w: walk.leaf_at(w.members[0].mine, 0, 5), lambda v: v ^ 1),
    ("I1", "node", lambda w: walk.node_at(w.members[0].mine, 0, 2, 0) + L.NODE_LONGEST, plus(1)),
    ("I1", "section offline", lambda w: w.members[0].mine[L.MINE_SECTIONS_AT], zero),
    ("I1", "section's state", lambda w: w.members[0].mine[L.MINE_SECTIONS_AT], plus(7)),
    ("I1", "run elsewhere", lambda w: place(w, L.TABLE_RUNS, 1, L.RUN_FRAMES), plus(3)),
    ("I1", "run outside", lambda w: place(w, L.TABLE_RUNS, 1, L.RUN_FRAMES), plus(999)),
    ("I2", "object's count", object_word(L.OBJECT_NR), plus(HALF)),
    ("I2", "object's list lost", object_word(L.OBJECT_HOLDERS), zero),
    ("I2", "link of the object's list", holder_word(L.HOLDER_OBJECT_LINKS), plus(HALF)),
    ("I2", "link of the slot's list", holder_word(L.HOLDER_SLOT_LINKS), plus(HALF)),
    ("I2", "list in a circle", holder_word(L.HOLDER_SLOT_LINKS), lambda v: v | 1),
    ("I2", "record of another object", holder_word(L.HOLDER_OBJECT), plus(1)),
    ("I2", "record of another slot", holder_word(L.HOLDER_OBJECT), plus(HALF)),
    ("I2", "record's kind", holder_word(L.HOLDER_OBJECT), plus(1 << L.HOLDER_KIND_SHIFT)),
    ("I2", "slot's count", slot_word(4, L.SLOT_HOLDERS_COUNT), plus(1)),
    ("I2", "slot's list lost", slot_word(4, L.SLOT_HOLDERS), zero),
    ("I2", "slot's oldest", slot_word(4, L.SLOT_HOLDERS), plus(HALF)),
    ("I2", "areas", at(L.AREAS_COUNT), plus(1)),
    ("I2", "area's record", lambda w: place(w, L.TABLE_AREAS, 1, L.AREA_LINK), plus(HALF)),
    ("I2", "area's hash", lambda w: place(w, L.TABLE_AREAS, 1, L.AREA_HASH), plus(1)),
    ("I2", "area's name", lambda w: place(w, L.TABLE_AREAS, 1, L.AREA_SIZES), zero),
    ("I2", "area's version", at(L.NEXT_VERSION), lambda v: 1),
    ("I2", "loans", at(L.LOANS_COUNT), plus(-1)),
    ("I2", "loan's record", lambda w: place(w, L.TABLE_LOANS, 1, L.LOAN_HOLDER), plus(1)),
    ("I2", "loan's id", lambda w: place(w, L.TABLE_LOANS, 1, L.LOAN_ID), plus(100)),
    ("I2", "loan's id used again", at(L.NEXT_LOAN_ID), lambda v: 1),
    ("I2", "dropped record in use", slot_word(6, L.SLOT_DROPS), lambda v: 1),
    ("I2", "stack of drops", slot_word(6, L.SLOT_DROPS), plus(999)),
    ("I2", "free records", at(L.TABLES + L.TABLE_WORDS * L.TABLE_HOLDERS), plus(1)),
    ("I2", "lost record", at(L.TABLES + L.TABLE_WORDS * L.TABLE_HOLDERS + 1), plus(1)),
    ("I3", "weak mark", object_word(L.OBJECT_STATE), lambda v: v ^ L.OBJECT_WEAK),
    ("I3", "weak name", lambda w: place(w, L.TABLE_AREAS, 1, L.AREA_FLAGS), plus(1)),
    ("I3", "living and FREE", object_word(L.OBJECT_STATE), zero),
    ("I3", "living and DYING", object_word(L.OBJECT_STATE), plus(1)),
    ("I3", "no such state", object_word(L.OBJECT_STATE), plus(9)),
    ("I3", "objects", at(L.OBJECTS_COUNT), plus(1)),
    ("I3", "dying list lost", at(L.DYING_HEAD), zero),
    ("I3", "dying list", at(L.DYING_HEAD), lambda v: 1),
    ("I3", "owner is gone", object_word(L.OBJECT_STATE), lambda v: 1),
    ("I4", "nr", object_word(L.OBJECT_NR), plus(1)),
    ("I4", "runs lost", object_word(L.OBJECT_RUNS), zero),
    ("I4", "last run", object_word(L.OBJECT_RUNS), plus(HALF)),
    ("I4", "run's link", lambda w: place(w, L.TABLE_RUNS, 1, L.RUN_LINK), plus(2)),
    ("I4", "run of nobody", at(L.TABLES + L.TABLE_WORDS * L.TABLE_RUNS + 1), plus(1)),
    ("I5", "memdesc lost", lambda w: memdesc_at(w, 0), zero),
    ("I5", "memdesc of another", lambda w: memdesc_at(w, 0), plus(1 << L.MEMDESC_OBJECT_SHIFT)),
    ("I5", "frame claimed", lambda w: memdesc_at(w, frame_of(w, obj_in(w, 3))),
     lambda v: 1 | 1 << L.MEMDESC_OBJECT_SHIFT),
    ("I5", "generation", object_word(L.OBJECT_GENERATION), plus(1)),
    ("I6", "free slot with records", slot_word(4, L.SLOT_STATE), zero),
    ("I6", "no such state", slot_word(4, L.SLOT_STATE), plus(9)),
    ("I6", "slot that is no member", slot_word(0, L.SLOT_STATE), plus(1)),
    ("I6", "slots", at(L.SLOTS_NEXT), plus(-3)),
    ("I6", "onlining", at(L.CHANGING), plus(1)),
    ("I7", "journal", at(L.JOURNAL_LENGTH), plus(1)),
    ("I7", "failed", at(L.JOURNAL_FAILED), plus(1)),
    ("I7", "damaged", at(L.JOURNAL_DAMAGED), plus(1)),
)  # fmt: skip


def test_a_sound_arena_has_no_findings(world: World, check: Callable[..., Any]) -> None:
    assert check(world.arena.plain(), world.members[0].mine) == []
    assert two_runs(world)
    assert obj_in(world, L.OBJECT_STATE_DYING)


@pytest.mark.parametrize(
    ("rule", "what", "where", "change"), DAMAGE, ids=[f"{d[0]} {d[1]}" for d in DAMAGE]
)
def test_damage_is_found(
    rule: str,
    what: str,
    where: Callable[[World], int],
    change: Callable[[int], int],
    world: World,
    check: Callable[..., list[walk.Finding]],
) -> None:
    arena = world.arena.plain()
    word = where(world)
    arena[word] = change(arena[word])
    found = check(arena, world.members[0].mine)
    assert rule in {finding.rule for finding in found}, (what, found)
    assert all(finding.place and finding.message for finding in found)


def test_the_dead_must_be_gone(world: World, check: Callable[..., list[walk.Finding]]) -> None:
    found = check(world.arena.plain(), world.members[0].mine, (world.members[3].slot,))
    assert [(finding.rule, finding.place) for finding in found] == [("I6", "slot 6")]


def used_words(world: World) -> list[int]:
    """Return the words after the header that are not 0, except the journal."""
    return [
        k
        for k, value in enumerate(world.arena)
        if value and k >= L.JOURNAL_LENGTH and not L.JOURNAL_ENTRIES <= k < L.SLOTS
    ]


def test_no_damage_stops_the_check(world: World, check: Callable[..., Any]) -> None:
    """Any word, any value: there may be findings, but never an exception or an endless walk."""
    mine = world.members[0].mine
    sound = world.arena.plain()
    dice = random.Random(20)
    values = (0, 1, 2, L.MASK_32, L.ALL_ONES, 1 << 40, 1 << 63, 3 << L.SHIFT_32 | 3)
    for word in used_words(world):
        for value in (*values, dice.getrandbits(64), sound[word] ^ 1 << dice.randrange(64)):
            arena = sound[:]
            arena[word] = value
            check(arena, mine)
            assert arena[word] == value


def test_much_damage_does_not_stop_it(world: World, check: Callable[..., Any]) -> None:
    mine = world.members[0].mine
    sound = world.arena.plain()
    words = used_words(world)
    dice = random.Random(21)
    silent = 0
    for _ in range(300):
        arena = sound[:]
        for word in dice.sample(words, dice.randrange(2, 30)):
            arena[word] = dice.choice((0, 1, 3, L.MASK_32, dice.getrandbits(64), arena[word] + 1))
        silent += not check(arena, mine)
    assert silent < 15, "words that no rule speaks of are few"
