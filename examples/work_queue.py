"""Workers are killed while they work, and no work is lost: leases bring it back."""

import multiprocessing
import os
import random
import signal

import scamem

JOBS = 200
KILLS = 5


def work(jobs: scamem.Queue, results: scamem.Queue) -> None:
    """Square numbers until the queue is closed and empty."""
    while True:
        try:
            with jobs.get(lease=True) as lease:
                results.put((lease.value, lease.value**2))
        except scamem.QueueClosedError:
            return


def start(jobs: scamem.Queue, results: scamem.Queue) -> multiprocessing.Process:
    """Start a worker."""
    worker = multiprocessing.Process(target=work, args=(jobs, results))
    worker.start()
    return worker


def main() -> None:
    """Let three workers do the jobs, and kill one of them now and then."""
    jobs, results = scamem.queue(), scamem.queue()
    workers = [start(jobs, results) for _ in range(3)]
    for kill in range(KILLS):
        jobs.put_many(range(kill * JOBS // KILLS, (kill + 1) * JOBS // KILLS))
        victim = workers.pop(random.randrange(len(workers)))
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        workers.append(start(jobs, results))
    jobs.join()  # also waits for what the killed workers had leased
    jobs.close()
    for worker in workers:
        worker.join()
    done = dict(results.get() for _ in range(results.qsize()))
    print(KILLS, "workers killed; work lost:", JOBS - len(done))
    del jobs, results
    print(scamem.default().stats().objects, "objects left")


if __name__ == "__main__":
    main()
