"""Take turns at changing sections, and wait for a turn.

Between members, the word CHANGING ensures that one section changes at a time. It names a slot, and
the threads of a process share one. So threads take turns here: a thread has the turn from the begin
of a change to its finish.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from scamem.core.store import layout as L
from scamem.errors import ArenaDamagedError, OutOfMemoryError, ScamemError
from scamem.membership.seat import Seat
from scamem.membership.waiting import Deadline

from . import changes

ONLINE_TIMEOUT_S = 60.0
ONLINE_NAP_S = 0.001


class Patience:
    """Waits for a process that changes a section: reaps it if it died, and never waits for ever.

    Parameters
    ----------
    wanted : what was asked for, as the error message begins.
    """

    def __init__(self, seat: Seat, wanted: str) -> None:
        self.seat = seat
        self.wanted = wanted
        self.deadline = Deadline(ONLINE_TIMEOUT_S)

    def wait(self, *, nap: bool = False) -> None:
        """Reap dead members and nap; with `nap` also if no section is being changed.

        Raises
        ------
        OutOfMemoryError : a living member has been changing sections for too long.
        ArenaDamagedError : the process that is marked as changing one is not a member.
        """
        member = self.seat.member
        member.reap()
        if changes.changed_by_nobody(member):
            raise ArenaDamagedError(
                f"the arena is damaged: {self.wanted}, but a section is marked as changed by a "
                "process that is not a member. Nothing was changed; `scamem check` says more. Make "
                "a new arena"
            )
        owner = member.read_word(L.CHANGING) >> L.SHIFT_32
        if not owner:
            if nap:
                time.sleep(ONLINE_NAP_S)
            return
        if self.deadline.is_over():
            pid = member.read_word(L.SLOTS + L.SLOT_WORDS * owner + L.SLOT_PID)
            raise self.too_long(f"the process {pid}", "a stopped member")
        time.sleep(ONLINE_NAP_S)

    def too_long(self, who: str, limit: str) -> OutOfMemoryError:
        """Return the error for a wait that took too long."""
        return OutOfMemoryError(
            f"{self.wanted}; {who} has been bringing memory online or offline for "
            f"{ONLINE_TIMEOUT_S:g} s and is alive, perhaps stopped. Let it continue, or end it",
            limit=limit,
        )


@contextlib.contextmanager
def in_turn(seat: Seat, waited: Patience | None) -> Iterator[bool]:
    """Have the turn for the body, from the begin of a change to its finish.

    Yields whether this thread has the turn. If the body raises, what it began is given up.

    Parameters
    ----------
    waited : how long to wait for another thread, and what for. None: do not wait; yield False if
        another thread has the turn or this one is in the middle of a change.

    Raises
    ------
    OutOfMemoryError : another thread has had the turn for too long; or this same thread is changing
        a section, so this is a signal handler or finalizer that interrupted it.
    """
    turn = seat.turn
    left_s = 0.0 if waited is None else waited.deadline.left_s()
    if not turn.lock.acquire(blocking=waited is not None, timeout=left_s if waited else -1):
        if waited is not None:
            raise waited.too_long("another thread of this process", "another thread")
        yield False
        return
    turn.depth += 1
    try:
        if turn.depth == 1:
            changes.give_up(seat.member)  # a failed change that could not be given up then
        elif changes.is_changing(seat.member):
            if waited is not None:
                raise OutOfMemoryError(
                    f"{waited.wanted} while the same thread changes a section, from a signal "
                    "handler or finalizer. Allocate outside of these",
                    limit="a change under way",
                )
            yield False
            return
        try:
            yield True
        except BaseException:
            with contextlib.suppress(ScamemError):  # the next turn gives it up
                changes.give_up(seat.member)
            raise
    finally:
        turn.depth -= 1
        turn.lock.release()
