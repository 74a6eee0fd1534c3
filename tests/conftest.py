"""What every folder of tests may use; each folder's own fixtures live in its own conftest."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STOP_BUILD = ROOT / "build" / "stop"


def pytest_configure() -> None:
    """Let interrupts through: a shell's background job has them ignored, and so would all children.

    What ignores SIGINT on being started ignores it for good; tests send it to what they start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("scamem")
    group.addoption(
        "--deep", action="store_true", help="search to the documented depth (make explore)"
    )
    group.addoption(
        "--soak-seconds", type=float, default=10.0, help="how long each soak test runs (make soak)"
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The top folder of the sources."""
    return ROOT


@pytest.fixture(scope="session")
def deep(pytestconfig: pytest.Config) -> bool:
    """Whether exhaustive searches go to their documented depth."""
    return bool(pytestconfig.getoption("--deep"))


@pytest.fixture(scope="session")
def soak_seconds(pytestconfig: pytest.Config) -> float:
    """How long a soak test runs."""
    return float(pytestconfig.getoption("--soak-seconds"))


@pytest.fixture(scope="session")
def stop_environment() -> dict[str, str]:
    """The environment of a child process that runs the library with the stop hook compiled in."""
    if not (STOP_BUILD / "scamem" / "__init__.py").exists():
        pytest.fail(f"no library with the stop hook in {STOP_BUILD}: run `make stop-build`")
    return {**os.environ, "PYTHONPATH": f"{STOP_BUILD}{os.pathsep}{ROOT}"}


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on tmpfs where this test's named arenas live (SCAMEM_DIR), removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="scamem-test-", dir="/dev/shm"))
    monkeypatch.setenv("SCAMEM_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)
