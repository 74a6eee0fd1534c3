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
from scamem.membership.channel import Channel, await_queues, rouse
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
        self.dozing: Channel | None = None  # where the thread sleeps

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
                rouse(dozing.member)

    def discard(self, one: Awaited) -> None:
        with self.lock:
            self.awaited.discard(one)

    def _run(self) -> None:
        idle: Channel | None = None  # after the last wait, sleep there once more
        while True:
            with self.lock:
                awaited = list(self.awaited)
                self.dozing = awaited[0].channel if awaited else idle
                if self.dozing is None:
                    self.thread = None
                    return
            dozing = self.dozing
            idle = dozing if awaited else None
            if not self._look(awaited):
                self._sleep(dozing, awaited)

    def _look(self, awaited: list[Awaited]) -> bool:
        """Wake the tasks whose counters have changed; return whether there were any."""
        found = False
        for one in awaited:
            with contextlib.suppress(ScamemError):
                one.channel.watch()
            if one.is_over():
                found = True
                self.discard(one)
                one.wake()
        return found

    def _sleep(self, dozing: Channel, awaited: list[Awaited]) -> None:
        members = {id(one.channel.member): one.channel for one in awaited}
        try:
            seen = dozing.watch()
            if any(one.is_over() for one in awaited):
                return
            nap_s = LOOK_AGAIN_S if len(members) <= 1 else SHARED_NAP_S
            if await_queues(dozing.member, seen, nap_s):
                return
            for channel in members.values() if nap_s == LOOK_AGAIN_S else ():
                channel.member.seat.reap()
            for one in awaited:
                one.channel.tend()
        except ScamemError:
            for one in awaited:  # an arena was closed, or is damaged: the tasks find out
                self.discard(one)
                one.wake()


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
