"""Builds of the patched kernel: a small configuration, and a second one with KASAN."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .sources import (
    BUILD,
    HERE,
    PACKAGES,
    TOOLS,
    Version,
    compiler,
    environment,
    key,
    need,
    patched,
)

PROGRESS_SECONDS = 20.0


@dataclass(frozen=True)
class Variant:
    """A configuration: tinyconfig and these fragments."""

    name: str
    fragments: tuple[str, ...]


PLAIN = Variant("plain", ("base.config",))
KASAN = Variant("kasan", ("base.config", "kasan.config"))
SECRETMEM = Variant("secretmem", ("base.config", "secretmem.config"))
VARIANTS = {variant.name: variant for variant in (PLAIN, KASAN, SECRETMEM)}


class BuildError(Exception):
    """The compiler said no; the text is the end of what it said."""


@dataclass(frozen=True)
class Image:
    """A kernel that boots, and the unstripped file for debuggers."""

    bzimage: Path
    vmlinux: Path
    version: str
    variant: str
    key: str


def image(version: Version, variant: Variant) -> Image:
    """Build a kernel, or take the one that was built of the same things.

    Raises
    ------
    kernel.sources.MissingError : a package is not installed; names it.
    BuildError : with the end of the build's output.
    """
    need(*TOOLS)
    fragments = [HERE / name for name in variant.fragments]
    archive = version.archive
    stamp = f"{archive.stat().st_size}" if archive.exists() else f"no {PACKAGES}"
    made_of = key(HERE / "edits.py", HERE / "src", stamp, version.series, *fragments)
    out = BUILD / f"{version.series}-{variant.name}"
    built = Image(
        out / "arch/x86/boot/bzImage", out / "vmlinux", version.series, variant.name, made_of
    )
    done = out / "built-of"
    if done.exists() and done.read_text() == made_of and built.bzimage.exists():
        return built
    tree = patched(version)
    done.unlink(missing_ok=True)
    _configure(tree, out, fragments)
    _make(tree, out, ["bzImage"], f"linux {version.series} ({variant.name})")
    done.write_text(made_of)
    return built


def _configure(tree: Path, out: Path, fragments: Iterable[Path]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stamp, wanted = out / "configured-by", key(*fragments)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _make(tree, out, ["tinyconfig"], "configuration")
    lines = [path.read_text() for path in fragments]
    config = out / ".config"
    config.write_text(config.read_text() + "".join(lines))
    _make(tree, out, ["olddefconfig"], "configuration")
    stamp.write_text(wanted)


def _make(tree: Path, out: Path, targets: list[str], what: str) -> None:
    """Run make at low priority and say from time to time how far it is."""
    command = ["nice", "-n", "19", "make", "-C", str(tree), f"O={out}", "-j2"]
    command += [f"CC={compiler()}", *targets]
    log = out / "build.log"
    shown, objects = time.monotonic(), 0
    with log.open("w") as kept:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=environment(),
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            kept.write(line)
            objects += line.startswith("  CC ")
            if time.monotonic() - shown > PROGRESS_SECONDS:
                shown = time.monotonic()
                print(f"  {what}: {objects} files compiled", file=sys.stderr, flush=True)
    if process.wait():
        tail = "\n".join(log.read_text().splitlines()[-25:])
        raise BuildError(f"make {' '.join(targets)} failed ({log}):\n{tail}")


def program(name: str) -> Path:
    """Our program for the booted kernel, linked statically."""
    source = HERE / "lab" / f"{name}.c"
    out = BUILD / "lab" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    include = HERE / "src" / "mm"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", f"-I{include}"]
    subprocess.run([*command, "-o", str(out), str(source)], check=True)
    return out


def clean() -> None:
    """Remove everything that was unpacked and built."""
    shutil.rmtree(BUILD, ignore_errors=True)
