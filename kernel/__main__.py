"""`make kernel`: build the patched kernel, boot it in every mode, compare it with the model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scamem.designs import booted

from . import recording
from .booting import Boot, BootError, accelerator, boot, initramfs
from .building import VARIANTS, BuildError, Image, image, program
from .edits import EditError
from .sources import BUILD, HERE, MissingError, Version, difference, key

MODES = ("today", "3", "4d", "choir", "word")
SERIES = ("6.12", "6.1")
DEADLY = "walker-without-grace"  # objects are freed under a reader: it may end in a panic
STRESS_MS = 1500
SKIPPED = 0  # what is missing on this machine is said, and is no failure


def main() -> int:
    """Run everything, or say what is missing."""
    parser = argparse.ArgumentParser(prog="python -m kernel", description=__doc__)
    parser.add_argument("--series", choices=SERIES, default=SERIES[0])
    parser.add_argument("--variant", choices=sorted(VARIANTS), default="plain")
    parser.add_argument("--ms", type=int, default=STRESS_MS, help="how long each stress lasts")
    parser.add_argument("--record", type=Path, help="write the run here too, as JSON")
    parser.add_argument("--patch", action="store_true", help="print the patch as a diff, and end")
    given = parser.parse_args()
    version = Version(given.series)
    try:
        if given.patch:
            image(version, VARIANTS[given.variant])
            print(difference(version), end="")
            return 0
        path = _run(image(version, VARIANTS[given.variant]), given.ms)
    except MissingError as missing:
        print(f"kernel: skipped: {missing}")
        return SKIPPED
    except (EditError, BuildError, BootError) as error:
        print(f"kernel: {error}", file=sys.stderr)
        return 1
    if given.record:
        given.record.write_text(path.read_text())
    return _show(path)


def _run(built: Image, stress_ms: int) -> Path:
    """Boot every mode, or take the run of the same image and program."""
    made_of = key(built.key, HERE / "lab", HERE / "src" / "mm" / "scamem_lab.h", str(stress_ms))
    path = BUILD / "runs" / f"linux-{built.version}-{built.variant}-{made_of}.json"
    if path.exists():
        return path
    initrd = initramfs(program("lab"))
    how = accelerator(built, initrd)
    boots: dict[str, Boot] = {}
    for mode in MODES:
        print(f"booting {built.version} ({built.variant}, {how}), scamem={mode}", flush=True)
        append = f"scamem={mode} lab_ms={stress_ms}"
        boots[mode] = boot(built, initrd, append, how)
        last = boot(built, initrd, f"{append} lab_only={DEADLY}", how, deadly=DEADLY)
        boots[mode].console += [line for line in last.console if not line.startswith("@= ")]
        boots[mode].deadly = DEADLY
    said = [line for line in boots["today"].lines("@= ") if line.startswith("version ")]
    recording.write(path, boots, said[0].removeprefix("version "), made_of)
    return path


def _show(path: Path) -> int:
    """The table of model and kernel; a difference without a reason is a failure."""
    cells = booted.compare(booted.load(path))
    print(f"{path}\nmodel and kernel, mode by mode; ! where they differ")
    print("\n".join(booted.table(cells)))
    print("\n".join(booted.reasons(cells)))
    return int(any(not cell.agree and not cell.why for cell in cells))


if __name__ == "__main__":
    sys.exit(main())
