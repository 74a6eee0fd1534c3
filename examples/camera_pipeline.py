"""A camera, two workers and an asyncio consumer: a slow worker holds the camera back."""

import asyncio
import gc
import multiprocessing

import numpy as np

import scamem

FRAMES = 30


def camera(raw: scamem.Queue) -> None:
    """Fill frames in place, and put them: nothing is copied, and `put` waits for room."""
    for number in range(FRAMES):
        frame = scamem.empty((480, 640), np.uint8)
        frame[:] = number
        raw.put(frame)
    raw.close()


def brighten(raw: scamem.Queue, ready: scamem.Queue) -> None:
    """Take frames until there are no more."""
    for frame in raw:
        ready.put(int(frame.max()) + 100)


async def consume(ready: scamem.Queue, processes: list[multiprocessing.Process]) -> list[int]:
    """Read results in asyncio, while another task waits for the processes to end."""

    async def close_at_the_end() -> None:
        for process in processes:
            await asyncio.to_thread(process.join)
        ready.close()

    closing = asyncio.create_task(close_at_the_end())
    levels = [level async for level in ready]
    await closing
    return levels


def start(raw: scamem.Queue, ready: scamem.Queue) -> list[multiprocessing.Process]:
    """Start the camera and two workers."""
    stages = [(camera, (raw,)), (brighten, (raw, ready)), (brighten, (raw, ready))]
    processes = [multiprocessing.Process(target=body, args=args) for body, args in stages]
    for process in processes:
        process.start()
    return processes


def main() -> None:
    """Run the pipeline with at most four frames between two stages."""
    raw, ready = scamem.queue(maxsize=4), scamem.queue(maxsize=4)
    levels = asyncio.run(consume(ready, start(raw, ready)))
    print(len(levels), "frames, brightest", max(levels))
    del raw, ready
    gc.collect()
    print(scamem.default().stats().objects, "objects left")


if __name__ == "__main__":
    main()
