"""Share an array with a pool of processes: each task sends a handle, not the data."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np

import scamem


def work(x: scamem.Array) -> float:
    """Sum an array in shared memory; nothing is copied."""
    return float(x.sum())


if __name__ == "__main__":
    x = scamem.array(
        np.random.default_rng(1).random((5_000, 1_000))
    )  # one copy, into the default arena
    with ProcessPoolExecutor() as ex:  # a task sends some 170 bytes
        print(sum(ex.map(work, [x] * 8)))
    del x  # the workers have ended: the memory is free
    print(scamem.default().stats().objects, "objects left")
