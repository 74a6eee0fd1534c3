"""Share an array with a pool of processes: each task ships a handle, not the data."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np

import scamem


def work(x: scamem.Array) -> float:
    """Sum an array that lies in shared frames; nothing is copied."""
    return float(x.sum())


if __name__ == "__main__":
    x = scamem.array(
        np.random.default_rng(1).random((5_000, 1_000))
    )  # on scattered memory, in the default arena
    with ProcessPoolExecutor() as ex:  # each task ships a handle of some 100 bytes
        print(sum(ex.map(work, [x] * 8)))
    del x  # the frames are free once the last worker let go or was reaped
    print(scamem.default().stats().objects, "objects left")
