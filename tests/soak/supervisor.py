"""The supervisor of a soak: it starts members, looks at the arenas meanwhile, and counts.

It is a member of both arenas from beginning to end, leads the session of all its processes, and
adopts those whose parents die. At the end it takes away what the areas and the loans hold, and
nothing may be left.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import scamem
from scamem import Arena, Scamem
from scamem.backing import places
from tests.soak import killer, processes
from tests.soak.contents import verify
from tests.soak.doomed import as_forker, as_victim, in_namespace
from tests.soak.worker import FRAME_BYTES, Shared, arrive, guarded, work

CAPACITY_BYTES = 48 << 20  # full at times
GRACE_S = 1  # of loans in transit, so that a full arena gives them up
LOOK_S = 0.05
CHECK_S = 1.0
END_TIMEOUT_S = 30.0
WORKERS = 5
REPORT = "report.json"


class Soak:
    """See above. `counts` by kind; `failures` as text."""

    def __init__(self, folder: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self.folder = folder
        name = os.path.join(folder, "soak")
        self.arenas = [
            Arena.create(name, capacity=CAPACITY_BYTES),
            Arena.create(capacity=CAPACITY_BYTES),
        ]
        for arena in self.arenas:
            arena.transit_grace_s = GRACE_S
        control = self.arenas[1]._seat.control.descriptor()
        self.controls = [f"{name}/control", f"/proc/{os.getpid()}/fd/{control}"]
        self.anchor = scamem.handle(self.arenas[1].alloc(FRAME_BYTES))
        send, receive = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end, self._to_end = os.pipe()
        self._reports, to_supervisor = os.pipe()
        for number in (send.fileno(), receive.fileno(), self._end, to_supervisor):
            os.set_inheritable(number, True)
        self.shared = Shared(send.detach(), receive.detach(), self._end, to_supervisor, name)
        self._children: dict[int, str] = {}
        self._rest = b""
        self._namespaces = os.geteuid() == 0

    # --- starting --------------------------------------------------------------------------------

    def populate(self) -> None:
        """See to it that there are as many workers as there should be, and a doomed one of each."""
        running = Counter(self._children.values())
        for kind, body in (("forker", as_forker), ("victim", as_victim)):
            if not running[kind]:
                self._fork(kind, partial(body, self.shared, self.arenas, self.controls))
        for _ in range(WORKERS - sum(running[k] for k in ("forked", "spawned", "namespaced"))):
            chance = self.random.random()
            if chance < 0.12:
                self._spawn()
            elif chance < 0.4 and self._namespaces:
                self._fork("namespaced", partial(in_namespace, self.shared, self.arenas))
            else:
                self._fork("forked", partial(work, self.shared, self.arenas))

    def _fork(self, kind: str, body: Callable[[int], object]) -> None:
        seed = self.random.getrandbits(60)
        pid = os.fork()
        if pid == 0:
            guarded(self.shared, lambda: body(seed) if arrive(self.shared, self.arenas) else None)
        self._children[pid] = kind
        self.counts[f"processes {kind}"] += 1

    def _spawn(self) -> None:
        numbers = [str(number) for number in self.shared.numbers]
        seed = str(self.random.getrandbits(60))
        program = [sys.executable, "-m", "tests.soak", "worker"]
        made = subprocess.Popen(
            [*program, *numbers, self.shared.name, bytes(self.anchor).hex(), seed],
            pass_fds=self.shared.numbers,
        )
        made.returncode = 0  # waited for here, with all others
        self._children[made.pid] = "spawned"
        self.counts["processes spawned"] += 1

    # --- looking ---------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Soak for so long."""
        now_s = time.monotonic()
        end_s, check_s = now_s + seconds, now_s
        while now_s < end_s and not self.failures:
            self.populate()
            self._listen(LOOK_S)
            self._wait()
            if now_s >= check_s:
                self._look()
                check_s = time.monotonic() + CHECK_S
            now_s = time.monotonic()

    def _listen(self, timeout_s: float) -> None:
        """Add up what workers report."""
        while select.select([self._reports], [], [], timeout_s)[0]:
            *lines, self._rest = (self._rest + os.read(self._reports, 1 << 16)).split(b"\n")
            for line in lines:
                self._add(line.decode())
            timeout_s = 0

    def _add(self, line: str) -> None:
        count, _, kind = line.partition(" ")
        if count.isdigit():
            self.counts[kind] += int(count)
        else:
            self.failures.append(line.replace("\\n", "\n"))

    def _wait(self) -> bool:
        """Take the statuses of what has ended; False when there is no child any more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            kind = self._children.pop(pid, "adopted")
            if status == signal.SIGKILL:
                self.counts["processes that died of SIGKILL"] += 1
            elif status != 0:
                self.failures.append(f"process {pid} ({kind}) ended with status {status:#x}")

    def _look(self) -> None:
        for arena in self.arenas:
            self.failures += [f"check: {finding}" for finding in arena.check()]
            self.counts["checks"] += 1
            for name in list(arena):
                try:
                    self.counts["bytes verified"] += _verified(arena.get(name), name)
                except scamem.NameNotFoundError:
                    continue  # unpublished since

    # --- ending ----------------------------------------------------------------------------------

    def finish(self, killer_pid: int, to_killer: int, its_counts: int) -> None:
        """End the killer, then everybody; nothing may be left."""
        os.write(to_killer, b"e")
        with os.fdopen(its_counts) as lines:
            for line in lines:
                self._add(line.strip())
        if os.waitpid(killer_pid, 0)[1] != 0:
            self.failures.append("the killer failed; see above")
        os.write(self._to_end, b"e")
        deadline_s = time.monotonic() + END_TIMEOUT_S
        while self._wait() and time.monotonic() < deadline_s:
            self._listen(LOOK_S)
            self._signal_all(signal.SIGCONT, only_stopped=True)
        self._listen(0)
        if left := self._signal_all(signal.SIGUSR1):  # they say where they are: faulthandler
            select.select([], [], [], 1.0)
            self._signal_all(signal.SIGKILL)
            self.failures.append(f"processes left: {left}; see above for where they hang")
        if not self.failures:
            self._settle()

    def _signal_all(self, number: int, *, only_stopped: bool = False) -> list[int]:
        sent = []
        for process in processes.of_session(os.getsid(0), {os.getpid()}):
            if process.stopped or not only_stopped:
                os.kill(process.pid, number)
                sent.append(process.pid)
        return sent

    def _settle(self) -> None:
        while self.shared.take():
            self.counts["messages that nobody took"] += 1
        self.anchor.close()
        for arena in self.arenas:
            for name in list(arena):
                arena.unpublish(name)
            arena.reap(loans=True)
        gc.collect()
        for arena in self.arenas:
            self._account(arena)
            arena.close()
        places.remove(self.shared.name)
        if names := os.listdir(self.folder):
            self.failures.append(f"files left: {names}")
        links = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if _is(n)]
        with open("/proc/self/maps") as file:
            links += [line.strip() for line in file]
        left = [link for link in links if "scamem-" in link and ".so" not in link]
        left += [link for link in links if self.shared.name in link]
        if left:
            self.failures.append(f"descriptors and mappings left: {left}")

    def _account(self, arena: Arena) -> None:
        self.failures += [f"check at the end: {finding}" for finding in arena.check()]
        found = arena.stats()
        left = {
            "objects": found.objects,
            "areas": found.areas,
            "loans": found.loans,
            "frames": found.frames_online - found.frames_free,
            "reserved frames": found.frames_reserved,
            "other members": len(found.members) - 1,
            "holder records": sum(member.objects for member in found.members),
        }
        if any(left.values()):
            self.failures.append(f"left in {arena!r}: {left}; {arena.objects()[:5]}")
        self.counts["takeovers"] += found.takeovers
        self.counts["words rolled back"] += found.rollbacks
        self.counts["members reaped"] += found.reaped_members
        self.counts["holder records reaped"] += found.reaped_holders
        self.counts["records of loans moved to the arena"] += found.loans_orphaned


def _is(number: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{number}")


def _verified(value: Any, name: str) -> int:
    if isinstance(value, dict):
        value = value["words"]
    if isinstance(value, Scamem):
        value = value.map()
    if not isinstance(value, np.ndarray):
        value = np.frombuffer(value, dtype=np.uint64)
    return verify(value, f"published as {name}")


def main(folder: str, seconds: float, seed: int) -> int:
    """Soak, and write the report into the folder; 0 if all held."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    faulthandler.enable()  # in all that are forked: a crash says where
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    processes.adopt_orphans()
    arenas_at = os.path.join(folder, "arenas")
    os.mkdir(arenas_at, 0o700)
    soak = Soak(arenas_at, seed)
    chief = killer.start(soak.controls, seed, {os.getpid(), os.getppid()})
    soak.run(seconds)
    soak.finish(*chief)
    with open(os.path.join(folder, REPORT), "w") as file:
        json.dump({"seed": seed, "counts": soak.counts, "failures": soak.failures}, file)
    return 1 if soak.failures else 0
