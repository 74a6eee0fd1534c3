"""Faults of weak names, as in faults.py: what such a name keeps, and when it goes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tests.explore import families
from tests.explore import weak_scenarios as W
from tests.explore.faults import Fault, crash
from tests.explore.interleave import Exploration
from tests.explore.interpreted import Core
from tests.explore.operations import Move, Pair
from tests.explore.world import Member


def moves(pair: Pair, member: Member) -> Iterator[tuple[str, Move]]:
    """One object; lend, load, expire, publish, get and let go of it."""
    first = () if pair.model.objects else families.objects(pair, member)
    return chain(
        first, *(one(pair, member) for one in (families.drops, families.lending, families.naming))
    )


def weak_model(core: Core) -> object:
    """Compare with the reference model, in every order of these moves."""
    return Exploration(core, deaths=0, moves_of=moves).explore(5, 100_000)


FAULTS = (
    Fault(
        "a weak name keeps its object",
        "transactions/free",
        "            end_weak_name(arena, mine, obj)\n",
        "            pass\n",
        crash("hold.put_holder last, with a weak name"),
        "I3 .* kept by its weak name alone|weak name: ",
    ),
    Fault(
        "a weak name goes while somebody has its object open",
        "transactions/free",
        "    if objects.count(arena, mine, obj) == 1:\n",
        "    if objects.count(arena, mine, obj) >= 1:\n",
        weak_model,
        "I[1-7] |model: |damage: ",
    ),
    Fault(
        "a weak name goes, its record stays",
        "transactions/free",
        "    areas.unlink(arena, mine, area)\n    holders.unlink(arena, mine, holder)\n",
        "    areas.unlink(arena, mine, area)\n",
        crash("hold.put_holder last, with a weak name"),
        "I[23] |weak name: ",
    ),
    Fault(
        "a weak name goes in a transaction of its own",
        "transactions/free",
        "            end_weak_name(arena, mine, obj)\n",
        "            journal.commit(arena)\n            end_weak_name(arena, mine, obj)\n",
        crash("hold.put_holder last, with a weak name"),
        "I[1-7] |atomicity: |damage: ",
    ),
    Fault(
        "a weak name removed from the wrong chain",
        "areas",
        "    before: word = mine[L.MINE_HASH_AT] + bucket\n",
        "    before: word = bucket_at(mine)\n",
        crash("reap.step with a weak name"),
        "I2 |damage: |weak name: |wrap: ",
    ),
    Fault(
        "an object stays marked after its weak name",
        "transactions/publish",
        "        objects.clear_flags(arena, mine, holders.object_of(arena, mine, holder), "
        "L.OBJECT_WEAK)\n",
        "        pass\n",
        crash("publish.unpublish weak"),
        "I3 |damage: ",
    ),
    Fault(
        "two weak names keep each other",
        "transactions/publish",
        "            return journal.cancel(arena, L.IN_USE)\n",
        "            pass\n",
        W.second_weak_name,
        "weak name: |I3 ",
    ),
    Fault(
        "a weak name keeps a loan that nobody takes",
        "objects",
        "== in_transit(arena, mine, obj) + weak",
        "== in_transit(arena, mine, obj)",
        weak_model,
        "model: ",
    ),
)
