"""Commands whose standard streams the shell has closed: `scamem ls >&-`."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from .conftest import COMMAND, Run


def closed(
    environment: dict[str, str], closing: str, *arguments: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command under a shell that closes some of its streams."""
    line = ["sh", "-c", f'exec "$@" {closing}', "sh", *COMMAND, *arguments]
    return subprocess.run(
        line, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("closing", "arguments"),
    [(">&-", ["ls"]), (">&- <&-", ["get", "t", "-"]), (">&-", ["--version"])],
)
def test_stdout(
    scamem: Run, environment: dict[str, str], closing: str, arguments: list[str]
) -> None:
    scamem("put", "-", "t", input=b"1")
    ended = closed(environment, closing, *arguments)
    assert ended.returncode == 1
    assert ended.stderr == b"scamem: stdout is closed; nothing can be printed\n"


def test_nothing_is_done_without_stdout(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "t", input=b"1")
    assert closed(environment, ">&-", "rm", "t").returncode == 1
    assert scamem("get", "t", "-").stdout == b"1"


def test_stdin(scamem: Run, environment: dict[str, str]) -> None:
    scamem("put", "-", "t", input=b"1")
    assert closed(environment, "<&-", "get", "t", "-").stdout == b"1"
    assert b"1 object" in closed(environment, "<&-", "top").stdout
    for options in ((), ("--as", "csv")):
        ended = closed(environment, "<&-", "put", "-", "t", "--replace", *options)
        assert ended.returncode == 1
        assert ended.stderr == b"scamem: stdin is closed; nothing can be read from it\n"
    assert scamem("get", "t", "-").stdout == b"1"


@pytest.mark.parametrize("closing", ["2>&-", "2>&- <&-"])
def test_stderr(scamem: Run, environment: dict[str, str], closing: str) -> None:
    """What would go there is lost, and goes nowhere else."""
    scamem("put", "-", "t", input=b"1")
    ended = closed(environment, closing, "get", "nope", "-")
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def test_no_file_gets_the_number_of_a_closed_stream(
    scamem: Run, environment: dict[str, str]
) -> None:
    """Else what is meant for a terminal would be written over an arena."""
    scamem("put", "-", "t", input=b"1")
    line = [*COMMAND, "get", "nope", "-", "--wait", "100"]
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" 2>&- <&-', "sh", *line], env=environment, stdout=subprocess.PIPE
    ) as waiting:
        members: list[int] = []
        while waiting.pid not in members:
            stats = json.loads(scamem("stat", "--json").stdout)
            members = [member["pid"] for member in stats["members"]]
        files = [os.readlink(f"/proc/{waiting.pid}/fd/{number}") for number in (0, 2)]
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate()[0] == b""
    assert files == [os.devnull, os.devnull]
