"""What `import scamem` imports, and what happens when the rest is imported afterwards."""

from __future__ import annotations

from tests.backing.children import run_script

HEAVY = "socket multiprocessing subprocess json hashlib dataclasses pathlib secrets numpy.typing"


def test_what_few_programs_need_is_not_imported() -> None:
    """Each of these takes milliseconds at every start of every worker."""
    out = run_script(
        f"""
        import numpy, sys
        before = set(sys.modules)
        import scamem
        print(sorted((set(sys.modules) - before) & set({HEAVY!r}.split())))
        x = scamem.zeros(3)
        scamem.from_handle(bytes(scamem.handle(x)))
        print([name for name in ("socket", "multiprocessing") if name in set(sys.modules) - before])
        """
    )
    assert out == "[]\n[]\n"


def test_every_public_name_is_there_all_the_same() -> None:
    out = run_script(
        """
        import scamem
        assert set(scamem.__all__) <= set(dir(scamem))
        print([name for name in scamem.__all__ if getattr(scamem, name, None) is None])
        print(all(callable(getattr(scamem.Arena, name)) for name in ("ring", "trim", "warm")))
        try:
            scamem.nothing
        except AttributeError as error:
            print(error)
        """
    )
    assert out == "[]\nTrue\nmodule 'scamem' has no attribute 'nothing'\n"


def test_multiprocessing_that_is_imported_later_sends_by_handle() -> None:
    out = run_script(
        """
        import sys, scamem
        x = scamem.zeros(100_000)
        assert "multiprocessing" not in sys.modules
        from multiprocessing.reduction import ForkingPickler
        import multiprocessing
        config = multiprocessing.current_process()._config
        with scamem.by_handle():
            print(len(bytes(ForkingPickler.dumps(x))) < 1000, "scamem" in config)
        print(scamem.Array in ForkingPickler._extra_reducers)
        """
    )
    assert out == "True True\nTrue\n"


def test_modules_that_were_waited_for_are_whole() -> None:
    """The loader that told of the import is as it would be without scamem."""
    out = run_script(
        """
        import importlib, inspect, sys, scamem
        import multiprocessing.reduction as module
        source = inspect.getsource(module)
        print("exec_module" in vars(module.__loader__), "class ForkingPickler" in source)
        again = importlib.reload(module)
        print(again is module, sys.meta_path[0].find_spec("no_such_module_at_all"))
        """
    )
    assert out == "False True\nTrue None\n"
