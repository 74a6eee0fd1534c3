"""Waiting in slices: one deadline, a look before each nap, and no wait that cannot end.

    deadline = Deadline(timeout)
    for nap_s in deadline.slices(tend=reap):
        seen = event.load()
        if is_there():
            return
        event.wait(seen, nap_s)  # returns when the event changes, or after nap_s seconds
    raise deadline.error("a name", "no object is named 'x'", "Publish it first")

A wake-up can fail to come: the process that should send it may be dead. So no nap is longer than
`LOOK_AGAIN_S`, and between two naps `tend` takes care of the processes that are waited for. A nap
returns to Python, where signal handlers run and may raise: KeyboardInterrupt ends a wait after one
slice at most. The last slice is 0 s long, so that the last look comes after the last nap.
"""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable, Iterator
from typing import Final

from scamem.errors import WaitTimeoutError

LOOK_AGAIN_S: Final = 1.0


class Deadline:
    """The moment at which a wait ends; the time starts when the object is created.

    Parameters
    ----------
    timeout : seconds, 0 for one look without a nap; None or infinity for no end.

    Attributes
    ----------
    timeout : seconds; None if there is no end.

    Raises
    ------
    TypeError : the timeout is not a number.
    ValueError : it is negative or NaN.

    Threads: any; nothing in it changes. fork: the child has the same deadline.
    """

    __slots__ = ("end_s", "timeout")

    def __init__(self, timeout: float | None) -> None:
        given: object = timeout
        if given is not None and not isinstance(given, numbers.Real):
            raise TypeError(
                f"asked to wait for {given!r}; a timeout is a number of seconds, or None"
            )
        seconds = math.inf if timeout is None else float(timeout)
        if not seconds >= 0:  # nor is NaN
            raise ValueError(
                f"asked to wait for {seconds:g} s; a timeout is 0 or more, or None to wait "
                "without a limit"
            )
        self.timeout = None if seconds == math.inf else seconds
        self.end_s = time.monotonic() + seconds

    def left_s(self) -> float:
        """Return how many seconds are left: infinity if there is no end, 0 if the time is over."""
        return max(0.0, self.end_s - time.monotonic())

    def is_over(self) -> bool:
        """Return whether no time is left."""
        return self.left_s() == 0

    def slices(
        self,
        longest_s: float = LOOK_AGAIN_S,
        *,
        first_s: float | None = None,
        tend: Callable[[], object] | None = None,
    ) -> Iterator[float]:
        """Yield how long to nap, again and again; yield 0 once when the time is over, and end.

        Parameters
        ----------
        longest_s : the longest nap.
        first_s : the first nap; each is twice as long as the one before. For waits without a
            wake-up. None: each is `longest_s`.
        tend : called after each nap, for example to reap dead members. It may raise.
        """
        nap_s = longest_s if first_s is None else first_s
        while left_s := self.left_s():
            yield min(nap_s, left_s)
            if tend is not None:
                tend()
            nap_s = min(2 * nap_s, longest_s)
        yield 0.0

    def error(self, awaited: str, there: str, advice: str) -> WaitTimeoutError:
        """Return the error for a wait that timed out.

        Parameters
        ----------
        awaited : what was waited for: "a name", "room in this ring".
        there : what there was instead, a clause.
        advice : what to do, sentences without the last full stop.
        """
        return WaitTimeoutError(waited(self.timeout, awaited, there, advice))


def waited(timeout: float | None, awaited: str, there: str, advice: str) -> str:
    """Return the message of a wait that timed out, for errors of another class."""
    after = "without a limit" if timeout is None else f"{timeout:g} s"
    return f"waited {after} for {awaited}; {there}. {advice}"
