"""The search runs every order, and prints the shortest that fails."""

from math import comb

import pytest

from scamem.designs import RACES, Race, design, designs, search
from scamem.designs.races import Found
from scamem.designs.steps import all_free
from scamem.designs.verdicts import BrokenError


def race(name):
    return next(item for item in RACES if item.name == name)


def steps(*names):
    def path(kernel):
        for name in names:
            kernel.say(name)
            yield name

    return path


def counting(first, second, check=lambda kernel: None):
    return Race("r", "P1", "", lambda kernel: None, (steps(*first), steps(*second)), check)


@pytest.mark.parametrize(("left", "right"), [(1, 1), (2, 3), (4, 2)])
def test_every_order_is_run(left, right):
    """A path of n yields has n + 1 steps: the last is its end."""
    found = search(counting("a" * left, "b" * right), design("today"))
    assert isinstance(found, Found)
    assert found.orders == comb(left + right + 2, left + 1)
    assert found.failing == 0


def test_the_shortest_failing_order_has_fewest_steps_then_fewest_switches():
    def breaking(kernel):
        yield "waits"
        if kernel.areas:
            raise BrokenError("leak", "b came first")
        yield "ends"

    def disturbing(kernel):
        kernel.vmalloc("A", 1)
        yield "allocates"

    made = Race("r", "P1", "", lambda kernel: None, (breaking, disturbing), lambda kernel: None)
    found = search(made, design("today"))
    assert found.failure.order in ((0, 1, 0), (1, 0, 0))
    assert found.failure.length == (3, 1)
    assert found.failure.order == (1, 0, 0)


def test_what_must_hold_afterwards_is_checked_in_every_order():
    def leaking(kernel):
        kernel.vmalloc("A", 1)
        yield "allocates"

    made = Race("r", "P1", "", lambda kernel: None, (leaking,), all_free().act)
    found = search(made, design("today"))
    assert found.failing == found.orders == 1
    assert found.failure.last == "afterwards"


def test_gup_fast_against_the_final_put_in_a_kfreed_object():
    found = search(race("gup-fast-against-final-put"), design("choir"))
    assert 0 < found.failing < found.orders
    assert found.failure.kind == "use after free"
    assert "kfree'd" in found.failure.text
    # GUP-fast has read PTE and memdesc; the unmapping CPU then goes all the way to the free
    first, *rest = found.failure.order
    assert first == 0 and rest.count(1) >= 2 and found.failure.order[-1] == 0


def test_the_recheck_is_what_saves_a_typesafe_object():
    plain = design("4c")
    assert search(race("gup-fast-against-final-put"), plain).failing == 0
    found = search(race("gup-fast-against-final-put"), plain.with_rules(recheck=False))
    assert found.failing > 0
    assert "free" in found.failure.text


def test_perf_aux_needs_no_more_than_a_free_between_look_and_insert():
    found = search(race("perf-aux"), design("2"))
    assert found.failure.kind == "use after free"
    assert len(found.failure.order) <= 4


def test_replays_of_an_order_are_the_same():
    for kind in designs():
        first = race("two-mappings-and-an-unpin").play(kind)
        assert first == race("two-mappings-and-an-unpin").play(kind)
