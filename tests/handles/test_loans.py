"""The five rules of transit, and what is counted, cancelled, capped and given up."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

import scamem
from scamem.memory import room
from tests.backing.children import child, in_child
from tests.handles.workers import answering


def sent(arena: scamem.Arena, number: int = 5, length: int = 1000) -> bytes:
    """The bytes of a handle whose sender holds nothing any more."""
    return bytes(scamem.handle(arena.full(length, number)))


def gone(arena: scamem.Arena) -> None:
    """Give up all that only loans keep."""
    arena.transit_grace_s = 0
    arena.reap(loans=True)
    assert arena.objects() == []


def test_never_loaded(arena: scamem.Arena) -> None:
    data = sent(arena)
    (info,) = arena.objects()
    assert [(h.kind, h.loans) for h in info.holders] == [("transit", 1)]
    assert info.refcount == 1
    assert arena.stats().loans_orphaned == 1
    gone(arena)
    with pytest.raises(scamem.StaleHandleError, match="publish it"):
        scamem.from_handle(data)


def test_once(arena: scamem.Arena) -> None:
    data = sent(arena)
    assert (scamem.from_handle(data) == 5).all()
    assert arena.objects() == []
    with pytest.raises(scamem.StaleHandleError):
        scamem.from_handle(data)


def test_twice_while_somebody_holds(arena: scamem.Arena) -> None:
    data = sent(arena)
    first = scamem.from_handle(data)
    second = scamem.from_handle(data)
    assert np.shares_memory(first, second)
    assert arena.stats().loans == 0
    del first
    third = scamem.from_handle(data)
    del second, third
    with pytest.raises(scamem.StaleHandleError):
        scamem.from_handle(data)


def test_while_the_sender_holds_loans_are_free(arena: scamem.Arena) -> None:
    made = arena.zeros(10)
    before = arena.stats()
    handle = scamem.handle(made)
    many = [bytes(handle) for _ in range(100)]
    (info,) = arena.objects()
    assert (info.holders[0].pins, info.holders[0].hands, info.holders[0].loans) == (1, 1, 100)
    assert arena.stats().loans == 100
    assert arena.stats().frames_free == before.frames_free
    assert arena.reap(loans=True) == 0
    assert arena.stats().loans == 100  # the sender is there, and they are younger than its hold
    del many
    assert handle.cancel() == 100
    assert handle.cancel() == 0


def test_each_pickling_lends_once(arena: scamem.Arena) -> None:
    made = arena.full(10, 4)
    with scamem.by_handle():
        data = [pickle.dumps(made) for _ in range(3)]
    del made
    found = [pickle.loads(each) for each in data]
    assert arena.stats().loans == 0
    assert all((each == 4).all() for each in found)


def test_old_bytes_take_no_newer_loan(arena: scamem.Arena) -> None:
    """Rule 5: neither of the object's next life, nor of its own."""
    made = arena.full(10, 4)
    old = bytes(scamem.handle(made))
    kept = scamem.from_handle(old)
    new = bytes(scamem.handle(made))
    again = scamem.from_handle(old)
    del made, kept, again
    assert arena.stats().loans == 1
    assert (scamem.from_handle(new) == 4).all()
    newer = sent(arena, 6, 10)  # in the same frames, under the same number
    with pytest.raises(scamem.StaleHandleError) as caught:
        scamem.from_handle(old)
    assert "generation" in str(caught.value)
    assert (scamem.from_handle(newer) == 6).all()


def test_cancelled_loans(arena: scamem.Arena) -> None:
    handle = scamem.handle(arena.full(10, 4))
    data = bytes(handle)
    assert handle.cancel() == 1
    handle.close()
    handle.close()
    assert arena.objects() == []
    with pytest.raises(scamem.StaleHandleError):
        scamem.from_handle(data)
    for use in (bytes, pickle.dumps, arena.get, scamem.handle):
        with pytest.raises(scamem.ClosedError):
            use(handle)


def test_a_loaded_loan_cannot_be_cancelled(arena: scamem.Arena) -> None:
    with scamem.handle(arena.full(10, 4)) as handle:
        found = scamem.from_handle(bytes(handle))
        assert handle.cancel() == 0
    assert (found == 4).all()


def test_loans_are_capped(arena: scamem.Arena) -> None:
    arena.loans_limit = 3
    made = arena.zeros(10)
    handle = scamem.handle(made)
    for _ in range(3):
        bytes(handle)
    with pytest.raises(scamem.TooManyLoansError, match="cancel") as caught:
        bytes(handle)
    assert (caught.value.limit, caught.value.loans) == (3, 3)
    with pytest.raises(scamem.TooManyLoansError), scamem.by_handle():
        pickle.dumps(made)
    assert handle.cancel() == 3
    assert handle.cancel() == 0
    bytes(handle)
    arena.loans_limit = 10
    assert arena.loans_limit == 10
    assert handle.cancel() == 1
    for wrong in (0, -1, 1 << 40):
        with pytest.raises(ValueError, match="loans"):
            arena.loans_limit = wrong


def test_the_cap_gives_up_what_is_due(arena: scamem.Arena) -> None:
    arena.loans_limit = 2
    arena.transit_grace_s = 0
    orphans = [sent(arena), sent(arena)]
    assert (scamem.from_handle(sent(arena)) == 5).all()
    for data in orphans:
        with pytest.raises(scamem.StaleHandleError):
            scamem.from_handle(data)


def test_the_cap_takes_back_what_nobody_needs(unread: scamem.Arena) -> None:
    """Loans of what is held go before those that keep an object, and harm nobody."""
    unread.loans_limit = 3
    unread.transit_grace_s = 0
    orphan = sent(unread)
    made = unread.full(10, 4)
    for _ in range(20):
        data = bytes(scamem.handle(made))
        assert unread.stats().loans <= 3
    assert (scamem.from_handle(data) == 4).all()
    assert (scamem.from_handle(orphan) == 5).all()


def test_the_cap_takes_back_no_young_loans(unread: scamem.Arena) -> None:
    unread.loans_limit = 2
    made = unread.full(10, 4)
    data = [bytes(scamem.handle(made)), sent(unread)]
    for _ in range(3):
        with pytest.raises(scamem.TooManyLoansError):
            bytes(scamem.handle(made))
    unread.transit_grace_s = 0  # a shorter grace holds at once, whatever was found before
    bytes(scamem.handle(made))
    del made
    assert (scamem.from_handle(data[1]) == 5).all()


def test_the_cap_takes_back_loans_of_what_others_hold(unread: scamem.Arena) -> None:
    """The sender has let go; a name, or the receiver of another handle, holds the object."""
    unread.loans_limit = 2
    unread.transit_grace_s = 0
    unread.publish("kept", unread.full(10, 6))
    named = bytes(scamem.handle(unread["kept"]))
    other = sent(unread)
    held = scamem.from_handle(other)
    for _ in range(5):
        bytes(scamem.handle(held))
    assert (scamem.from_handle(named) == 6).all()
    del unread["kept"]


def test_whoever_meets_the_cap_reaps(arena: scamem.Arena) -> None:
    """A dead lender's loans are in transit from then on: they go when nothing else is to be had."""
    arena.loans_limit = 2
    arena.transit_grace_s = 0

    def lends() -> int:
        handles = [scamem.handle(arena.full(10, 4)) for _ in range(2)]
        return len([bytes(handle) for handle in handles])

    with child(answering(lends)) as other:
        assert other.hear() == 2
        other.kill()
        assert (scamem.from_handle(sent(arena)) == 5).all()
    assert len(arena.stats().members) == 1


def test_many_at_once(arena: scamem.Arena) -> None:
    """One message of more arrays than 10,000, even in the smallest arena; and again."""
    assert arena.loans_limit >= 1 << 16
    handle = scamem.handle(arena.zeros(10))
    with scamem.by_handle():
        made = arena.zeros(20_000)
        data = pickle.dumps([made[k : k + 1] for k in range(20_000)])
    assert arena.stats().loans == 20_000
    assert len(pickle.loads(data)) == 20_000
    assert arena.stats().loans == 0
    assert len(bytes(handle)) < 300
    handle.cancel()


def test_sent_again_and_again_and_never_read(unread: scamem.Arena) -> None:
    """The table is full of young loans; then their grace is over, and each makes room for one."""
    limit = 3000
    unread.loans_limit = limit
    made = unread.zeros(10)
    with scamem.handle(made) as handle:
        for _ in range(limit):
            bytes(handle)
        with pytest.raises(scamem.TooManyLoansError):
            bytes(handle)
        unread.transit_grace_s = 0
        for _ in range(2 * limit):
            data = bytes(handle)
    assert np.shares_memory(scamem.from_handle(data), made)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, OSError])
def test_a_handle_that_cannot_be_made_lends_nothing(
    arena: scamem.Arena,
    member: int,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    made = arena.zeros(10)
    handle = scamem.handle(made)

    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(type(arena._seat), "address", fails)
    for send in (bytes, pickle.dumps, ForkingPickler.dumps):
        with pytest.raises(error):
            send(handle)
    with pytest.raises(error):
        ForkingPickler.dumps([made])
    assert arena.stats().loans == 0
    assert handle.cancel() == 0


def test_no_memory_for_more_loans(unread: scamem.Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that cannot grow is no end either, where there are loans that nobody needs."""

    def fails(*_: object) -> None:
        raise scamem.OutOfMemoryError("no memory is left")

    handle = scamem.handle(unread.zeros(10))
    bytes(handle)
    monkeypatch.setattr(room, "grow_table", fails)
    with pytest.raises(scamem.OutOfMemoryError):
        for _ in range(unread.loans_limit):
            bytes(handle)
    unread.transit_grace_s = 0
    for _ in range(5000):
        bytes(handle)


def test_memory_is_wanted() -> None:
    """Orphans are given up for memory when their grace is over, not before; never if held."""
    with scamem.Arena.create(capacity=8 << 20) as arena:
        most = arena.stats().capacity_bytes
        data = sent(arena, 5, most // 16)
        with pytest.raises(scamem.OutOfMemoryError, match=r"loans? in transit"):
            arena.alloc(most)
        held = scamem.from_handle(data)
        del held
        data = sent(arena, 5, most // 16)
        arena.transit_grace_s = 0
        with arena.alloc(most) as everything:
            assert everything.nbytes == most
        with pytest.raises(scamem.StaleHandleError):
            scamem.from_handle(data)
        kept = arena.zeros(most // 16)
        also = bytes(scamem.handle(kept))
        with pytest.raises(scamem.OutOfMemoryError):
            arena.alloc(most)
        assert np.shares_memory(scamem.from_handle(also), kept)


def test_grace_is_a_setting(arena: scamem.Arena) -> None:
    assert arena.transit_grace_s >= 60
    for wrong in (-1, 1 << 33):
        with pytest.raises(ValueError, match="grace"):
            arena.transit_grace_s = wrong


def test_a_forked_child_may_take_the_loan(arena: scamem.Arena) -> None:
    data = sent(arena)
    assert in_child(lambda: float(scamem.from_handle(data).sum())) == 5000
    assert arena.objects() == []
    with pytest.raises(scamem.StaleHandleError):
        scamem.from_handle(data)


def test_a_fork_copies_no_loans(arena: scamem.Arena) -> None:
    handle = scamem.handle(arena.full(1000, 5))
    data = bytes(handle)
    with child(answering(lambda: None)) as other:
        other.hear()
        assert sum(h.loans for h in arena.objects()[0].holders) == 1
        handle.close()
        found = scamem.from_handle(data)
        other.say()
        other.wait()
        assert arena.stats().loans == 0
        assert (found == 5).all()


def test_loans_of_the_dead(arena: scamem.Arena) -> None:
    """A child that sends and is killed: what it sent is there, once."""
    with child(answering(lambda: sent(arena, 9))) as other:
        data = other.hear()
        other.kill()
        assert arena.reap() == 1
        (info,) = arena.objects()
        assert [(h.kind, h.loans) for h in info.holders] == [("transit", 1)]
        assert (scamem.from_handle(data) == 9).all()
        assert arena.objects() == []
