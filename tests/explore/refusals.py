"""What must be refused, or must not happen yet: small stories with one check at the end."""

from __future__ import annotations

from scamem.core import walk
from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.interpreted import Core
from tests.explore.loan_scenarios import reclaim_all
from tests.explore.world import TINY, World, new_world


def expect(what: str, result: int, expected: int) -> None:
    if result != expected:
        raise Violation(f"{what}: {result:#x}, should be {expected:#x}")


def owner(core: Core) -> None:
    """No member continues another's ALLOCATING object or ONLINING section."""
    world = new_world(core, members=2, sections=1)
    a, b = world.members
    obj = S.reserve(world, a, 2)
    alloc, online = core.alloc, core.online
    expect("owner", world.run(b, alloc.take_run, obj), L.NOT_OWNER)
    expect("owner", world.alone(b, alloc.describe, obj), L.NOT_OWNER)
    S.take_runs(world, a, obj)
    expect("owner", world.run(b, alloc.finish, obj), L.NOT_OWNER)
    S.must(world.run(a, online.begin, 1, L.MASK_16))
    expect("owner", world.run(b, online.begin, 1, L.MASK_16), L.ONLINE_BUSY)
    expect("owner", world.run(b, online.finish, L.MASK_16), L.NOT_OWNER)
    expect("owner", world.run(b, online.abort), L.NOT_OWNER)
    world.check()


def reserved(core: Core) -> None:
    """Small allocations leave a large one its promised frames; its death gives them back."""
    world = new_world(core, members=2)
    a, b = world.members
    S.reserve(world, a, TINY.frames)
    expect("reserved", world.run(b, core.alloc.small, 0, 1, L.BY_HAND), L.NO_FRAMES)
    expect("reserved", world.run(b, core.alloc.reserve, 0, 1, L.BY_HAND), L.NO_FRAMES)
    a.alive = False
    world.reap(b)
    world.check(world.dead())
    S.must(world.run(b, core.alloc.small, 0, 8, L.BY_HAND))


def offline(core: Core) -> None:
    """A section with used or promised frames does not go offline; a trim does not take them."""
    world = new_world(core, members=2)
    a, b = world.members
    obj = S.small(world, a)
    expect("offline", world.run(b, core.offline.begin, 0, 1), L.IN_USE)
    expect("offline", world.run(b, core.offline.begin, 1, 0), L.WRONG_STATE)
    S.reserve(world, a, TINY.frames - 1)
    expect("offline", world.run(b, core.offline.begin, 1, 1), L.IN_USE)
    expect("offline: trim", world.run(b, core.trim.begin, 1, 2), L.NOT_FOUND)
    world.check()
    S.let_go(world, a, obj)
    world.check()


def expire_all(world: World) -> None:
    member = world.members[0]
    record = world.core.lend.oldest(world.arena, member.mine)
    while record:
        record = S.must(world.run(member, world.core.lend.expire, record, S.LOANS_KEPT_S))


def living(world: World) -> int:
    return len(walk.objects_in(world.arena, world.members[0].mine, walk.LIVING))


def loans_age(core: Core) -> None:
    """A loan's time begins when its lender lets go, not when it was lent."""
    world = new_world(core)
    a = world.members[0]
    obj = S.small(world, a)
    S.lend(world, a, obj)
    core.words.clock[0] += 10 * S.LOANS_KEPT_S * L.NS_PER_S
    S.let_go(world, a, obj)
    expire_all(world)
    expect("loan's age, just let go: objects", living(world), 1)
    core.words.clock[0] += (S.LOANS_KEPT_S + 1) * L.NS_PER_S
    expire_all(world)
    expect("loan's age, a minute later: objects", living(world), 0)
    world.check()


def loans_grace(core: Core) -> None:
    """A loan in transit has its whole grace, at whatever fraction of a second it began."""
    world = new_world(core)
    a = world.members[0]
    core.words.clock[0] += 9 * L.NS_PER_S // 10
    obj = S.small(world, a)
    S.lend(world, a, obj)
    S.let_go(world, a, obj)
    core.words.clock[0] += S.LOANS_KEPT_S * L.NS_PER_S - L.NS_PER_S // 2
    expire_all(world)
    expect("loan's grace: objects", living(world), 1)


def reclaimed_early(core: Core) -> None:
    """No loan is reclaimed before its grace is over: from lending, and again from letting go."""
    world = new_world(core, members=3)
    a, b, c = world.members[:3]
    obj = S.small(world, a)
    S.hold(world, b, obj)
    S.lend(world, a, obj)
    core.words.clock[0] += S.LOANS_KEPT_S * L.NS_PER_S - 1
    expect("reclaimed early: of what is held", reclaim_all(world, c), 0)
    core.words.clock[0] += S.LOANS_KEPT_S * L.NS_PER_S
    record = world.alone(a, core.hold.subtract, obj, L.BY_HAND)
    expect("reclaimed early: about to turn over", reclaim_all(world, c), 0)
    S.must(world.run(a, core.hold.put_holder, record), L.OK)
    core.words.clock[0] += S.LOANS_KEPT_S * L.NS_PER_S - 1
    expect("reclaimed early: just let go", reclaim_all(world, c), 0)
    core.words.clock[0] += 2 * L.NS_PER_S
    expect("reclaimed at last", reclaim_all(world, c), 1)
    world.check()


def oldest_loan(core: Core) -> None:
    """After each turn through the table, it is known when the oldest loan was lent."""
    world = new_world(core)
    a, b = world.members[:2]
    obj = S.small(world, a)
    lent_ns = core.words.clock[0]
    S.lend(world, a, obj)
    core.words.clock[0] += L.NS_PER_S
    S.lend(world, a, obj)
    reclaim_all(world, b)
    core.words.clock[0] += L.NS_PER_S
    S.lend(world, a, obj)
    reclaim_all(world, b)
    expect("oldest loan: was lent", b.mine[L.MINE_LOANS_OLDEST], lent_ns)
    core.words.clock[0] += S.LOANS_KEPT_S * L.NS_PER_S - L.NS_PER_S
    expect("oldest loan: reclaimed", reclaim_all(world, b), 2)
    expect("oldest loan: the last was lent", b.mine[L.MINE_LOANS_OLDEST], lent_ns + 2 * L.NS_PER_S)


def loans_of_several(core: Core) -> None:
    """Loans of two lenders that let go do not keep each other alive for ever."""
    world = new_world(core)
    a, b = world.members
    obj = S.small(world, a)
    S.hold(world, b, obj)
    for member in (a, b):
        S.lend(world, member, obj)
        S.let_go(world, member, obj)
    world.check()
    core.words.clock[0] += 2 * S.LOANS_KEPT_S * L.NS_PER_S
    expire_all(world)
    expect("loans of two: objects", living(world), 0)
    world.check()


def loans_of_what_is_held(core: Core) -> None:
    """A loan does not end while another member holds the object."""
    world = new_world(core)
    a, b = world.members
    obj = S.small(world, a)
    S.hold(world, b, obj)
    loan = S.lend(world, a, obj)
    S.let_go(world, a, obj)
    core.words.clock[0] += 2 * S.LOANS_KEPT_S * L.NS_PER_S
    expire_all(world)
    expect("loan of what is held", world.run(b, core.lend.cancel, *loan), L.OK)


def old_loans(core: Core) -> None:
    """Old bytes do not take a newer loan: its id differs, although its record is the same."""
    world = new_world(core)
    a, b = world.members
    obj = S.small(world, a)
    old = S.lend(world, a, obj)
    S.load(world, b, obj, old)
    new = S.lend(world, a, obj)
    expect("loan's record is used again", new[0], old[0])
    S.load(world, b, obj, old)
    expect("old loan", world.run(a, core.lend.cancel, *new), L.OK)
    world.check()


def many_in_transit(core: Core) -> None:
    """A member's record is found, however many records in transit were made after it."""
    world = new_world(core)
    a, b = world.members
    obj = S.small(world, a)
    record = walk.low(world.arena[walk.place(a.mine, L.TABLE_OBJECTS, obj) + L.OBJECT_HOLDERS])
    world.arena.raw(L.LOANS_LIMIT, 100)
    for _ in range(TINY.slots_max + 1):
        S.hold(world, b, obj)
        S.lend(world, b, obj)
        S.let_go(world, b, obj)
    expect("own record", core.holders.find(world.arena, a.mine, obj, a.slot), record)


def stale(core: Core) -> None:
    """An object that is gone cannot be held, published or loaded by its old name."""
    world = new_world(core)
    a, b = world.members
    obj = S.small(world, a)
    S.let_go(world, a, obj)
    S.name(b, 1)
    expect("stale", world.run(b, core.hold.first, obj, 0, L.BY_HAND), L.STALE)
    expect("stale", world.run(b, core.publish.publish, obj, 0, 0), L.STALE)
    expect("stale", world.run(b, core.lend.load, obj, 0, 1, 1, L.BY_HAND), L.STALE)
    expect("stale: the record is used again", S.small(world, b), obj)
    expect("stale", world.run(a, core.hold.first, obj, 0, L.BY_HAND), L.STALE)
    world.check()


def leaving(core: Core) -> None:
    """A member leaves if it holds nothing, and never with anything on its slot."""
    world = new_world(core, members=2, sections=1)
    a, b = world.members
    leave = core.leave.leave
    obj = S.small(world, a)
    expect("leaving", world.run(a, leave), L.IN_USE)
    world.enter(b)
    S.defer(world, a, obj)
    expect("leaving, with drops", leave(world.arena, a.mine), L.IN_USE)
    world.leave(b)
    S.must(world.run(a, core.online.begin, 1, L.MASK_16))
    expect("leaving, with a section", world.run(a, leave), L.IN_USE)
    S.must(world.run(a, core.online.finish, L.MASK_16), L.OK)
    expect("leaving, with nothing", world.run(a, leave), L.OK)
    expect("leaving, gone", world.run(a, leave), L.IN_USE)
    world.check()


ELSEWHERE = 999  # beyond every table and every level of these arenas
DAMAGES = (  # damaged words, and the part of the core that finds them
    (L.TABLES + L.TABLE_WORDS * L.TABLE_RUNS, "alloc"),
    (L.TABLES + L.TABLE_WORDS * L.TABLE_OBJECTS + L.TABLE_NEXT, "alloc anew"),
    (L.ZONES + L.ZONE_ROOT_LEVEL, "alloc"),
    (L.ZONES + L.ZONE_RESERVED, "alloc"),
    (L.DYING_HEAD, "free"),
)


def damaged(core: Core) -> None:
    """Words that lead nowhere: nothing is changed, and the arena reports it at once."""
    for place, met_by in DAMAGES:
        damaged_at(core, place, met_by)


def damaged_at(core: Core, place: int, met_by: str) -> None:
    world = new_world(core)
    a = world.members[0]
    obj = S.small(world, a)
    if met_by != "alloc anew":  # it takes records that nobody had
        S.let_go(world, a, obj)
    world.arena.raw(place, ELSEWHERE)
    before = world.arena.logged_digest
    world.enter(a)
    try:
        if met_by == "free":
            result = core.free.free_some(world.arena, a.mine)
        else:
            result = core.alloc.small(world.arena, a.mine, 0, 1, L.BY_HAND)
    except (IndexError, ValueError) as error:  # what C would read or shift by silently
        raise Violation(f"damage: word {place} led outside: {error}") from error
    expect(f"damage: word {place}", result, L.DAMAGED)
    expect("damage: words changed", int(world.arena.logged_digest != before), 0)
    expect("damage: remembered", world.arena[L.JOURNAL_DAMAGED], 1)
    core.lock.unlock(world.arena)
    expect("damage", core.lock.try_lock(world.arena, a.slot), L.DAMAGED)


def tainted(world: World, obj: int) -> int:
    at = walk.place(world.members[0].mine, L.TABLE_OBJECTS, obj)
    return int(bool(world.arena[at + L.OBJECT_STATE] & L.OBJECT_TAINTED))


def taint_stays(core: Core) -> None:
    """A dead member's I/O marks an object until it is cleaned, even if others unpin it."""
    world = new_world(core, members=3)
    a, b, c = world.members
    obj = S.small(world, a, 2)
    S.hold(world, c, obj, L.BY_IO)
    c.alive = False
    world.reap(a)
    expect("taint", tainted(world, obj), 1)
    S.hold(world, b, obj, L.BY_IO)
    S.let_go(world, b, obj, L.BY_IO)
    expect("taint, after another's I/O", tainted(world, obj), 1)
    world.check()
    record = world.alone(a, core.hold.subtract, obj, L.BY_HAND)
    S.must(world.run(a, core.hold.put_holder, record), L.OK)
    expect("taint: to be cleaned", world.run(a, core.clean.begin), obj)


def cleaning_has_an_owner(core: Core) -> None:
    """No member continues what another living member is cleaning; it is cleaned once."""
    world = new_world(core, members=3)
    a, b, c = world.members
    obj = S.small(world, a, 2)
    S.hold(world, c, obj, L.BY_IO)
    c.alive = False
    world.reap(b)
    record = world.alone(a, core.hold.subtract, obj, L.BY_HAND)
    S.must(world.run(a, core.hold.put_holder, record), L.OK)
    clean = core.clean
    expect("cleaning", world.run(a, clean.begin), obj)
    expect("cleaning: another begins", world.run(b, clean.begin), L.BUSY)
    expect("cleaning: another describes", world.alone(b, clean.undescribe, obj), L.NOT_OWNER)
    expect("cleaning: another finishes", world.run(b, clean.finish), L.NOT_OWNER)
    expect("cleaning: another gives up", world.run(b, clean.abort), L.NOT_OWNER)
    expect("cleaning, begun again", world.run(a, clean.begin), obj)
    S.must(world.alone(a, clean.undescribe, obj), L.OK)
    S.must(world.run(a, clean.finish), L.OK)
    expect("cleaning: done", world.run(a, clean.begin), L.DONE)
    world.check()


def cut_alone(core: Core) -> None:
    """Frames leave an object only if nobody else holds it and nobody looks at it."""
    world = new_world(core, members=2)
    a, b = world.members
    obj, tail = S.small(world, a, 3), S.reserve(world, a, 0)
    at = walk.place(a.mine, L.TABLE_OBJECTS, obj)
    run = walk.low(world.arena[at + L.OBJECT_RUNS])
    seen = walk.high(world.arena[at + L.OBJECT_STATE])
    cut = core.move.cut
    for member, by in ((b, L.BY_HAND), (a, L.BY_MAPPING), (a, L.BY_PIN), (a, L.BY_IO)):
        S.hold(world, member, obj, by)
        expect("cut", world.run(a, cut, obj, tail, run, 1, 1, seen), L.NOT_ALONE)
        S.let_go(world, member, obj, by)
    loan = S.lend(world, a, obj)
    expect("cut what is lent", world.run(a, cut, obj, tail, run, 1, 1, seen), L.NOT_ALONE)
    S.must(world.run(a, core.lend.cancel, *loan), L.OK)
    expect("cut what changed", world.run(a, cut, obj, tail, run, 1, 1, seen + 1), L.AGAIN)
    expect("cut", world.run(a, cut, obj, tail, run, 1, 1, seen), L.OK)
    world.check()


def moved_alone(core: Core) -> None:
    """A moved object is held once, by the member that moves it; nobody looks at a marked object."""
    world = new_world(core, members=2)
    a, b = world.members
    obj = S.small(world, a, 2)
    begin, mark = core.move.begin, core.move.mark
    for member, by in ((b, L.BY_HAND), (a, L.BY_HAND), (a, L.BY_MAPPING), (a, L.BY_IO)):
        S.hold(world, member, obj, by)
        expect("move", world.run(a, begin, obj, S.generation(world, obj)), L.NOT_ALONE)
        if (member, by) != (a, L.BY_HAND):
            expect("mark", world.run(a, mark, obj, S.generation(world, obj)), L.NOT_ALONE)
        S.let_go(world, member, obj, by)
    expect("move", world.run(a, begin, obj, S.generation(world, obj)), L.OK)
    expect("move another's", world.run(b, begin, obj, S.generation(world, obj)), L.STALE)
    target = S.small(world, b)
    expect("graft another's", world.run(b, core.move.graft, obj, target, 0), L.NOT_OWNER)
    world.check()


def taint_goes_with_frames(core: Core) -> None:
    """A frame that I/O may reach stays in a tainted object: after splice, cut and exchange."""
    world = new_world(core, members=3)
    a, b, d = world.members
    obj, copy = S.small(world, a), S.small(world, a)
    S.hold(world, d, copy, L.BY_IO)
    d.alive = False
    world.reap(b)
    S.must(world.run(a, core.move.begin, copy, S.generation(world, copy)), L.OK)
    S.must(world.run(a, core.move.mark, obj, S.generation(world, obj)), L.OK)
    S.must(world.alone(a, core.move.describe, copy, obj), L.OK)
    S.must(world.run(a, core.move.exchange, obj, copy), L.OK)
    expect("taint, of an exchanged copy's frames", tainted(world, obj), 1)
    S.let_go(world, a, copy)
    more = S.small(world, a, 3)
    source, other = obj, S.reserve(world, a, 0)
    S.must(world.run(a, core.move.begin, source, S.generation(world, source)), L.OK)
    S.must(world.alone(a, core.move.describe, source, more), L.OK)
    S.must(world.run(a, core.move.graft, source, more, 3), L.OK)
    expect("taint, of what was spliced", tainted(world, more), 1)
    at = walk.place(a.mine, L.TABLE_OBJECTS, more)
    run = walk.low(world.arena[at + L.OBJECT_RUNS])
    seen = walk.high(world.arena[at + L.OBJECT_STATE])
    S.must(world.run(a, core.move.cut, more, other, run, 1, 1, seen), L.OK)
    expect("taint, of what was cut off", tainted(world, other), 1)
    expect("taint, of what was left", tainted(world, more), 1)
    world.check()


def isolation(core: Core) -> None:
    """A member that empties a section takes its free and unpromised frames, only for itself."""
    world = new_world(core, members=2)
    a, b = world.members
    take, plug = core.isolate.take, S.reserve(world, a, 0)
    promised = S.reserve(world, b, TINY.frames - TINY.section_frames + 1)
    expect("isolate what is promised", world.run(a, take, plug, 0), L.IN_USE)
    expect("isolate: another's object", world.run(b, take, plug, 0), L.NOT_OWNER)
    S.let_go(world, b, promised)
    expect("isolate", world.run(a, take, plug, 0), L.MORE)
    expect("isolate: no more", world.run(a, take, plug, 0), L.DONE)
    expect("isolated frames", world.run(b, core.alloc.small, 0, 5, L.BY_HAND), L.NO_RUN)
    S.must(world.run(b, core.offline.begin, 1, 1))
    expect("isolate of what goes offline", world.run(a, take, plug, 1), L.WRONG_STATE)
    expect("isolate of no section", world.run(a, take, plug, 2), L.WRONG_STATE)
    world.check()
    S.let_go(world, a, plug)
    world.check()


def moved_again(core: Core) -> None:
    """An object whose move has begun, and that was mapped since, is not moved under the view."""
    world = new_world(core, members=2)
    a = world.members[0]
    obj, target = S.small(world, a), S.small(world, a)
    begin = core.move.begin
    expect("move", world.run(a, begin, obj, S.generation(world, obj)), L.OK)
    expect("move, begun again", world.run(a, begin, obj, S.generation(world, obj)), L.OK)
    S.must(world.alone(a, core.hold.add, obj, L.BY_MAPPING), L.OK)
    expect("move, mapped since", world.run(a, begin, obj, S.generation(world, obj)), L.NOT_ALONE)
    S.let_go(world, a, obj, L.BY_MAPPING)
    expect("move, unmapped", world.run(a, begin, obj, S.generation(world, obj)), L.OK)
    S.must(world.alone(a, core.move.describe, obj, target), L.OK)
    S.must(world.run(a, core.move.graft, obj, target, 1), L.OK)
    world.check()


def migrated_as_it_is(core: Core) -> None:
    """An object is not exchanged if another thread has cut or extended it since it was marked."""
    world = new_world(core, members=2)
    a = world.members[0]
    obj, more, tail = S.small(world, a, 2), S.small(world, a), S.reserve(world, a, 0)
    at = walk.place(a.mine, L.TABLE_OBJECTS, obj)
    run = walk.low(world.arena[at + L.OBJECT_RUNS])
    for frames in (2, 1):
        copy = S.small(world, a, frames)
        S.must(world.run(a, core.move.begin, copy, S.generation(world, copy)), L.OK)
        S.must(world.run(a, core.move.mark, obj, S.generation(world, obj)), L.OK)
        S.must(world.alone(a, core.move.describe, copy, obj), L.OK)
        if frames == 2:
            seen = walk.high(world.arena[at + L.OBJECT_STATE])
            S.must(world.run(a, core.move.cut, obj, tail, run, 1, 1, seen), L.OK)
        else:
            S.must(world.run(a, core.move.begin, more, S.generation(world, more)), L.OK)
            S.must(world.alone(a, core.move.describe, more, obj), L.OK)
            S.must(world.run(a, core.move.graft, more, obj, 1), L.OK)
        expect("exchange", world.run(a, core.move.exchange, obj, copy), L.NOT_ALONE)
        S.let_go(world, a, copy)
    world.check()


REFUSALS = (
    owner, reserved, offline, loans_age, loans_grace, loans_of_several, loans_of_what_is_held,
    reclaimed_early, oldest_loan, old_loans,
    many_in_transit, stale, leaving, damaged, taint_stays, cleaning_has_an_owner, cut_alone,
    moved_alone, taint_goes_with_frames, isolation, moved_again, migrated_as_it_is,
)  # fmt: skip
