"""The loop of a vmap: one `mremap` per run, without the GIL.

`mremap` with an old size of 0 maps the shared pages of the direct map a second time. It needs no
descriptor, so none has to be trusted, and the new mapping has the protection and advice of the old
one from the start. Tried instead: `mmap` of the file, 3.6 us per run over a reservation, and 1.1
for the advice and protection that follow; `mremap` 4.0 and 0.1 (Linux 6.18, 40,000 runs).
"""

import cython
from cython.cimports.libc.errno import errno
from cython.cimports.posix.mman import MAP_FAILED, mremap
from cython.cimports.scamem.address_space.stitch import MREMAP_FIXED, MREMAP_MAYMOVE


def stitch(direct: int, spans: int, count: int, view: int) -> tuple[int, int]:
    """Map spans of a direct map one after the other; return (spans done, errno or 0).

    Parameters
    ----------
    direct : address of the direct map.
    spans : address of `count` pairs of 64-bit words: offset in the direct map and length, bytes.
    view : address of a reservation as long as all spans together; they replace it.
    """
    source: cython.p_char = cython.cast(cython.p_char, cython.cast(cython.size_t, direct))
    target: cython.p_char = cython.cast(cython.p_char, cython.cast(cython.size_t, view))
    pair: cython.p_ulonglong = cython.cast(cython.p_ulonglong, cython.cast(cython.size_t, spans))
    total: cython.ulonglong = count
    done: cython.ulonglong = 0
    error: cython.int = 0
    flags: cython.int = MREMAP_MAYMOVE | MREMAP_FIXED
    with cython.nogil:
        while done < total:
            if mremap(source + pair[0], 0, pair[1], flags, target) == MAP_FAILED:
                error = errno
                break
            target += pair[1]
            pair += 2
            done += 1
    return done, error
