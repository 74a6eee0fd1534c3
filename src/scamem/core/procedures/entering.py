"""Enter an arena and leave its lock: the fast way, which waits for nobody but this process.

Steps. enter: the local lock, then some tries of the arena's. A forked child says at its first
entering under which pid it runs (transactions/fork.py). leave: the arena's lock, then the local
one. Who gets BUSY has neither lock, and waits as waiting.py says.
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
    """Take both locks: OK; else neither is held: BUSY, DAMAGED, or NOT_HELD (no member)."""
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
    """Say this process's pid if it was forked and has not said it. Needs: both locks held."""
    if mine[L.MINE_ARRIVING] != 0:
        mine[L.MINE_ARRIVING] = 0
        fork.arrive(arena, mine, table.pid())


def leave(arena: Words, mine: Words) -> word:
    """Give both locks up."""
    status: word = letting_go.unlock_arena(arena, mine)
    letting_go.release()
    return status
