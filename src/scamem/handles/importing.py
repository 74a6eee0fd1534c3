"""Run something as soon as a module has been imported: now, or when the program imports it.

multiprocessing and the libraries like it keep registers in which scamem enters itself. Importing
them to do so would take a quarter of the time that `import scamem` takes, also in programs that
never use them. So a finder waits for them at the head of `sys.meta_path`. It finds nothing itself:
it asks the others, and lets the module's own loader run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType
from typing import Any

_waiting: dict[str, list[Callable[[], object]]] = {}  # by module


def when_imported(name: str, run: Callable[[], object]) -> None:
    """Call `run` after a module was imported: at once if that has happened already.

    Modules that do not come from a Python file are not noticed.
    """
    if name in sys.modules:
        run()
        return
    _waiting.setdefault(name, []).append(run)
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """Notices the import of the modules that are waited for."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, found by the other finders; None if it is not waited for."""
        runs = _waiting.get(name)
        if runs is None:
            return None
        spec = _found_by_others(name, path, target)
        loader: Any = None if spec is None else spec.loader
        if type(loader) is SourceFileLoader:  # has this module alone
            load = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                del loader.exec_module
                load(module)
                for run in _waiting.pop(name, ()):
                    run()

            loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one module
        return spec


def _found_by_others(name: str, *about: Any) -> ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is not _Finder and hasattr(finder, "find_spec"):
            spec: ModuleSpec | None = finder.find_spec(name, *about)
            if spec is not None:
                return spec
    return None
