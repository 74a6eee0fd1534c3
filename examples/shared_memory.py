"""A program for multiprocessing.shared_memory, with one import changed."""

import multiprocessing

import numpy as np

from scamem import shared_memory  # was: from multiprocessing import shared_memory


def add(name: str, row: int) -> None:
    """Open the segment by its name, and fill one row."""
    segment = shared_memory.SharedMemory(name)
    table = np.ndarray((4, 1000), np.int64, buffer=segment.buf)
    table[row] = row
    segment.close()


def main() -> None:
    """Let four processes fill a table that this one made."""
    segment = shared_memory.SharedMemory(create=True, size=4 * 1000 * 8)
    table = np.ndarray((4, 1000), np.int64, buffer=segment.buf)
    workers = [multiprocessing.Process(target=add, args=(segment.name, row)) for row in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("the sum is", table.sum())
    del table
    segment.close()
    segment.unlink()


if __name__ == "__main__":
    main()
    import scamem  # only to show that nothing is left

    print(scamem.Arena.join("shared_memory").stats().objects, "objects left")
