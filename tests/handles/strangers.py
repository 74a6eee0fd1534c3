"""What runs in processes of a program that has not imported scamem itself; nor does this module."""

from __future__ import annotations

from typing import Any


def send_and_exit(queue: Any, length: int) -> None:
    import scamem

    queue.put(scamem.full(length, 3.0))


def fill_by_workers(outbox: Any, method: str) -> None:
    """A child's child, and a pool's, write to arrays of an arena that their parent alone knows."""
    import multiprocessing

    import scamem
    from tests.handles import workers

    context: Any = multiprocessing.get_context(method)
    one, other = scamem.zeros(4), scamem.zeros(4)
    process = context.Process(target=workers.fill, args=(one, 1))
    process.start()
    process.join()
    with context.Pool(1) as pool:
        pool.apply(workers.fill, (other, 1))
    pool.join()
    outbox.put((float(one.sum()), float(other.sum())))


def say_default(outbox: Any) -> None:
    """This process's default arena."""
    import scamem

    outbox.put(scamem.default().arena_id)
