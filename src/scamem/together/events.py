"""Events between processes."""

from __future__ import annotations

from scamem.core.store import layout as L
from scamem.membership.waiting import Deadline
from scamem.objects.scamem import Scamem

from .locks import LONGEST_NAP_S, Synchronizer, kind_word
from .primitives import Primitive, Turns, Watch


class Event(Synchronizer):
    """A flag that threads of any processes wait for, as `threading.Event`.

    >>> arena = scamem.Arena.create(capacity="64M")
    >>> ready = arena.event()
    >>> ready.wait(timeout=0)
    False
    >>> ready.set()
    >>> ready.wait()
    True

    `arena.event(name)` makes one, or opens the one that has this name. It belongs to nobody: what a
    process has set stays set when that process dies. A process that dies while it sets the event
    has set it, or has not.

    Parameters
    ----------
    obj : the Scamem of an event; ScamemError for another object.

    Threads: any. fork: the child shares it.
    """

    magic = kind_word("evnt")
    what = "event"
    article = "an"

    def __init__(self, obj: Scamem) -> None:
        self._flag = Turns()
        super().__init__(obj)

    def _core(self) -> Primitive:
        return self._flag

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self._flag.look_at_flag(Watch()) == L.OK

    def set(self) -> None:
        """Set the event, and wake all that wait for it."""
        self._flag.raise_flag()

    def clear(self) -> None:
        """Clear the event: from now on, `wait` waits."""
        self._flag.lower_flag()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set; return whether it was, within `timeout` seconds.

        An event that is set and cleared again at once lets through all that wait for it.
        """
        watch = Watch()
        status: int = L.BUSY
        for nap_s in Deadline(timeout).slices(LONGEST_NAP_S):
            status = self._flag.look_at_flag(watch)
            if status == L.OK:
                break
            self._flag.nap(watch, nap_s)
        return status == L.OK
