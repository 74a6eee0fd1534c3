"""The kernel's source, by the distribution's package, unpacked and patched in place."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import edits

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "kernel"
PACKAGES = Path("/usr/src")
PRISTINE = ".before-the-patch"
TOOLS = ("bison", "flex", "bc", "gcc", "xz", "make")


class MissingError(Exception):
    """Something that this machine lacks; the text says what, and which package has it."""


@dataclass(frozen=True)
class Version:
    """A kernel by its series, as Debian packages it."""

    series: str

    @property
    def archive(self) -> Path:
        """Where the distribution's package puts the source."""
        return PACKAGES / f"linux-source-{self.series}.tar.xz"

    @property
    def tree(self) -> Path:
        """Our unpacked copy."""
        return BUILD / f"linux-{self.series}"


def patched(version: Version) -> Path:
    """The source tree with the patch in it; files whose text is the same keep their time.

    Raises
    ------
    MissingError : the package is not installed; names it.
    kernel.edits.EditError : an edit does not find its place.
    """
    if not version.archive.exists():
        raise MissingError(
            f"no {version.archive}; install it: apt-get install linux-source-{version.series}"
        )
    if not (version.tree / "Makefile").exists():
        _unpack(version)
    _patch(version.tree)
    return version.tree


def _unpack(version: Version) -> None:
    print(f"unpacking {version.archive.name}", flush=True)
    part = version.tree.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    subprocess.run(["tar", "xf", version.archive, "-C", part, "--strip-components=1"], check=True)
    part.rename(version.tree)


def _patch(tree: Path) -> None:
    """Edit copies of the files as they came, and write what differs from what is there."""
    names = {edit.file for edit in edits.EDITS}
    work = tree / PRISTINE / "work"
    shutil.rmtree(work, ignore_errors=True)
    for name in names:
        kept = tree / PRISTINE / "kept" / name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, kept)
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(kept, work / name)
    edits.apply(work)
    ours = HERE / "src"
    shutil.copytree(ours, work, dirs_exist_ok=True)
    for path in work.rglob("*"):
        if path.is_file():
            write_if_new(tree / path.relative_to(work), path.read_bytes())


def write_if_new(path: Path, content: bytes) -> None:
    """Write a file unless it holds that already, so that make sees no change."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def difference(version: Version) -> str:
    """The patch as a unified diff, for readers; it is not kept in the repository."""
    tree = version.tree
    parts = []
    for name in sorted({edit.file for edit in edits.EDITS}):
        done = subprocess.run(
            ["diff", "-u", "--label", f"a/{name}", "--label", f"b/{name}",
             tree / PRISTINE / "kept" / name, tree / name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        parts.append(done.stdout)
    return "".join(parts)


def key(*parts: str | bytes | Path) -> str:
    """A name for what is made of these texts and files."""
    digest = hashlib.sha256()
    for part in parts:
        found = sorted(part.rglob("*")) if isinstance(part, Path) and part.is_dir() else [part]
        for item in found:
            if isinstance(item, Path):
                if item.is_file() and "__pycache__" not in item.parts:
                    digest.update(item.name.encode() + item.read_bytes())
            else:
                digest.update(item if isinstance(item, bytes) else item.encode())
    return digest.hexdigest()[:16]


def need(*tools: str) -> None:
    """Look for programs.

    Raises
    ------
    MissingError : names those that are not there.
    """
    absent = [tool for tool in tools if shutil.which(tool) is None]
    if absent:
        raise MissingError(f"not installed: {', '.join(absent)}")


def compiler() -> str:
    """gcc, by way of ccache where there is one."""
    return "ccache gcc" if shutil.which("ccache") else "gcc"


def environment() -> dict[str, str]:
    """The environment of builds: one cache for trees in different folders."""
    return {**os.environ, "CCACHE_NOHASHDIR": "1", "CCACHE_BASEDIR": str(BUILD)}
