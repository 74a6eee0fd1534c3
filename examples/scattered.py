"""Allocate all free memory of a fragmented arena as one array."""

import scamem

CAPACITY = 32 << 20
SIZE = 64 << 10


def main() -> None:
    """Fill an arena, free every second object, and use all free memory as one array."""
    with scamem.Arena.create(capacity=CAPACITY) as arena:
        objects = [arena.alloc(SIZE) for _ in range(CAPACITY // SIZE)]
        del objects[::2]
        x = arena.zeros(CAPACITY // 2, "u1")
        x += 1
        (found,) = [info for info in arena.objects() if info.runs > 1]
        print(f"{x.nbytes:,} bytes, one array, in {found.runs} runs of frames; sum {x.sum():,}")


if __name__ == "__main__":
    main()
