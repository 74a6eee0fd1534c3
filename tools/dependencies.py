"""Finds the files that a compiled module is made from, so that a build compiles what changed.

python tools/dependencies.py           print how many files each compiled module is made from
python tools/dependencies.py FILE      print the compiled modules that are made from this file

A compiled module has copies of what it cimports: constants, struct layouts, the bodies of inline
functions. It must be compiled again when one of these files changes, however far away: its source
and header, the headers that these cimport or include, and the headers that those do in turn.
Cython follows most of this, but no import that is spread over several lines, and it compares
times, which say little after a change of branch. `fingerprint` compares contents.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src"
PREFIX = "cython.cimports."
CONTINUED = re.compile(r"\\\n")
FROM_CIMPORT = re.compile(
    r"^[ \t]*from[ \t]+(?P<module>[\w.]+)[ \t]+cimport\b[ \t]*(?P<names>\([^)]*\)|[^\n#]*)",
    re.MULTILINE,
)
CIMPORT = re.compile(r"^[ \t]*cimport[ \t]+(?P<names>[^\n#]*)", re.MULTILINE)
# In C and in Cython; `cdef extern from` names a file of C as well.
INCLUDED = re.compile(r"\b(?:include|extern[ \t]+from)[ \t]*[\"'<]+(?P<file>[^\"'<>\n]+)[\"'>]")
INCLUDABLE = (".h", ".pxi")
# Cython quotes the source, with line numbers, before what it made of it.
QUOTED = re.compile(r'^ */\* "[^"\n]*":\d+\n(?:.*\n)*?.*\*/\n', re.MULTILINE)
METADATA = re.compile(r"/\* BEGIN: Cython Metadata\n.*?END: Cython Metadata \*/\n", re.DOTALL)


class Tree:
    """The sources below one folder, and which file names which.

    Parameters
    ----------
    sources : the folder in which the dotted names of modules begin.
    """

    def __init__(self, sources: Path = SOURCES) -> None:
        self.sources = sources
        self._direct: dict[Path, set[Path]] = {}
        self._includable: dict[str, set[Path]] = {}
        for path in sources.rglob("*"):
            if path.suffix in INCLUDABLE:
                self._includable.setdefault(path.name, set()).add(path)

    def made_from(self, module: Path) -> list[Path]:
        """Return every file that a module is made from, itself among them, sorted."""
        found: set[Path] = set()
        waiting = {module}
        while waiting:
            path = waiting.pop()
            found.add(path)
            waiting |= self.direct(path) - found
        return sorted(found)

    def direct(self, path: Path) -> set[Path]:
        """Return the files that one file names: its header, what it cimports and includes."""
        if path not in self._direct:
            text = path.read_text()
            if path.suffix == ".py":
                # Comments and docstrings of Python may speak of includes: they are none.
                found = {*_existing(path.with_suffix(".pxd")), *self._headers(path, _pure(text))}
            else:
                text = CONTINUED.sub(" ", text)
                found = {*self._headers(path, _cimported(text)), *self._included(text)}
            self._direct[path] = found
        return self._direct[path]

    def _headers(self, path: Path, names: Iterable[str]) -> Iterator[Path]:
        """Yield the headers that dotted names stand for: of modules, and of their packages."""
        package = path.relative_to(self.sources).parent.parts
        for name in names:
            bare = name.lstrip(".")
            level = len(name) - len(bare)
            parts = [part.strip() for part in bare.split(".") if part.strip()]
            if level:
                parts = [*package[: len(package) - level + 1], *parts]
            for end in range(1, len(parts) + 1):
                base = self.sources.joinpath(*parts[:end])
                yield from _existing(base.with_suffix(".pxd"), base / "__init__.pxd")

    def _included(self, text: str) -> Iterator[Path]:
        """Yield the project's own files whose names a text includes, wherever they lie."""
        for match in INCLUDED.finditer(text):
            yield from self._includable.get(Path(match["file"]).name, ())


def _existing(*paths: Path) -> Iterator[Path]:
    return (path for path in paths if path.exists())


def _pure(text: str) -> Iterator[str]:
    """Yield the dotted names that a module in pure Python mode cimports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))


def _cimported(text: str) -> Iterator[str]:
    """Yield the dotted names that a header cimports."""
    for match in CIMPORT.finditer(text):
        yield from (name.split()[0] for name in match["names"].split(",") if name.strip())
    for match in FROM_CIMPORT.finditer(text):
        names = re.sub(r"#[^\n]*", "", match["names"]).strip("() \t").split(",")
        dot = "" if match["module"].endswith(".") else "."
        yield from (match["module"] + dot + name.split()[0] for name in names if name.strip())


def fingerprint(paths: Iterable[Path], *more: str) -> str:
    """Return a digest of files' names and contents, and of whatever else decides what is made."""
    digest = hashlib.sha256()
    for text in more:
        digest.update(f"{len(text)} {text}".encode())
    for path in paths:
        data = path.read_bytes()
        digest.update(f"{path} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


@dataclass
class Generated:
    """The C of one module, and the record of what it was made from.

    A module whose record matches is left alone. One that is generated again and comes out as it
    was (the change was in a function that it does not call, or in a comment) gets its old file
    back, time included, so that the C compiler has nothing to do either.

    Attributes
    ----------
    path : where the C is, or will be.
    made_from : digest of everything that decides what the C and the compiled module are.
    beside : digest of what the C compiler gets beside this file: headers of C, options.
    strict : warnings are errors; what was made otherwise has to be made again.
    """

    path: Path
    made_from: str
    beside: str
    strict: bool = False

    @property
    def record(self) -> Path:
        """The file that says what the C was made from."""
        return self.path.with_suffix(".json")

    @property
    def before(self) -> Path:
        """Where the old C is while new C is made."""
        return self.path.with_suffix(".before")

    def recorded(self) -> dict[str, object]:
        """Return the record; nothing where there is none, or it was torn."""
        try:
            found = json.loads(self.record.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_fresh(self) -> bool:
        """Tell whether the C is there and made from what there is now."""
        found = self.recorded()
        return (
            self.path.exists()
            and found.get("made_from") == self.made_from
            and (found.get("strict") is True or not self.strict)
        )

    def set_aside(self) -> None:
        """Take the old C away, so that it is made again; the record goes if it cannot come back."""
        found = self.recorded()
        same = found.get("beside") == self.beside
        comparable = same and (found.get("strict") is True or not self.strict)
        self.before.unlink(missing_ok=True)
        if comparable and self.path.exists():
            self.path.rename(self.before)
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def settle(self) -> bool:
        """Note what the new C was made from; tell whether it differs from the old."""
        differs = not self.before.exists() or code(self.before) != code(self.path)
        if differs:
            self.before.unlink(missing_ok=True)
        else:
            self.before.rename(self.path)
        found = {"made_from": self.made_from, "beside": self.beside, "strict": self.strict}
        self.record.write_text(json.dumps(found) + "\n")
        return differs


def code(path: Path) -> str:
    """Return generated C without what it says about its source: the same code is the same text."""
    return QUOTED.sub("", METADATA.sub("", path.read_text()))


def main(arguments: list[str]) -> int:
    """Run as a command; return its exit status."""
    tree = Tree()
    sources = [path for path in sorted(SOURCES.rglob("*.py")) if path.with_suffix(".pxd").exists()]
    for source in sources:
        made_from = tree.made_from(source)
        if not arguments:
            print(f"{len(made_from):4}  {source.relative_to(ROOT)}")
        elif Path(arguments[0]).resolve() in made_from:
            print(source.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
