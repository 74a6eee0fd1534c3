"""The search runs every order, and prints the shortest that fails."""

from collections.abc import Callable
from math import comb

import pytest

from scamem.designs import RACES, Race, design, search
from scamem.designs.paths import Atomic, Kernel
from scamem.designs.races import Failure, Found
from scamem.designs.steps import all_free
from scamem.designs.verdicts import BrokenError


def shortest(found: Found) -> Failure:
    """The failure that there must be."""
    assert found.failure is not None
    return found.failure


def race(name: str) -> Race:
    return next(item for item in RACES if item.name == name)


def steps(*names: str) -> Callable[[Kernel], Atomic[None]]:
    def path(kernel: Kernel) -> Atomic[None]:
        for name in names:
            kernel.say(name)
            yield name

    return path


def _nothing(kernel: Kernel) -> None:
    """No check."""


def counting(first: str, second: str, check: Callable[[Kernel], None] = _nothing) -> Race:
    return Race("r", "P1", "", _nothing, (("a", steps(*first)), ("b", steps(*second))), check)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (2, 3), (4, 2)])
def test_every_order_is_run(left: int, right: int) -> None:
    """A path of n yields has n + 1 steps: the last is its end."""
    found = search(counting("a" * left, "b" * right), design("today"))
    assert found.orders == comb(left + right + 2, left + 1)
    assert found.failing == 0


def test_the_shortest_failing_order_has_fewest_steps_then_fewest_switches() -> None:
    def breaking(kernel: Kernel) -> Atomic[None]:
        yield "waits"
        if kernel.areas:
            raise BrokenError("leak", "b came first")
        yield "ends"

    def disturbing(kernel: Kernel) -> Atomic[None]:
        kernel.vmalloc("A", 1)
        yield "allocates"

    made = Race("r", "P1", "", _nothing, (("a", breaking), ("b", disturbing)), _nothing)
    found = search(made, design("today"))
    assert shortest(found).order in ((0, 1, 0), (1, 0, 0))
    assert shortest(found).length == (3, 1)
    assert shortest(found).order == (1, 0, 0)


def test_what_must_hold_afterwards_is_checked_in_every_order() -> None:
    def leaking(kernel: Kernel) -> Atomic[None]:
        kernel.vmalloc("A", 1)
        yield "allocates"

    made = Race("r", "P1", "", _nothing, (("a", leaking),), all_free().act)
    found = search(made, design("today"))
    assert found.failing == found.orders == 1
    assert shortest(found).last == "afterwards"


def test_gup_fast_against_the_final_put_in_a_kfreed_object() -> None:
    found = search(race("gup-fast-against-final-put"), design("choir"))
    assert 0 < found.failing < found.orders
    assert shortest(found).kind == "use after free"
    assert "kfree'd" in shortest(found).text
    # GUP-fast has read PTE and memdesc; the unmapping CPU then goes all the way to the free
    first, *rest = shortest(found).order
    assert first == 0
    assert rest.count(1) >= 2
    assert shortest(found).order[-1] == 0


def test_the_recheck_is_what_saves_a_typesafe_object() -> None:
    plain = design("4c")
    assert search(race("gup-fast-against-final-put"), plain).failing == 0
    found = search(race("gup-fast-against-final-put"), plain.with_rules(recheck=False))
    assert found.failing > 0
    assert "free" in shortest(found).text


def test_perf_aux_needs_no_more_than_a_free_between_look_and_insert() -> None:
    found = search(race("perf-aux"), design("2"))
    assert shortest(found).kind == "use after free"
    assert len(shortest(found).order) <= 4
