"""Scatter-gather I/O: bytes between spans of memory and a descriptor, without the GIL.

Spans are `struct iovec`s: pairs of 64-bit words, address and length. One system call takes 1,024 of
them, so a transfer makes as many calls as it needs, each continuing where the last one stopped.
Signals are checked when a call was interrupted, and ten times a second.

The caller holds the memory until the call returns. Nothing here outlives a killed process: the
kernel ends these calls before it releases the address space.
"""

from __future__ import annotations

import errno as numbers
import fcntl
import io
import os
from typing import Any, Final, cast

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.libc.errno import EAGAIN, EINTR, EINVAL, EIO, EMSGSIZE, ETIMEDOUT, errno
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec
from cython.cimports.scamem.address_space.io import (
    AT_OFFSET,
    AT_POSITION,
    CALL_BYTES,
    END,
    FAILED,
    FINISHED,
    LOOK,
    MESSAGES,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_TRUNC,
    NS_IN_MS,
    NS_IN_S,
    POLLIN,
    POLLOUT,
    SLICE_MS,
    SLICE_NS,
    SPANS_MAX,
    SSIZE_MAX,
    STREAM,
    TIMED_OUT,
    Job,
    iovec,
    msghdr,
    poll,
    pollfd,
    preadv,
    pwritev,
    readv,
    recvmsg,
    sendmsg,
    writev,
)

# --- without the GIL ---------------------------------------------------------------------------


def now_ns() -> cython.ulonglong:
    now = cython.declare(timespec)
    clock_gettime(CLOCK_MONOTONIC, cython.address(now))
    return cython.cast(cython.ulonglong, now.tv_sec) * NS_IN_S + now.tv_nsec


def fill(job: cython.pointer(Job), batch: cython.pointer(iovec)) -> cython.int:
    """Put the next spans into a batch for one call; return how many there are."""
    used: cython.int = 0
    room: cython.size_t = job.call_bytes
    index: cython.size_t = job.index
    within: cython.size_t = job.within
    length: cython.size_t
    while used < SPANS_MAX and index < job.count and room > 0:
        length = job.spans[index].iov_len - within
        if length > room:
            length = room
        batch[used].iov_base = cython.cast(cython.p_char, job.spans[index].iov_base) + within
        batch[used].iov_len = length
        room -= length
        used += 1
        index += 1
        within = 0
    job.asked = job.call_bytes - room
    return used


def count_done(job: cython.pointer(Job), nbytes: cython.size_t) -> cython.void:
    """Advance by the bytes that a call has transferred."""
    span_left: cython.size_t
    job.done += nbytes
    job.left -= nbytes
    job.offset += nbytes
    while nbytes > 0:
        span_left = job.spans[job.index].iov_len - job.within
        if nbytes < span_left:
            job.within += nbytes
            return
        nbytes -= span_left
        job.index += 1
        job.within = 0


def call_file(
    job: cython.pointer(Job), batch: cython.pointer(iovec), count: cython.int
) -> cython.Py_ssize_t:
    """Make one call on a descriptor: bytes done, or a negative errno."""
    done: cython.Py_ssize_t
    if job.kind == AT_OFFSET:
        if job.writes:
            done = pwritev(job.fd, batch, count, job.offset)
        else:
            done = preadv(job.fd, batch, count, job.offset)
    elif job.writes:
        done = writev(job.fd, batch, count)
    else:
        done = readv(job.fd, batch, count)
    return done if done >= 0 else -errno


def call_socket(
    job: cython.pointer(Job), batch: cython.pointer(iovec), count: cython.int
) -> cython.Py_ssize_t:
    """Make one call on a socket, which does not block: bytes done, or a negative errno."""
    message = cython.declare(msghdr)
    done: cython.Py_ssize_t
    memset(cython.address(message), 0, cython.sizeof(msghdr))
    message.msg_iov = batch
    message.msg_iovlen = count
    if job.writes:
        done = sendmsg(job.fd, cython.address(message), MSG_DONTWAIT | MSG_NOSIGNAL)
    else:
        done = recvmsg(job.fd, cython.address(message), MSG_DONTWAIT)
    if done < 0:
        return -errno
    if job.kind == MESSAGES and (message.msg_flags & MSG_TRUNC) != 0:
        return -EMSGSIZE
    return done


def await_socket(job: cython.pointer(Job)) -> cython.int:
    """Wait for a socket for a short time: FINISHED if it is ready, LOOK, or TIMED_OUT."""
    about = cython.declare(pollfd)
    slice_ms: cython.int = SLICE_MS
    now: cython.ulonglong = now_ns()
    about.fd = job.fd
    about.events = POLLOUT if job.writes else POLLIN
    about.revents = 0
    if job.deadline_ns != 0:
        if now >= job.deadline_ns:
            return TIMED_OUT
        if (job.deadline_ns - now) // NS_IN_MS < SLICE_MS:
            slice_ms = cython.cast(cython.int, (job.deadline_ns - now) // NS_IN_MS + 1)
    return FINISHED if poll(cython.address(about), 1, slice_ms) > 0 else LOOK


def after_failure(job: cython.pointer(Job), error: cython.int) -> cython.int:
    """Return what a call's error means: LOOK, END, FAILED, or FINISHED (continue at once)."""
    job.error = error
    if error == EINTR:
        return LOOK
    if error == EAGAIN and job.waits:
        return await_socket(job)
    # Past the last whole block of a file, O_DIRECT cannot even find out whether there is more.
    if error == EINVAL and job.was_short and not job.writes:
        return END
    return FAILED


def go_on(job: cython.pointer(Job)) -> cython.int:
    """Transfer until everything is done, or until Python must check or report something."""
    batch: iovec[1024]
    count: cython.int
    done: cython.Py_ssize_t
    status: cython.int
    look_ns: cython.ulonglong = now_ns() + SLICE_NS
    while job.left > 0:
        count = fill(job, batch)
        if job.kind >= STREAM:
            done = call_socket(job, batch, count)
        else:
            done = call_file(job, batch, count)
        if done < 0:
            status = after_failure(job, cython.cast(cython.int, -done))
            if status != FINISHED:
                return status
        elif job.kind == MESSAGES:
            job.done = done
            return FINISHED
        elif done == 0:
            job.error = EIO
            return FAILED if job.writes else END
        else:
            job.was_short = cython.cast(cython.size_t, done) < job.asked
            count_done(job, done)
            if job.left > 0 and now_ns() > look_ns:
                return LOOK
    return FINISHED


# --- with it -----------------------------------------------------------------------------------


@cython.cfunc
@cython.exceptval(-1)
def run(job: cython.pointer(Job), spans: bytes) -> cython.Py_ssize_t:
    """Run a transfer to its end: bytes done. Raises what a signal handler raises, or OSError."""
    status: cython.int = LOOK
    asked: cython.size_t = 0
    k: cython.size_t
    job.spans = cython.cast(cython.pointer(iovec), cython.cast(cython.p_char, spans))
    job.count = len(spans) // cython.sizeof(iovec)
    for k in range(job.count):
        asked += job.spans[k].iov_len
    job.left = asked
    while status == LOOK:
        with cython.nogil:
            status = go_on(job)
        if status == LOOK:
            PyErr_CheckSignals()
    if status == TIMED_OUT:
        job.error = ETIMEDOUT
    if status in (TIMED_OUT, FAILED):
        raise failure(job.error, job.fd, job.kind >= STREAM, job.writes, job.done, asked)
    return job.done


def transfer_file(spans: bytes, file: Any, offset: int | None, writes: bool) -> int:
    """Read a file into spans of memory, or write them to it; return the bytes done.

    Parameters
    ----------
    spans : `struct iovec`s, of memory that the caller holds.
    file : a descriptor, or an object with a `fileno()`.
    offset : bytes from the file's start; None: the descriptor's position, which advances.
    writes : whether to write.

    Returns
    -------
    int : less than the size of the spans only at the end of a file.

    Raises
    ------
    OSError : `bytes_done` bytes were transferred before; BlockingIOError from a descriptor that
        does not block.
    TypeError : a buffered file without an offset.
    """
    job = cython.declare(Job)
    memset(cython.address(job), 0, cython.sizeof(Job))
    job.fd = descriptor_of(file, offset)
    job.call_bytes = CALL_BYTES
    job.writes = writes
    job.kind = AT_POSITION
    if offset is not None:
        if offset < 0:
            raise ValueError(f"asked for the offset {offset} of a file; an offset is 0 or more")
        job.kind = AT_OFFSET
        job.offset = offset
    return run(cython.address(job), spans)


def transfer_socket(spans: bytes, sock: Any, writes: bool) -> int:
    """Receive from a socket into spans of memory, or send them; return the bytes done.

    The socket's timeout covers the whole transfer, as with `sendall`. A datagram socket sends or
    receives one message.

    Raises
    ------
    OSError : `bytes_done` bytes were transferred before; TimeoutError after the socket's timeout,
        BlockingIOError from a socket that does not block.
    TypeError : not a plain socket: a TLS socket's bytes are not its descriptor's.
    """
    import socket  # takes longer to import than all else of this package that pins need

    job = cython.declare(Job)
    if getattr(type(sock), "sendmsg", None) is not socket.socket.sendmsg:
        raise TypeError(
            f"asked for I/O on a {type(sock).__name__}; only the bytes of a plain socket go "
            "to its descriptor unchanged. Use its own send and recv_into with a view "
            "(obj.map()), or read_from and write_to with a descriptor"
        )
    memset(cython.address(job), 0, cython.sizeof(Job))
    job.fd = sock.fileno()
    job.writes = writes
    # Not `sock.type`, which makes an enumeration at each access.
    kind = socket.SocketType.type.__get__(sock)
    job.kind = STREAM if kind == socket.SOCK_STREAM else MESSAGES
    job.call_bytes = CALL_BYTES
    if job.kind == MESSAGES:
        job.call_bytes = SSIZE_MAX
    timeout_s = sock.gettimeout()
    job.waits = timeout_s != 0
    if timeout_s:
        job.deadline_ns = now_ns() + cython.cast(cython.ulonglong, timeout_s * NS_IN_S)
    if job.kind == MESSAGES and job.writes and len(spans) // cython.sizeof(iovec) > SPANS_MAX:
        raise failure(EMSGSIZE, job.fd, True, True, 0, 0)
    return run(cython.address(job), spans)


def descriptor_of(file: Any, offset: int | None) -> int:
    """Return a file's descriptor; TypeError if its position is not the descriptor's."""
    if isinstance(file, int):
        return file
    if offset is None and isinstance(file, io.BufferedIOBase | io.TextIOBase):
        raise TypeError(
            f"asked for I/O at the position of a {type(file).__name__}, which is buffered: its "
            "descriptor has another position. Give the offset (file.tell()), or open it with "
            "buffering=0"
        )
    return int(file.fileno())


def failure(number: int, fd: int, is_socket: bool, writes: bool, done: int, asked: int) -> OSError:
    """Return the exception for an errno: how much was done, how much was asked, what to do."""
    verb = ("sent to" if is_socket else "written to") if writes else "read from"
    hint = HINTS.get(number, "")
    if number == EINVAL and is_direct(fd):
        hint = (
            "it was opened with O_DIRECT, which takes whole blocks of the device (512 to 4,096 "
            "bytes): offset, start and nbytes must be multiples of that. Transfer whole frames, or "
            "open it without O_DIRECT"
        )
    made: Any = OSError(
        number,
        f"{os.strerror(number)}: {done:,} of {asked:,} bytes were {verb} descriptor {fd}"
        + (f"; {hint}" if hint else ""),
    )
    made.bytes_done = done
    if isinstance(made, BlockingIOError):
        made.characters_written = done
    return cast("OSError", made)


def is_direct(fd: int) -> bool:
    """Tell whether a descriptor was opened with O_DIRECT."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT != 0
    except OSError:
        return False  # it is not even open


HINTS: Final = {
    numbers.EAGAIN: "it does not block: wait until it is ready, then continue with start=",
    numbers.EBADF: "is it open, and in the right mode?",
    numbers.EMSGSIZE: "a message is sent whole and has at most 1,024 runs; a longer one that came "
    "was cut off, and its rest is lost",
    numbers.EPIPE: "the other side has closed its end",
    numbers.ESPIPE: "pipes, sockets and terminals have no offsets: leave it out",
    numbers.ETIMEDOUT: "continue with start=, or allow more time",
}
