"""Instruction counts of the main operations: `make guard`, which no noise on the machine can fool.

    python -m benchmarks.guard              # compare with guard.json; ends with 1 if one is worse
    python -m benchmarks.guard --update     # store what was counted

valgrind's callgrind counts. The operations run in one process (`work`), which calls `getpgid`
between them: callgrind writes its counters down, and begins anew, at each call. Counts depend on
the versions of Python and NumPy, which the file names; with others, only `--update` makes sense.
"""

from __future__ import annotations

import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

STORED = Path(__file__).with_name("guard.json")
TOLERANCE = 0.05
ROUNDS = 300
WARM_UP = 300  # the interpreter specialises what it runs often


def operations() -> dict[str, Callable[[], object]]:
    """Return what is counted, by name."""
    import numpy as np

    import scamem

    arena = scamem.Arena.create(capacity="64M")
    source = np.arange(512.0)
    plain, shared = source.copy(), arena.array(source)
    handle = arena.put(source)
    dumps = ForkingPickler.dumps

    def pair(name: str, run: Callable[[Any], object]) -> dict[str, Callable[[], object]]:
        return {f"ndarray {name}": lambda: run(plain), f"Array {name}": lambda: run(shared)}

    return {
        "nothing": lambda: None,
        **pair("x[5]", lambda x: x[5]),
        **pair("x[::8]", lambda x: x[::8]),
        **pair("x.sum()", lambda x: x.sum()),
        **pair("x + x", lambda x: x + x),
        **pair("x.reshape(2, -1)", lambda x: x.reshape(2, -1)),
        **pair("np.add(x, 1, out=x)", lambda x: np.add(x, 1, out=x)),
        "array, dropped": lambda: arena.array(source),
        "zeros, dropped": lambda: arena.zeros(512),
        "alloc, closed": lambda: arena.alloc(4096).close(),
        "put, dropped": lambda: arena.put(source),
        "put of bytes, dropped": lambda: arena.put(b"12345678"),
        "handle(array), dropped": lambda: scamem.handle(shared),
        "array + handle, dropped": lambda: scamem.handle(arena.array(source)),
        "get(Handle)": lambda: arena.get(handle),
        "bytes(handle) + get": lambda: arena.get(bytes(handle)),
        "put + bytes + get": lambda: arena.get(bytes(arena.put(source))),
        "pickled by handle + loaded": lambda: pickle.loads(dumps(shared)),
    }


def work() -> None:
    """Run each operation WARM_UP times and then, counted, ROUNDS times."""
    import gc

    gc.disable()
    for run in operations().values():
        for _ in range(WARM_UP):
            run()
        os.getpgid(0)
        for _ in range(ROUNDS):
            run()
        os.getpgid(0)


def counted() -> dict[str, int]:
    """Return the instructions of each operation."""
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(
            [
                *("valgrind", "--tool=callgrind", "-q", "--dump-before=getpgid"),
                f"--callgrind-out-file={place}/out",
                *(sys.executable, "-c", "from benchmarks import guard; guard.work()"),
            ],
            env=os.environ | {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
            check=True,
        )
        totals = [_total(Path(f"{place}/out.{number}")) for number in range(2, 2000, 2)
                  if Path(f"{place}/out.{number}").exists()]  # fmt: skip
    names = list(operations())
    found = dict(zip(names, totals, strict=True))
    nothing = found.pop("nothing")
    return {name: (total - nothing) // ROUNDS for name, total in found.items()}


def _total(path: Path) -> int:
    text = path.read_text()
    return int(text[text.rindex("totals:") :].split()[1])


def main() -> int:
    """Count, print, and compare or store."""
    import numpy as np

    about = f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}"
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"about": "", "counts": {}}
    found = counted()
    worse = 0
    for name, count in found.items():
        before = stored["counts"].get(name)
        change = "" if not before else f"{count / before - 1:+8.1%}"
        mark = ""
        if before and count > before * (1 + TOLERANCE):
            worse += 1
            mark = "  worse"
        print(f"{name:32} {count:9,} instructions {change}{mark}")
    if "--update" in sys.argv:
        STORED.write_text(json.dumps({"about": about, "counts": found}, indent=1) + "\n")
        return 0
    if stored["about"] != about:
        print(f"stored for {stored['about']}; this is {about}: not compared")
        return 0
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
