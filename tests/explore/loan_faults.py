"""Faults of lending, as in faults.py: what a loan keeps, for how long, and who may end it."""

from __future__ import annotations

from tests.explore import refusals
from tests.explore.faults import Fault, crash, model

FAULTS = (
    Fault(
        "loan id reused",
        "transactions/lend",
        "journal.put(arena, L.NEXT_LOAN_ID, loan_id + 1)",
        "journal.put(arena, L.NEXT_LOAN_ID, loan_id)",
        crash("lend.lend"),
        "I2 .* under an id that is",
    ),
    Fault(
        "load in two transactions",
        "transactions/lend",
        "    holder: word = record_of(mine, obj)\n    lender: word =",
        "    if loans.holder_of(arena, mine, loan, loan_id) != 0:\n"
        "        take_loan(arena, mine, loan)\n        journal.commit(arena)\n"
        "    holder: word = record_of(mine, obj)\n    lender: word =",
        crash("lend.load the last in transit"),
        "atomicity: |I[1-7] |result: |damage: ",
    ),
    Fault(
        "loan not taken by the load",
        "transactions/lend",
        "        take_loan(arena, mine, loan)\n    if journal.commit(arena) != L.OK:\n"
        "        return L.DAMAGED\n    set_record",
        "        pass\n    if journal.commit(arena) != L.OK:\n"
        "        return L.DAMAGED\n    set_record",
        model(3),
        "model: loans ",
    ),
    Fault(
        "loan age counted from lending",
        "transactions/lend",
        "    if not is_over(arena, mine, holder, grace_s):\n        return 0",
        "    lent: word = arena[loans.at(arena, mine, first) + L.LOAN_LENT_NS]\n"
        "    if monotonic_ns() < lent + grace_s * L.NS_PER_S:\n        return 0",
        refusals.loans_age,
        "loan's age",
    ),
    Fault(
        "loans end while others hold the object",
        "transactions/lend",
        "    if not objects.is_left_to_loans(arena, mine, obj):\n        return newer\n",
        "",
        refusals.loans_of_what_is_held,
        "loan of what is held: ",
    ),
    Fault(
        "grace one second short",
        "transactions/lend",
        "hold.seconds(arena) > second + grace_s",
        "hold.seconds(arena) >= second + grace_s",
        refusals.loans_grace,
        "loan's grace: ",
    ),
    Fault(
        "young loans reclaimed",
        "transactions/lend",
        "    if now_ns < lent_ns + grace_s * L.NS_PER_S:\n",
        "    if False:\n",
        refusals.reclaimed_early,
        "reclaimed early: ",
    ),
    Fault(
        "no second grace before a reclaim",
        "transactions/lend",
        "    return not is_over(arena, mine, holder, grace_s)\n",
        "    return False\n",
        refusals.reclaimed_early,
        "reclaimed early: ",
    ),
    Fault(
        "reclaim ends an object",
        "transactions/lend",
        "    if objects.is_left_to_loans(arena, mine, obj):\n        return True\n",
        "",
        model(4),
        "model: ",
    ),
    Fault(
        "loans about to turn over reclaimed",
        "transactions/lend",
        "        return not holders.has_counts(arena, mine, holder)\n",
        "        return False\n",
        refusals.reclaimed_early,
        "reclaimed early: ",
    ),
    Fault(
        "loan reclaimed in two transactions",
        "transactions/lend",
        "                take_loan(arena, mine, loan)\n                found = L.OK",
        "                loans.unlink(arena, mine, loan)\n                found = L.OK",
        crash("lend.reclaim"),
        "I2 ",
    ),
    Fault(
        "only half of the table searched for loans",
        "transactions/lend",
        "mine[L.MINE_LOANS_NEXT] = loan + 1",
        "mine[L.MINE_LOANS_NEXT] = loan + 2",
        crash("lend.reclaim"),
        "result: other loans",
    ),
    Fault(
        "the oldest loan forgotten",
        "transactions/lend",
        "        if lent_ns < mine[L.MINE_LOANS_SINCE]:\n"
        "            mine[L.MINE_LOANS_SINCE] = lent_ns\n",
        "",
        refusals.oldest_loan,
        "oldest loan: ",
    ),
    Fault(
        "loans of two lenders keep each other alive",
        "objects",
        "== in_transit(arena, mine, obj) + weak",
        "== 1 + weak",
        refusals.loans_of_several,
        "loans of two: ",
    ),
)
