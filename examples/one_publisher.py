"""One publisher, four readers: each value is in memory once, and a slow reader is told its loss."""

import multiprocessing
from typing import Any

import numpy as np

import scamem

FRAMES = 20


def read(topic: scamem.Topic, results: scamem.Queue, started: Any) -> None:
    """Read until the topic is closed; say how many frames were read, and how many missed."""
    reader = topic.subscribe()
    started.wait()
    count = sum(1 for _ in reader)
    results.put((count, reader.missed))


def main() -> None:
    """Publish some frames, filled in place, to four processes."""
    topic, results = scamem.topic(history=5), scamem.queue()
    started = multiprocessing.Barrier(5)
    readers = [
        multiprocessing.Process(target=read, args=(topic, results, started)) for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    started.wait()
    for number in range(FRAMES):
        frame = topic.loan((480, 640), np.uint8)
        frame[:] = number
        topic.publish(frame)
    topic.close()
    for reader in readers:
        reader.join()
    for _ in readers:
        count, missed = results.get()
        print(f"read {count}, missed {missed}, together {count + missed}")
        assert count + missed == FRAMES
    del topic, results, frame
    print(scamem.default().stats().objects, "objects left")


if __name__ == "__main__":
    main()
