"""A data loader over a frozen dataset: every worker reads one copy of it, and holds none."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import scamem

WORKERS = 2
BATCH = 32


@dataclass
class Sample:
    """An item of the dataset."""

    name: str
    picture: np.ndarray
    label: int


def samples(count: int) -> Iterator[Sample]:
    """Yield samples as a program would that reads them from files."""
    chance = np.random.default_rng(1)
    for number in range(count):
        picture = chance.integers(0, 256, (28, 28), np.uint8)
        yield Sample(f"picture {number}", picture, number % 10)


class Loader:
    """What a data loader is: workers that take indices, and give batches."""

    def __init__(self, dataset: scamem.FrozenList) -> None:
        self.dataset = dataset

    def batch(self, indices: list[int]) -> tuple[np.ndarray, list[int]]:
        """Return the pictures, stacked, and the labels of some samples."""
        chosen = [self.dataset[index] for index in indices]  # read in place, one by one
        return np.stack([sample.picture for sample in chosen]), [one.label for one in chosen]


if __name__ == "__main__":
    dataset = scamem.freeze(samples(1000))  # never all of it in private memory
    print(dataset[7].name, dataset[7].picture.shape, dataset.column("label")[:4])
    loader = Loader(dataset)
    order = np.random.default_rng(2).permutation(len(dataset)).tolist()
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pictures = labels = 0
        for stack, numbers in pool.imap(loader.batch, batches):  # a task sends a handle
            pictures += len(stack)
            labels += sum(numbers)
        pool.close()
        pool.join()
    print(pictures, "pictures; the sum of their labels is", labels)
    assert labels == int(dataset.column("label").sum())
    del dataset, loader  # the workers have ended: the memory is free
    print(scamem.default().stats().objects, "objects left")
