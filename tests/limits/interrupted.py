"""A program that is interrupted thousands of times, and counts the interrupts that it loses.

A handler counts and raises, the loop counts what it catches. Prints `lost N of M`.
"""

from __future__ import annotations

import contextlib
import pickle
import random
import signal
import sys
from multiprocessing.reduction import ForkingPickler
from types import FrameType

import numpy as np

import scamem

WITHIN_S = (1e-5, 1e-4, 1e-3, 4e-3)
raised = 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    global raised
    raised += 1
    raise KeyboardInterrupt


def publish_and_get(arena: scamem.Arena) -> None:
    arena[f"n{random.randrange(5)}"] = np.full(random.randrange(1, 4000), 1.0)
    arena.get(f"n{random.randrange(5)}", timeout=0.0001)


def send(arena: scamem.Arena) -> None:
    pickle.loads(ForkingPickler.dumps(arena.zeros(random.randrange(1, 5000))))
    scamem.from_handle(bytes(arena.put([1, 2])))


def scatter(arena: scamem.Arena) -> None:
    kept = [arena.alloc(4096 * random.randrange(1, 5)) for _ in range(6)]
    del kept[::2]
    whole = arena.alloc("1M")
    whole.map()
    whole.map()


def compute(arena: scamem.Arena) -> None:
    x = scamem.concatenate([arena.zeros(512), arena.zeros(1024)])
    x[::2].sum()
    repr((x + 1)[:2])


def look(arena: scamem.Arena) -> None:
    arena.stats()
    arena.objects()
    list(arena)


def make_and_close(_arena: scamem.Arena) -> None:
    with scamem.Arena.create(capacity="8M") as other:
        other.zeros(10)


def open_named(_arena: scamem.Arena) -> None:
    with scamem.Arena.open("other", capacity="8M") as other:
        other["x"] = np.ones(10)


DOINGS = (publish_and_get, send, scatter, compute, look, make_and_close, open_named)


def main(rounds: int) -> None:
    signal.signal(signal.SIGALRM, interrupt)
    caught = 0
    with scamem.Arena.open("interrupted", capacity="64M") as arena:
        for doing in DOINGS:  # imports first: Python replaces an exception inside __set_name__
            with contextlib.suppress(scamem.NameNotFoundError):
                doing(arena)
        for turn in range(rounds):
            try:
                try:
                    delay_s = random.choice(WITHIN_S) * random.uniform(0.2, 1.2)
                    signal.setitimer(signal.ITIMER_REAL, delay_s)
                    DOINGS[turn % len(DOINGS)](arena)
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
            except scamem.NameNotFoundError:
                pass
        print(f"lost {raised - caught} of {raised}; {arena.check()}")


main(int(sys.argv[1]))
