"""What the processes of these tests do."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np

import scamem
from scamem import Arena
from tests.backing.children import Talk
from tests.death.operations import Hook

QUEUE = "jobs"
WAIT_S = 60.0


def open_queue(path: str, name: str = QUEUE) -> Any:
    return Arena.join(path).queue(name)


def lease_and_wait(talk: Talk, path: str, count: int) -> None:
    """Lease some items, say which, and wait to be killed."""
    jobs = open_queue(path)
    leases = jobs.get_many(count, lease=True)
    talk.say([lease.value for lease in leases])
    talk.hear()
    for lease in leases:
        lease.done()
    talk.say("done")


def take_and_wait(talk: Talk, path: str, count: int) -> None:
    """Take some items, say which, and wait to be killed."""
    talk.say(open_queue(path).get_many(count))
    talk.hear()


def take_one(talk: Talk, path: str) -> None:
    """Wait for an item, and say what it is."""
    jobs = open_queue(path)
    talk.say("ready")
    talk.say(jobs.get(timeout=WAIT_S))


def wait_in(talk: Talk, path: str, method: str, *args: Any) -> None:
    """Wait in a method of the queue; say how it ended."""
    jobs = open_queue(path)
    try:
        talk.say(getattr(jobs, method)(*args))
    except KeyboardInterrupt:
        talk.say("interrupted")


def put_arrays(talk: Talk, path: str, count: int) -> None:
    """Put arrays, and exit at once."""
    jobs = open_queue(path)
    for k in range(count):
        jobs.put(np.full(5000, k))


def work(talk: Talk, path: str, stores: int) -> None:
    """Lease and finish, put, take, give back; say after each; die at a store."""
    jobs = open_queue(path)
    hook = Hook(path)
    hook.arm(stores, signal.SIGKILL)
    with jobs.get(lease=True):
        pass
    talk.say(1)
    jobs.put(np.full(2000, 9))
    talk.say(2)
    jobs.get()
    talk.say(3)
    jobs.get(lease=True).give_back()
    talk.say(4)
    jobs.put(10)
    talk.say(5)
    hook.disarm()
    talk.say("done")


def serve(talk: Talk, path: str) -> None:
    """A worker that may be killed at any moment: each item that it finished is in the results."""
    arena = Arena.join(path)
    jobs, results = arena.queue("jobs"), arena.queue("results")
    talk.say("ready")
    while True:
        try:
            with jobs.get(lease=True) as lease:
                results.put(lease.value * 2)
        except scamem.QueueClosedError:
            return
