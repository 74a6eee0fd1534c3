"""Run CPython's own tests of `multiprocessing.shared_memory` on scamem.shared_memory.

    python -m tests.shared_memory.cpython spawn

They are those of the Python that runs this: test._test_multiprocessing, with the module swapped.
Spawned children import this module again, so they have the swapped one too. Prints a line for each
test that is left out, with the reason.
"""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.managers
import sys
import unittest
from typing import Any

import scamem.managers
import scamem.shared_memory

# What concerns the resource tracker, which scamem.shared_memory does not have.
LEFT_OUT = {
    "test_shared_memory_SharedMemoryManager_reuses_resource_tracker": (
        "it asks whether the manager and its parent share one resource tracker"
    ),
    "test_shared_memory_cleaned_after_process_termination": (
        "it reads the warning of the resource tracker; see test_deaths.py for what is cleaned"
    ),
    "test_shared_memory_tracking": "it reads the warnings of the resource tracker",
    "test_shared_memory_untracking": "it looks for warnings of the resource tracker",
}


def swap() -> None:
    """Put scamem's module in the place of the original."""
    sys.modules["multiprocessing.shared_memory"] = scamem.shared_memory
    modules: list[Any] = [multiprocessing, multiprocessing.managers]
    for module in modules:
        module.shared_memory = scamem.shared_memory
    modules[1].SharedMemoryManager = scamem.managers.SharedMemoryManager


swap()
try:
    theirs: Any = importlib.import_module("test._test_multiprocessing")
except ImportError as error:
    print(f"skipped: {error}")
    raise SystemExit(77) from None


def tests_of(method: str) -> unittest.TestSuite:
    """Return the tests, as they are installed for a start method."""
    mine: dict[str, Any] = globals()
    theirs.install_tests_in_module_dict(mine, method)
    suite = unittest.TestSuite()
    for name in ("WithProcessesTestSharedMemory",):
        for test in unittest.defaultTestLoader.loadTestsFromTestCase(mine[name]):
            method_name = str(getattr(test, "_testMethodName", ""))
            if method_name in LEFT_OUT and __name__ == "__main__":
                print(f"left out: {method_name}: {LEFT_OUT[method_name]}")
            elif method_name not in LEFT_OUT:
                suite.addTest(test)
    return suite


if __name__ == "__main__":
    found = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests_of(sys.argv[1]))
    sys.exit(0 if found.wasSuccessful() and found.testsRun else 1)
elif __name__ == "__mp_main__":
    tests_of(sys.argv[1] if sys.argv[1:] else "spawn")
