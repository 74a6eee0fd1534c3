"""Enter an arena and leave its lock: the fast path, which waits only for this process.

Steps. enter: takes the local lock, then tries the arena's lock some times. A forked child stores
its pid when it first enters (transactions/fork.py). leave: gives up the arena's lock, then the
local one. A caller that gets BUSY has neither lock, and waits as described in waiting.py.
"""

import cython

if cython.compiled:
    from cython.cimports.scamem.core.store import layout as L
else:
    from ..store import layout as L
    from ..store import lock
    from ..store.words import Words, word
    from ..transactions import fork
    from . import letting_go, local_lock
    from .host import table


def enter(arena: Words, mine: Words) -> word:
    """Take both locks: OK. Else neither is held: BUSY, DAMAGED, or NOT_HELD (not a member)."""
    spins: word = L.SPINS
    status: word
    local_lock.lock()
    if mine[L.MINE_STATUS] != L.MEMBER_ACTIVE:
        letting_go.release()
        return L.NOT_HELD
    status = lock.try_lock(arena, mine[L.MINE_SLOT])
    while status == L.BUSY and spins > 0:
        spins -= 1
        status = lock.try_lock(arena, mine[L.MINE_SLOT])
    if status != L.OK:
        letting_go.release()
        return status
    if mine[L.MINE_ARRIVING] != 0:
        arrive(arena, mine)
    return L.OK


def arrive(arena: Words, mine: Words) -> None:
    """Store this process's pid if it was forked and has not yet done so. Needs: both locks held."""
    if mine[L.MINE_ARRIVING] != 0:
        mine[L.MINE_ARRIVING] = 0
        fork.arrive(arena, mine, table.pid())


def leave(arena: Words, mine: Words) -> word:
    """Give up both locks."""
    status: word = letting_go.unlock_arena(arena, mine)
    letting_go.release()
    return status
