"""What a protocol comes to."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from reader_study.domain.allocation import Case
from reader_study.domain.dry_run import balance, dry_run
from reader_study.domain.errors import AllocationImpossible
from reader_study.domain.protocol import parse_protocol
from tests.domain.designs import CROSSOVER, EVERY_DESIGN, THREE_CONDITIONS
from tests.factories import a_protocol

START = date(2026, 1, 5)
READERS = [f"R{n}" for n in range(1, 13)]
CASES = [Case(f"C{n}", f"S{n}") for n in range(1, 25)]


def run(design, readers=READERS, cases=CASES, per_day=4):
    protocol = parse_protocol(a_protocol(design=design))
    return dry_run(protocol, readers, cases, start=START, per_day=per_day)


@pytest.mark.parametrize("name", EVERY_DESIGN)
def test_no_case_comes_back_within_its_washout(name):
    design = parse_protocol(a_protocol(design=EVERY_DESIGN[name])).design

    for reader in READERS:
        own = [s for s in run(EVERY_DESIGN[name]).sittings if s.reader == reader and s.session]
        for before, after in pairwise(own):
            assert after.first_day >= before.first_day + timedelta(days=design.washout)
            assert after.first_day >= before.last_day


def test_the_calendar_counts_days_of_so_many_cases():
    first, second = run(CROSSOVER, READERS[:1]).sittings

    assert (first.first_day, first.last_day) == (START, START + timedelta(days=5))
    assert second.last_day >= first.first_day + timedelta(days=28)
    assert (first.readings, sum(second.arms.values())) == (24, 24)


def test_a_williams_design_balances_arms_sessions_and_orders():
    found = balance(run(THREE_CONDITIONS).places)

    assert set(found.readings.values()) == {4 * 24}  # 12 readers over 3 arms in each session
    assert len(found.orders) == 6
    assert set(found.orders.values()) == {2 * 24}
    assert all(mean == pytest.approx(0.5) for mean in found.mean_position.values())


def test_too_few_readers_for_the_case_sets_are_told():
    with pytest.raises(AllocationImpossible, match="1 readers for 2 case sets"):
        run({**CROSSOVER, "case_sets": 2}, READERS[:1])
