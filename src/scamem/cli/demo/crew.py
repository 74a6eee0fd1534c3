"""The near end of the pipes: worker processes, what they are given, and what becomes of them.

Pool and ProcessPoolExecutor do not survive a killed worker; these are Processes and Pipes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Self

from .table import DemoError
from .worker import Done, Half, Task, run

ANSWER_TIMEOUT_S = 300.0


@dataclass(eq=False)
class Worker:
    """A worker process and its pipe.

    Attributes
    ----------
    task : what it is at; None: it is idle.
    """

    process: SpawnProcess
    pipe: Connection
    task: Task | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        pid = self.process.pid
        if pid is None:
            raise DemoError("a worker was asked for its pid before it started")
        return pid


class Crew:
    """Some workers. Threads: one. As a context manager it leaves no process behind."""

    def __init__(self, count: int) -> None:
        self.workers: list[Worker] = []
        try:
            for _ in range(count):
                self._start()
        except BaseException:
            self.end()
            raise

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        near, far = context.Pipe()
        process = context.Process(target=run, args=(far,), daemon=True)
        with _interrupts_ignored():  # a Ctrl-C is for this process; workers end with their pipe
            process.start()
        far.close()
        self.workers.append(Worker(process, near))

    def give(self, worker: Worker, task: Task) -> int:
        """Send a task to an idle worker; return how many bytes travelled."""
        # What Connection.send does, in two steps, so that the very bytes sent are counted.
        data = ForkingPickler.dumps(task)
        worker.task = task
        worker.pipe.send_bytes(data)
        return len(data)

    def go_on(self, worker: Worker) -> None:
        """Let a worker that reported half go on."""
        worker.pipe.send("go on")

    def reports(self) -> list[tuple[Worker, Half | Done]]:
        """Wait until some worker has something to say, and return what each says.

        Raises
        ------
        DemoError : a worker died, or nothing came for minutes.
        """
        busy = {worker.pipe: worker for worker in self.workers if worker.task is not None}
        ready = wait(list(busy), ANSWER_TIMEOUT_S)
        if not ready:
            raise DemoError(f"no worker answered within {ANSWER_TIMEOUT_S:g} s")
        found = []
        for pipe, worker in busy.items():
            if pipe in ready:
                found.append((worker, self._received(worker)))
        return found

    def _received(self, worker: Worker) -> Half | Done:
        try:
            said: Half | Done = worker.pipe.recv()
        except (EOFError, ConnectionError):
            worker.process.join()
            raise DemoError(
                f"worker {worker.pid} died unexpectedly, with exit code {worker.process.exitcode}"
            ) from None
        if isinstance(said, Done):
            worker.task = None
        return said

    def kill(self, worker: Worker) -> Task:
        """SIGKILL a worker and wait until it is gone; return what it was at."""
        task = worker.task
        if task is None:
            raise DemoError(f"worker {worker.pid} should be killed at work, but was idle")
        worker.process.kill()
        worker.process.join()
        if worker.process.exitcode != -signal.SIGKILL:
            raise DemoError(
                f"worker {worker.pid} should die of SIGKILL, but its exit code is "
                f"{worker.process.exitcode}"
            )
        worker.pipe.close()
        self.workers.remove(worker)
        return task

    def end(self) -> None:
        """Let all workers go: those that are idle end by themselves, others are killed."""
        for worker in self.workers:
            if worker.task is None:
                with contextlib.suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore SIGINT, so that a process begun meanwhile ignores it from its first moment."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
