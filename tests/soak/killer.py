"""The killer: SIGKILL, SIGSTOP and SIGCONT at random, and at chosen stores by the stop hook.

A process of its own and no member of any arena, so that it never waits for the lock that a process
has which it stopped. It ends when its pipe is readable, with everything running again.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import time
from collections import Counter

from tests.soak import processes
from tests.soak.hook import Control, Forking
from tests.soak.processes import Grip

TICK_S = 0.06
STOP_S_MAX = 0.08
END_TIMEOUT_S = 20.0
STORES_MAX = 300


class Killer:
    """See above. `counts` is what it did, by kind."""

    def __init__(self, session: int, spared: set[int], controls: list[Control], seed: int) -> None:
        self._session = session
        self._spared = spared
        self._controls = controls
        self._random = random.Random(seed)
        self._stopped: dict[int, tuple[Grip, float]] = {}  # until when
        self._forks: set[Forking] = set()
        self.counts: Counter[str] = Counter()

    def run(self, end: int) -> None:
        """Work until the descriptor `end` is readable."""
        while not select.select([end], [], [], self._random.random() * 2 * TICK_S)[0]:
            self._tick()
        for control in self._controls:
            control.disarm()
        for pid in list(self._stopped):
            self._let_go(pid, kill=False)
        self._settle_forks()
        self.counts["stores at which the hook struck"] = sum(c.hits() for c in self._controls)

    def _tick(self) -> None:
        now_s = time.monotonic()
        alive = list(processes.of_session(self._session, self._spared))
        for process in alive:
            if process.stopped and process.pid not in self._stopped:
                self._note(process.pid, now_s)  # by the hook
        for pid, (_, until_s) in list(self._stopped.items()):
            if until_s <= now_s:
                self._let_go(pid, kill=self._random.random() < 0.35)
        self._settle_forks()
        victims = [process.pid for process in alive if not process.stopped]
        if victims:
            self._strike(self._random.choice(victims), now_s)

    def _strike(self, pid: int, now_s: float) -> None:
        action = self._random.random()
        if action < 0.55:
            self._arm(pid)
            return
        try:
            grip = Grip(pid, self._session)
            if action < 0.65:
                grip.send(signal.SIGKILL)
                self.counts["SIGKILL while running"] += 1
                grip.close()
            else:
                grip.send(signal.SIGSTOP)
                self.counts["SIGSTOP"] += 1
                self._keep(grip, now_s)
        except ProcessLookupError:
            pass  # it has ended meanwhile

    def _arm(self, pid: int) -> None:
        number = processes.own_number(pid)
        if number and number not in self._spared:  # a namespace may use the same number
            stores = int(STORES_MAX ** self._random.random())
            what = self._random.choice([signal.SIGKILL, signal.SIGSTOP])
            self._random.choice(self._controls).arm(number, stores, what)
            self.counts["armed"] += 1

    def _note(self, pid: int, now_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):  # it was killed while stopped
            self._keep(Grip(pid, self._session), now_s)

    def _keep(self, grip: Grip, now_s: float) -> None:
        self._stopped[grip.pid] = grip, now_s + self._random.random() * STOP_S_MAX

    def _let_go(self, pid: int, *, kill: bool) -> None:
        grip, _ = self._stopped.pop(pid)
        try:
            if kill and grip.is_stopped():
                forks = {fork for control in self._controls for fork in control.forking()}
                grip.send(signal.SIGKILL)
                self.counts["SIGKILL while stopped"] += 1
                if grip.await_end(END_TIMEOUT_S):
                    self._forks |= forks
            else:
                grip.send(signal.SIGCONT)
                self.counts["SIGCONT"] += 1
        except ProcessLookupError:
            pass  # it has ended meanwhile
        grip.close()

    def _settle_forks(self) -> None:
        """Count the forks that were under way at a kill and whose child never arrived."""
        by_path = {control.path: control for control in self._controls}
        for fork in list(self._forks):
            outcome = by_path[fork.control].outcome(fork)
            if outcome is not None:
                self._forks.discard(fork)
                self.counts["forks killed between prepare and the child's arrival"] += outcome


def start(paths: list[str], seed: int, spared: set[int]) -> tuple[int, int, int]:
    """Fork the killer: its pid, a pipe to end it by, and one that its counts come from."""
    end, to_end = os.pipe()
    counts, from_killer = os.pipe()
    session = os.getsid(0)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(to_end)
            os.close(counts)
            controls = [Control(path) for path in paths]
            killer = Killer(session, spared | {os.getpid()}, controls, seed)
            killer.run(end)
            lines = "".join(f"{count} {kind}\n" for kind, count in killer.counts.items())
            os.write(from_killer, lines.encode())
            status = 0
        finally:
            os._exit(status)
    os.close(end)
    os.close(from_killer)
    return pid, to_end, counts
