"""Whether this machine and interpreter are supported, asked before anything else is loaded."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress


def refusal() -> str:
    """Return why the library cannot work here; "" if it can."""
    machine = os.uname().machine
    if not sys.platform.startswith("linux") or machine not in ("x86_64", "aarch64"):
        return f"scamem runs on Linux on x86-64 and aarch64; this is {sys.platform} on {machine}"
    if not is_main_interpreter():
        return (
            "scamem was imported in a subinterpreter; it runs in the main interpreter only. A "
            "process is one member of an arena, and an interpreter that ends would drop what the "
            "others use. Import it in the main interpreter, or use processes"
        )
    return ""


def is_main_interpreter() -> bool:
    """Return whether this is the process's main interpreter; True if Python cannot tell."""
    for name in ("_interpreters", "_xxsubinterpreters"):  # 3.13 and later; before
        with suppress(ImportError):
            known = importlib.import_module(name)
            return bool(known.get_current() == known.get_main())
    return True
