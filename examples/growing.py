"""One process appends rows and another follows, without copying and without partial rows."""

import multiprocessing

import numpy as np

import scamem


def follow(rows: scamem.GrowableArray) -> None:
    """Sum rows as they arrive, until the writer closes the array."""
    seen, total = 0, 0.0
    while (length := rows.wait(seen)) > seen:
        total += float(rows[seen:length].sum())
        seen = length
    print(f"the reader saw {seen:,} rows, sum {total:,.0f}", flush=True)


def main() -> None:
    """Append rows while a spawned process follows."""
    arena = scamem.Arena.create(capacity=64 << 20)
    rows = arena.growable((4,))
    reader = multiprocessing.get_context("spawn").Process(target=follow, args=(rows,))
    reader.start()
    first = rows.append([1, 2, 3, 4])
    early = rows.array  # stays valid, at its address, while the array grows
    for _ in range(100):
        rows.extend(np.ones((1000, 4)))
    print(f"appended {len(rows):,} rows; row {first} is still {early[0].tolist()}", flush=True)
    rows.close()
    reader.join()
    del rows, early
    print(arena.stats().objects, "objects left")
    arena.close()


if __name__ == "__main__":
    main()
