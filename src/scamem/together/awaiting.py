"""Waiting for queues and topics in asyncio: one thread for all that a process waits for.

State. The thread exists while something is waited for, and a second longer. It holds no item: it
waits until a counter of a queue changes, and wakes the task, which tries again itself. So a task
that is cancelled has lost nothing.

Steps. A task that finds no item registers the counter that it read under the arena's lock. The
thread asks each queue to be watched, looks at all counters, and then waits for the arena's event of
queues, which every change of a watched queue posts (core/queues.py). After a second without one it
reaps, as all who wait do.

Tried and failed: a thread for each waiting task, which a server with a thousand of them feels.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Final, NamedTuple

from scamem.errors import ScamemError
from scamem.membership.channel import Channel, await_queues, queues_counter, rouse
from scamem.membership.member import Member
from scamem.membership.waiting import LOOK_AGAIN_S

SHARED_NAP_S: Final = 0.005  # of a thread that waits in several arenas: it can sleep in one only


class Awaited(NamedTuple):
    """A counter that a task waits for."""

    channel: Channel
    event: int
    seen: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def is_over(self) -> bool:
        """Return whether the task has something to look at."""
        try:
            return self.channel.counter(self.event) != self.seen
        except ScamemError:
            return True  # the arena was closed: the task's next try says so

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop was closed
            self.loop.call_soon_threadsafe(_finish, self.future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Watcher:
    """The thread, and what it waits for."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.awaited: set[Awaited] = set()
        self.thread: threading.Thread | None = None
        self.dozing: Member | None = None  # where the thread sleeps

    def add(self, one: Awaited) -> None:
        """Wait for one counter more; wake the thread, or start it."""
        with self.lock:
            self.awaited.add(one)
            dozing = self.dozing
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="scamem-queues", daemon=True)
                self.thread.start()
                return
        if dozing is not None:
            with contextlib.suppress(ScamemError):
                rouse(dozing)

    def discard(self, one: Awaited) -> None:
        with self.lock:
            self.awaited.discard(one)

    def _run(self) -> None:
        idle: Member | None = None  # after the last wait, sleep there once more
        while True:
            with self.lock:
                awaited = list(self.awaited)
                self.dozing = dozing = awaited[0].channel.member if awaited else idle
                if dozing is None:
                    self.thread = None
                    return
            idle = dozing if awaited else None
            try:
                self._wait(dozing, awaited)
            except ScamemError:
                for one in awaited:  # an arena was closed, or is damaged: the tasks find out
                    self._finish(one)

    def _finish(self, one: Awaited) -> None:
        self.discard(one)
        one.wake()

    def _wait(self, dozing: Member, awaited: list[Awaited]) -> None:
        """Wake the tasks whose counters have changed; if there are none, sleep."""
        seen = queues_counter(dozing)
        for one in awaited:
            one.channel.watch()
        over = [one for one in awaited if one.is_over()]
        for one in over:
            self._finish(one)
        members = {id(one.channel.member): one.channel.member for one in awaited}
        nap_s = LOOK_AGAIN_S if len(members) <= 1 else SHARED_NAP_S
        if over or await_queues(dozing, seen, nap_s):
            return
        for one in awaited:
            one.channel.tend()
        if nap_s == LOOK_AGAIN_S:
            for member in members.values():
                member.seat.reap()


_watcher = Watcher()


async def until_changed(channel: Channel, event: int, seen: int) -> None:
    """Wait until a counter is no longer `seen`."""
    loop = asyncio.get_running_loop()
    one = Awaited(channel, event, seen, loop, loop.create_future())
    _watcher.add(one)
    try:
        await one.future
    finally:
        _watcher.discard(one)


def _after_fork_in_child() -> None:
    """The parent's thread and tasks are not here."""
    global _watcher
    _watcher = Watcher()


os.register_at_fork(after_in_child=_after_fork_in_child)
