"""Members that ask for their own death where it is hardest, so that each kind happens every time.

The killer's own arming may replace theirs: they ask again until they die, or the soak is over.
"""

from __future__ import annotations

import os
import random
import signal

import scamem
from scamem import Arena, Scamem
from tests.soak import processes
from tests.soak.hook import Control
from tests.soak.worker import FRAME_BYTES, Shared, arrive, work

OBJECTS = 12
NAP_S = 0.02


def allocated(shared: Shared, arena: Arena) -> Scamem:
    """An object; where the arena is full, as soon as somebody lets go of one."""
    while True:
        try:
            return arena.alloc(3 * FRAME_BYTES)
        except scamem.OutOfMemoryError:
            if shared.is_over(NAP_S):
                os._exit(0)


def as_forker(shared: Shared, arenas: list[Arena], paths: list[str], seed: int) -> None:
    """Stop inside fork's prepare, records half copied; the killer kills some while stopped."""
    generator = random.Random(seed)
    held = [allocated(shared, arenas[0]) for _ in range(OBJECTS)]
    control = Control(paths[0])
    while not shared.is_over():
        control.arm(os.getpid(), generator.randint(80, 400), signal.SIGSTOP)
        pid = os.fork()
        if pid == 0:
            arrive(shared, arenas)
            os._exit(0)
        os.waitpid(pid, 0)
    held.clear()


def as_victim(shared: Shared, arenas: list[Arena], paths: list[str], seed: int) -> None:
    """Die in the midst of a transaction, with a loan that nobody takes."""
    generator = random.Random(seed)
    at = generator.randrange(2)
    arena, control = arenas[at], Control(paths[at])
    lent = allocated(shared, arena)
    loan = bytes(scamem.handle(lent))
    while not shared.is_over():
        control.arm(os.getpid(), generator.randint(4, 60), signal.SIGKILL)
        allocated(shared, arena).close()
    shared.report(f"1 victims that survived with a loan of {len(loan)} bytes")


def in_namespace(shared: Shared, arenas: list[Arena], seed: int) -> None:
    """Work as process 2 of a pid namespace, whose process 1 waits for all that end there."""
    if not processes.enter_pid_namespace():
        shared.report("1 namespaces that were refused")
        work(shared, arenas, seed)
        return
    pid = os.fork()
    if pid != 0:
        os.waitpid(pid, 0)  # killed, it takes its namespace along
        return
    arrive(shared, arenas)
    worker = _fork_worker(shared, arenas, seed)
    while True:
        ended, status = os.waitpid(-1, 0)
        if status not in (0, signal.SIGKILL):
            shared.report(f"failure: process {ended} of a namespace ended with {status:#x}")
        if ended == worker:
            return


def _fork_worker(shared: Shared, arenas: list[Arena], seed: int) -> int:
    pid = os.fork()
    if pid == 0:
        if arrive(shared, arenas):
            work(shared, arenas, seed)
            shared.report("1 workers that ended in a namespace of their own")
        os._exit(0)
    return pid
