"""Who reads what in which order."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.allocation import allocate

NAMES = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), unique=True, max_size=12)


@given(readers=NAMES, cases=NAMES, seed=st.integers(0, 2**32))
def test_every_reader_reads_every_case_once_at_positions_from_one(readers, cases, seed):
    places = allocate(readers, cases, seed)

    assert Counter((p.reader, p.case) for p in places) == Counter(
        (reader, case) for reader in readers for case in cases
    )
    for reader in readers:
        assert [p.position for p in places if p.reader == reader] == [*range(1, len(cases) + 1)]


@given(readers=NAMES, cases=NAMES, seed=st.integers(0, 2**32), new=st.text("xyz", min_size=1))
def test_a_new_case_or_reader_moves_nobody_elses_order(readers, cases, seed, new):
    before = [(p.reader, p.case) for p in allocate(readers, cases, seed)]
    after = [(p.reader, p.case) for p in allocate([*readers, new], [*cases, new], seed)]

    assert [p for p in after if new not in p] == before


def test_the_order_is_known_for_a_seed():
    # Worked out with sha256sum: printf '7\nR1\na' | sha256sum, and so on.
    assert [p.case for p in allocate(["R1"], ["a", "b", "c"], 7)] == ["b", "a", "c"]


def test_every_position_is_equally_likely():
    firsts = Counter(allocate(["R"], ["a", "b", "c", "d"], seed)[0].case for seed in range(4000))

    # Binomial(4000, 1/4): five standard deviations are 137.
    assert all(abs(count - 1000) < 137 for count in firsts.values())


def test_two_readers_orders_are_independent():
    cases = [f"C{n}" for n in range(50)]
    concordance = []
    for seed in range(200):
        places = allocate(["R1", "R2"], cases, seed)
        of = [{p.case: p.position for p in places if p.reader == r} for r in ("R1", "R2")]
        first, second = ([ranks[c] for c in cases] for ranks in of)
        mean = 25.5
        covariance = sum((a - mean) * (b - mean) for a, b in zip(first, second, strict=True))
        concordance.append(covariance / sum((a - mean) ** 2 for a in first))

    # Spearman's rho of 50 has a standard deviation of 1/7; its mean over 200 one of 0.0101.
    assert abs(sum(concordance) / 200) < 0.05


@pytest.mark.parametrize(("readers", "cases"), [(["a", "a"], ["x"]), (["a"], ["x\ny"])])
def test_names_that_could_be_mixed_up_are_refused(readers, cases):
    with pytest.raises(ValueError, match="distinct names"):
        allocate(readers, cases, 1)
