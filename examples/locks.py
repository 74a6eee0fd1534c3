"""A counter that several processes change in turn, while some of them are killed."""

import multiprocessing
import os
import signal

import numpy as np

import scamem


def work(number: int, lock: scamem.Lock, done: scamem.Semaphore, counts: scamem.Array) -> None:
    """Add to two counts that must agree outside the lock; some die in between."""
    with done:  # a permit: it comes back, however this process ends
        for step in range(100):
            try:
                lock.acquire()
            except scamem.OwnerDiedError:
                counts[1] = counts[0]  # the dead process may have changed only the first
            counts[0] += 1
            if number % 3 == 0 and step == 50:
                os.kill(os.getpid(), signal.SIGKILL)
            counts[1] += 1
            lock.release()


if __name__ == "__main__":
    arena = scamem.Arena.create(capacity="64M")
    lock, done, counts = arena.lock(), arena.semaphore(4), arena.zeros(2, np.int64)
    shared = lock, done, counts
    workers = [multiprocessing.Process(target=work, args=(k, *shared)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    try:
        lock.acquire()
    except scamem.OwnerDiedError as error:
        print(f"process {error.pid} was the last to die with the lock")
        counts[1] = counts[0]
    lock.release()
    killed = sum(worker.exitcode == -signal.SIGKILL for worker in workers)
    assert counts[0] == counts[1] > 0
    assert done.value == 4
    print(f"{killed} of 8 workers were killed; the counts agree, and all permits are back")
    del lock, done, counts, shared, workers, worker
    print(f"{len(arena.objects())} objects left")
