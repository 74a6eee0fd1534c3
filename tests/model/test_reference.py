"""The model by itself: the rules of the design in a few stories."""

import ast
from pathlib import Path

import pytest

from tests.model import reference
from tests.model.reference import HAND, MAPPING, Disagreement, Reference

X = (1, 0)


@pytest.fixture
def arena() -> Reference:
    arena = Reference.begin(range(8), {3, 4})
    arena.allocate(3, X, (0, 1))
    return arena


def test_it_knows_nothing_of_the_library() -> None:
    tree = ast.parse(Path(reference.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
             for alias in node.names}  # fmt: skip
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == {"__future__", "collections.abc", "dataclasses"}


def test_the_last_to_let_go_frees(arena: Reference) -> None:
    arena.hold(4, X, MAPPING)
    arena.let_go(3, X, HAND, 0)
    assert arena.free() == set(range(2, 8))
    arena.let_go(4, X, MAPPING, 0)
    assert arena.free() == set(range(8))


def test_a_name_holds(arena: Reference) -> None:
    arena.publish(1, X)
    arena.let_go(3, X, HAND, 0)
    assert X in arena.objects
    arena.unpublish(1)
    assert arena.objects == {}


def test_a_loan_outlives_its_lender_for_a_while(arena: Reference) -> None:
    arena.lend(3, X, 7, now_s=1)
    arena.die(3)
    arena.reap(3, now_s=10)
    assert arena.references(X) == 1
    arena.expire(now_s=70)
    assert X in arena.objects
    arena.expire(now_s=71)
    assert X not in arena.objects


def test_a_loan_of_what_is_held_ends_after_a_while(arena: Reference) -> None:
    arena.lend(3, X, 7, now_s=1)
    arena.reclaim(now_s=61)
    assert arena.loans == {7: (X, 3)}
    arena.reclaim(now_s=62)
    assert arena.loans == {}
    assert X in arena.objects


def test_a_loan_that_keeps_its_object_does_not(arena: Reference) -> None:
    arena.lend(3, X, 7, now_s=1)
    arena.let_go(3, X, HAND, now_s=2)
    arena.reclaim(now_s=1000)
    assert arena.in_transit(X) == [7]


def test_the_first_load_takes_the_loan(arena: Reference) -> None:
    arena.lend(3, X, 7, now_s=1)
    assert arena.load(4, X, 7)
    arena.let_go(3, X, HAND, 0)
    assert arena.load(4, X, 7)
    arena.let_go(4, X, HAND, 0)
    arena.let_go(4, X, HAND, 0)
    assert not arena.load(4, X, 7)


def test_frames_are_given_once(arena: Reference) -> None:
    with pytest.raises(Disagreement, match=r"\[1\] were not free"):
        arena.allocate(4, (2, 0), (1, 2))


def test_loans_are_used_once(arena: Reference) -> None:
    arena.lend(3, X, 7, now_s=1)
    with pytest.raises(Disagreement, match="second time"):
        arena.lend(3, X, 7, now_s=1)


def test_memory_is_taken_of_free_blocks_only(arena: Reference) -> None:
    blocks = [frozenset({k, k + 1}) for k in range(0, 8, 2)]
    arena.allocate(3, (2, 0), (4,), live=False, promised=3)
    assert arena.trimmable(blocks, frozenset()) == {2, 3}
    assert arena.trimmable(blocks, frozenset({3})) == frozenset()
    with pytest.raises(Disagreement, match=r"\[1\] were taken"):
        arena.withdraw(frozenset({1, 2}))


def test_memory_is_not_taken_in_use(arena: Reference) -> None:
    arena.begin_change(3)
    with pytest.raises(Disagreement, match="lose their memory in use"):
        arena.begin_punch(frozenset({2, 3}))
    arena.withdraw(frozenset({2, 3}))
    arena.begin_punch(frozenset({2, 3}))
    assert not arena.can_allocate(5)
    with pytest.raises(Disagreement, match="both change"):
        arena.begin_change(4)
    arena.die(3)
    arena.reap(3, now_s=10)
    assert arena.perhaps - arena.memory == {2, 3}
    arena.begin_change(4)
    arena.begin_populate(frozenset({2, 3}))
    arena.end_populate(frozenset({2, 3}))
    arena.end_change(4)
    assert arena.can_allocate(8)


def test_nobody_looks_while_frames_are_exchanged(arena: Reference) -> None:
    arena.allocate(3, (2, 0), (4, 5))
    arena.begin_move(3, (2, 0))
    arena.hold(4, X, MAPPING)
    with pytest.raises(Disagreement, match="might look"):
        arena.exchange(3, X, (2, 0))
    arena.let_go(4, X, MAPPING, 0)
    arena.exchange(3, X, (2, 0))
    assert arena.objects[X].frames == (4, 5)
