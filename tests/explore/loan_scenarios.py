"""Loans that nobody needs are taken back, by a member that does not know their lenders."""

from __future__ import annotations

from typing import Any

from scamem.core.store import layout as L
from tests.explore import scenarios as S
from tests.explore.arena import Violation
from tests.explore.crash import Scenario
from tests.explore.world import Member, World


def many_lent(world: World) -> Any:
    """Loans of objects that their lender holds, that are in transit and held, that nobody holds.

    Only loans of the first two kinds are reclaimed. The loan of `furnish` is of the first kind.
    """
    S.lent(world)
    a, b, c, _ = world.members
    first = S.small(world, b)
    S.hold(world, c, first)
    for obj in (first, S.small(world, b)):
        S.lend(world, b, obj)
        S.let_go(world, b, obj)
    world.core.words.clock[0] += 2 * S.LOANS_KEPT_S * L.NS_PER_S
    S.lend(world, a, S.small(world, a))


def reclaim_all(world: World, member: Member) -> int:
    """Take back unneeded loans, in at least one turn through the table; return how many."""
    ends = taken = 0
    while ends < 2:
        reclaim = world.core.lend.reclaim
        found = S.must(world.run(member, reclaim, S.LOANS_KEPT_S), L.OK, L.MORE, L.DONE)
        ends += found == L.DONE
        taken += found == L.OK
    return taken


def reclaim_them(world: World, _: Any) -> None:
    if reclaim_all(world, world.members[0]) != 3:
        raise Violation("result: other loans were taken back than those that nobody needs")


SCENARIOS = (Scenario("lend.reclaim", many_lent, reclaim_them),)
