"""The core's own source files, interpreted, under a separate package name.

The compiled core may be loaded in the same process; this one never uses it. A load can be given
changes of the source, made in memory: seeded faults. The files on disk are not changed.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

CORE = Path(__file__).resolve().parents[2] / "src" / "scamem" / "core"
TRANSACTIONS = tuple(
    path.stem for path in sorted((CORE / "transactions").glob("*.py")) if path.stem != "__init__"
)

Changes = Mapping[str, Sequence[tuple[str, str]]]
_numbers = itertools.count()


class ChangedLoader(SourceFileLoader):
    """Loads one file from source, with changes; never from a cache or a compiled module."""

    def __init__(self, fullname: str, path: str, changes: Sequence[tuple[str, str]]) -> None:
        super().__init__(fullname, path)
        self.changes = changes

    def get_code(self, fullname: str) -> CodeType:
        text = Path(self.path).read_text()
        for old, new in self.changes:
            if text.count(old) != 1:
                raise ValueError(f"{self.path} has {text.count(old)} times, not once: {old!r}")
            text = text.replace(old, new)
        return compile(text, self.path, "exec")


class Finder(MetaPathFinder):
    """Finds the modules of one interpreted core."""

    def __init__(self, package: str, changes: Changes) -> None:
        self.package = package
        self.changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.package and not fullname.startswith(self.package + "."):
            return None
        inner = fullname.removeprefix(self.package).strip(".").replace(".", "/")
        folder = CORE / inner
        file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
        if not file.exists():
            return None
        loader = ChangedLoader(fullname, str(file), self.changes.get(inner, ()))
        places = [str(folder)] if folder.is_dir() else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=places
        )


class Core:
    """One interpreted core: its modules as attributes (`core.alloc`, `core.lock`, ...)."""

    def __init__(self, changes: Changes | None = None) -> None:
        self.package = f"interpreted_core_{next(_numbers)}"
        self.modules: dict[str, ModuleType] = {}
        finder = Finder(self.package, changes or {})
        sys.meta_path.insert(0, finder)
        try:
            for file in sorted(CORE.rglob("*.py")):
                if file.stem != "__init__":
                    inner = ".".join(file.relative_to(CORE).with_suffix("").parts)
                    self.modules[inner] = importlib.import_module(f"{self.package}.{inner}")
        finally:
            sys.meta_path.remove(finder)
        # One try of the lock, since every order is tried; room for two references left behind.
        self.layout.SPINS = 0
        self.layout.LOCAL_LEFT_MAX = 2
        unused = [name for name in (changes or {}) if name.replace("/", ".") not in self.modules]
        if unused:
            raise ValueError(f"changes of modules that do not exist: {unused}")

    def __getattr__(self, name: str) -> Any:
        for inner, module in self.modules.items():
            if inner.rsplit(".", 1)[-1] == name:
                setattr(self, name, module)
                return module
        raise AttributeError(name)

    def forget(self) -> None:
        """Remove the modules from sys.modules: each load makes new ones."""
        for name in [name for name in sys.modules if name.startswith(self.package)]:
            del sys.modules[name]


def not_interpreted(core: Core) -> list[str]:
    """Return the modules that are not source files run by the interpreter."""
    wrong = []
    for inner, module in core.modules.items():
        file = CORE / (inner.replace(".", "/") + ".py")
        if Path(str(module.__file__)) != file or not isinstance(module.__loader__, ChangedLoader):
            wrong.append(inner)
        for value in vars(module).values():
            code = getattr(value, "__code__", None)
            if callable(value) and getattr(value, "__module__", "") == module.__name__:
                if not isinstance(value, type) and not isinstance(code, CodeType):
                    wrong.append(f"{inner}.{value!r}")
    return wrong
