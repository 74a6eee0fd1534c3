"""Modules that few programs need: imported when one of their functions is first used.

    pages = Later("scamem.objects.pages")

    class Arena:
        page_to_nid = pages.page_to_nid    # the import happens when somebody looks at it

A third of the package is used by few programs, and each of its modules costs a millisecond at
every start of every worker.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

# A fork waits for imports of other threads: the child would have half of a module, for good.
_loading = threading.RLock()
os.register_at_fork(
    before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release
)


def load(module: str) -> Any:
    """Import a module that was not needed so far; a fork waits until it is whole."""
    with _loading:
        return import_module(module)


class Later:
    """Stands for a module that is imported when one of its functions is called or looked at."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Function(self._name, name)


class _Function:
    """A function of such a module, also as a method: it takes its own place in the class."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name
        self._place: tuple[type, str] | None = None

    def _load(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(load(self._module), self._name)
        return found

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._load()(*args, **keywords)

    def __set_name__(self, owner: type, name: str) -> None:
        self._place = owner, name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        found: Any = self._load()
        if self._place is not None:
            setattr(*self._place, found)
        return found.__get__(instance, owner)
