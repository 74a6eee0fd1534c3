"""A process that has imported the command line, and forks a child for each command.

A command spends most of its time on imports. In a child of this process it has them already, and
is in all else what the installed script is: a process of its own, with its own descriptors,
environment and directory. `python warm.py DESCRIPTOR` serves a socket until it ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

STREAMS = 3
REQUEST_BYTES_MAX = 1 << 20


class Warm:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())], pass_fds=[other.fileno()]
            )

    def run(
        self, arguments: list[str], environment: dict[str, str], directory: str, given: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end. `given`: what it reads from stdin."""
        streams = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        try:
            os.write(streams[0], given)
            os.lseek(streams[0], 0, os.SEEK_SET)
            request = json.dumps([arguments, environment, directory]).encode()
            socket.send_fds(self._socket, [request], streams)
            status = int(self._socket.recv(64))
            output, errors = (os.pread(one, os.fstat(one).st_size, 0) for one in streams[1:])
            return subprocess.CompletedProcess(arguments, status, output, errors)
        finally:
            for one in streams:
                os.close(one)

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait()


def serve(connection: socket.socket) -> None:
    """Fork a child for each request, one at a time, and answer with its exit status."""
    while True:
        request, streams, *_ = socket.recv_fds(connection, REQUEST_BYTES_MAX, STREAMS)
        if not request:
            return
        child = os.fork()
        if child == 0:
            connection.close()
            _command(json.loads(request), streams)
        for one in streams:
            os.close(one)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.send(str(status).encode())


def _command(request: tuple[list[str], dict[str, str], str], streams: list[int]) -> None:
    arguments, environment, directory = request
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from scamem.cli import main

    status = main(arguments)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    import scamem.cli.care
    import scamem.cli.look
    import scamem.cli.run
    import scamem.cli.transfer  # noqa: F401 - for the children

    serve(socket.socket(fileno=int(sys.argv[1])))
