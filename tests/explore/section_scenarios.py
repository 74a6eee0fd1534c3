"""Scenarios of sections that go offline, are trimmed, and get their memory back."""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from tests.explore.crash import Scenario
from tests.explore.scenarios import (
    act,
    free_all,
    let_go,
    must,
    onlining,
    reserve,
    scatter,
    small,
)
from tests.explore.world import Member, World

ALL = 1 << 8  # more blocks than a section has


def trim(world: World, member: Member, section: int, most: int = ALL) -> None:
    must(world.run(member, world.core.trim.begin, section, most))
    must(world.run(member, world.core.trim.finish), L.OK)


def half_used(world: World) -> Any:
    """Another member has the first block of section 0; the rest of the arena is free."""
    return small(world, world.members[1], 1)


def trimming(world: World) -> Any:
    half_used(world)
    must(world.run(world.members[0], world.core.trim.begin, 0, ALL))
    return None


def trimmed(world: World) -> Any:
    obj = half_used(world)
    trim(world, world.members[0], 0)
    trim(world, world.members[0], 1)
    return obj


def left_unpunched(world: World) -> Any:
    """Member 3 died before it punched the blocks that it had taken."""
    half_used(world)
    d = world.members[3]
    must(world.run(d, world.core.trim.begin, 0, ALL))
    d.alive = False
    world.reap(world.members[0])
    return None


def populating(world: World) -> Any:
    trimmed(world)
    must(world.run(world.members[0], world.core.populate.begin, 1, ALL))
    return None


def free_beside_absent(world: World) -> Any:
    """Section 0 has one absent block; its other block is free."""
    obj = half_used(world)
    trim(world, world.members[0], 0)
    let_go(world, world.members[1], obj)
    return None


def offlining(world: World) -> Any:
    half_used(world)
    must(world.run(world.members[0], world.core.offline.begin, 1, 1))
    return None


def taken_offline(world: World) -> Any:
    offlining(world)
    must(world.run(world.members[0], world.core.offline.finish), L.OK)
    return None


def isolate_all(world: World, given: Any) -> None:
    """Take all free frames of a section into an object without frames, and let go of it."""
    member = world.members[0]
    plug = reserve(world, member, 0)
    take = world.core.isolate.take
    while must(world.run(member, take, plug, given), L.MORE, L.DONE) == L.MORE:
        pass
    let_go(world, member, plug)


def holes(world: World) -> int:
    """Section 0 has two separate free frames; section 1 is free."""
    scatter(world, world.members[1], (1, 3, 4, 5, 6, 7))
    return 0


def one_block_used(world: World) -> int:
    half_used(world)
    return 0


def second_section(world: World) -> int:
    half_used(world)
    return 1


def isolated(world: World) -> Any:
    """Member 3 died with the free frames of section 0, while it emptied the section."""
    d = world.members[3]
    holes(world)
    plug = reserve(world, d, 0)
    must(world.run(d, world.core.isolate.take, plug, 0), L.MORE)
    must(world.run(d, world.core.isolate.take, plug, 0), L.MORE)
    d.alive = False
    must(world.run(world.members[0], world.core.reap.begin, d.slot), L.OK)
    return d.slot


def reap_all_of_it(world: World, slot: int) -> None:
    while must(world.run(world.members[0], world.core.reap.step, slot), L.MORE, L.DONE) == L.MORE:
        pass
    free_all(world, world.members[0])


def trim_both(world: World, _: Any) -> None:
    trim(world, world.members[0], 0)
    trim(world, world.members[0], 1)


def online_again(world: World, _: Any) -> None:
    must(world.run(world.members[0], world.core.online.begin, 1, L.MASK_16))
    must(world.run(world.members[0], world.core.online.finish, L.MASK_16), L.OK)


def dead_changing(step: str, *args: int) -> Any:
    """Return a preparation: a member died while it changed a section, and is being reaped."""
    module, function = step.split(".")

    def prepare(world: World) -> Any:
        trimmed(world) if module == "populate" else half_used(world)
        d = world.members[3]
        must(world.run(d, getattr(getattr(world.core, module), function), *args))
        d.alive = False
        must(world.run(world.members[0], world.core.reap.begin, d.slot), L.OK)
        return d.slot

    return prepare


def reap_it(world: World, slot: int) -> None:
    must(world.run(world.members[0], world.core.reap.step, slot), L.DONE)


SCENARIOS = (
    Scenario("trim.begin", half_used, act("trim.begin", 0, ALL, expect=())),
    Scenario("trim.begin whole", half_used, act("trim.begin", 1, 1, expect=())),
    Scenario("trim.begin again", left_unpunched, act("trim.begin", 0, 0, expect=())),
    Scenario("trim.finish", trimming, act("trim.finish")),
    Scenario("trim.trim both", half_used, trim_both),
    Scenario("populate.begin", trimmed, act("populate.begin", 1, ALL, expect=())),
    Scenario("populate.finish", populating, act("populate.finish", L.MASK_16)),
    Scenario("populate.finish part", populating, act("populate.finish", 1)),
    Scenario("online.finish part", onlining, act("online.finish", 1), sections=1),
    Scenario("populate.abort", populating, act("online.abort")),
    Scenario("offline.begin", half_used, act("offline.begin", 1, 1, expect=())),
    Scenario("offline.begin beside absent", free_beside_absent,
             act("offline.begin", 0, 1, expect=())),
    Scenario("offline.begin offline", half_used, act("offline.begin", 1, 1, expect=()), sections=1),
    Scenario("offline.finish", offlining, act("offline.finish")),
    Scenario("offline.online again", taken_offline, online_again),
    Scenario("isolate.take", holes, isolate_all),
    Scenario("isolate.take beside a block", one_block_used, isolate_all),
    Scenario("isolate.take a whole section", second_section, isolate_all),
    Scenario("reap.step isolated", isolated, reap_all_of_it),
    Scenario("reap.step trimming", dead_changing("trim.begin", 0, ALL), reap_it),
    Scenario("reap.step offlining", dead_changing("offline.begin", 1, 1), reap_it),
    Scenario("reap.step populating", dead_changing("populate.begin", 1, ALL), reap_it),
)  # fmt: skip
