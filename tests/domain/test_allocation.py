"""Who reads what in which order."""

from collections import Counter
from itertools import groupby, pairwise
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.allocation import Case, allocate, arm_orders, deal
from reader_study.domain.design import TRAINING, Arm, Design
from reader_study.domain.errors import AllocationImpossible
from reader_study.domain.protocol import Allocation, Restrictions
from tests.domain.designs import CROSSOVER, EVERY_DESIGN, SEQUENTIAL

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


# Designs

NUMBERS = st.integers(0, 2**32)


@st.composite
def studies(draw, names=tuple(EVERY_DESIGN)):
    """A design, readers, cases with subjects and truth, and training cases."""
    design = Design.model_validate(EVERY_DESIGN[draw(st.sampled_from(names))])
    readers = [f"R{n}" for n in range(draw(st.integers(3, 14)))]
    subjects = draw(st.lists(st.integers(1, 3), min_size=6, max_size=25))
    cases = [
        Case(f"C{s}-{n}", f"S{s}", draw(st.sampled_from([True, False, None])))
        for s, several in enumerate(subjects)
        for n in range(several)
    ]
    return design, readers, cases


def dealt(study, seed, **restrictions):
    design, readers, cases = study
    limits = Restrictions(**restrictions) if restrictions else None
    training = ["T1", "T2", "T3"] if design.training else []
    return deal(design, Allocation(seed=seed, restrictions=limits), readers, cases, training)


@given(study=studies(), seed=NUMBERS)
def test_every_reader_reads_each_case_of_their_set_once_under_every_arm(study, seed):
    design, readers, cases = study
    places = [p for p in dealt(study, seed) if p.session != TRAINING and not p.repeat]
    arms = {arm.name for arm in design.every_arm}
    read = {}
    for place in places:
        read.setdefault((place.reader, place.case), []).append(place)

    for ways in read.values():
        assert sorted(p.arm for p in ways) == sorted(arms)
        assert sorted(p.session for p in ways) == [*range(1, len(arms) + 1)]
    sets = {frozenset(c for r, c in read if r == reader) for reader in readers}
    assert sum(map(len, sets)) == len(cases)  # the sets part the cases
    assert len(sets) == design.case_sets


@given(study=studies(), seed=NUMBERS)
def test_positions_count_from_one_in_every_session(study, seed):
    sessions = {}
    for place in dealt(study, seed):
        sessions.setdefault((place.reader, place.session), []).append(place.position)

    assert all(positions == [*range(1, len(positions) + 1)] for positions in sessions.values())


@given(study=studies(), seed=NUMBERS)
def test_no_case_comes_twice_in_a_session_and_repeats_have_their_own(study, seed):
    places = dealt(study, seed)

    assert max(Counter((p.reader, p.session, p.case) for p in places).values()) == 1
    of_repeats = {p.session for p in places if p.repeat}
    assert not of_repeats & {p.session for p in places if not p.repeat}
    repeats = study[0].repeats
    per_reader = Counter(p.reader for p in places if p.repeat)
    assert set(per_reader.values()) == ({repeats.cases} if repeats else set())


@given(study=studies(), seed=NUMBERS)
def test_case_sets_are_alike_in_number_when_every_subject_has_one_case(study, seed):
    design, readers, cases = study
    alone = [case._replace(subject=case.name) for case in cases]
    places = dealt((design, readers, alone), seed)

    sets = {frozenset(p.case for p in places if p.reader == r and p.session == 1) for r in readers}
    for truth in (None, True, False):
        of_truth = {case.name for case in alone if truth is None or case.positive is truth}
        counts = [len(part & of_truth) for part in sets]
        assert max(counts) - min(counts) <= 1


@given(study=studies(["split-plot", "split-plot sequential"]), seed=NUMBERS)
def test_cases_of_one_subject_stay_in_one_set(study, seed):
    subject = {case.name: case.subject for case in study[2]}
    readers_of = {}
    for place in dealt(study, seed):
        readers_of.setdefault(subject[place.case], {}).setdefault(place.case, set()).add(
            place.reader
        )

    assert all(len(set(map(frozenset, of.values()))) == 1 for of in readers_of.values())


@given(study=studies(), seed=NUMBERS, distance=st.integers(2, 4), run=st.integers(2, 5))
def test_restrictions_hold_in_every_session_or_the_plan_is_refused(study, seed, distance, run):
    of = {case.name: case for case in study[2]}
    try:
        places = dealt(study, seed, subject_distance=distance, max_positives_in_a_row=run)
    except AllocationImpossible:
        return
    for (_, session), sitting in groupby(places, lambda p: (p.reader, p.session)):
        if session == TRAINING:
            continue
        line = [of[place.case] for place in sitting]
        runs = [len([*g]) for positive, g in groupby(line, lambda c: c.positive) if positive]
        assert max(runs, default=0) <= run
        last = {}
        for position, case in enumerate(line):
            assert position - last.get(case.subject, -distance) >= distance
            last[case.subject] = position


@pytest.mark.parametrize("positives", [0.1, 0.3, 0.5, 0.7])
def test_an_order_is_found_whenever_negatives_are_enough_to_part_the_positives(positives):
    for seed in range(20):
        cases = [Case(f"C{n}", f"S{n // 2}", n < positives * 100) for n in range(100)]
        design = Design.model_validate(SEQUENTIAL)
        assert len(dealt((design, ["R"], cases), seed, max_positives_in_a_row=3)) == 100


def test_a_plan_that_cannot_be_is_refused_without_telling_the_truth():
    cases = [Case(f"C{n}", f"S{n}", n != 0) for n in range(9)]

    with pytest.raises(AllocationImpossible, match=r"^No order was found"):
        dealt((Design.model_validate(SEQUENTIAL), ["R"], cases), 1, max_positives_in_a_row=3)


@given(cases=NAMES.filter(len), seed=NUMBERS)
def test_without_restrictions_the_first_session_is_the_plain_hashed_order(cases, seed):
    design = Design.model_validate(CROSSOVER)
    places = deal(design, Allocation(seed=seed), ["R1"], [Case(c, c) for c in cases])

    first = [(p.reader, p.case, p.position) for p in places if p.session == 1]
    assert first == [p[:3] for p in allocate(["R1"], cases, seed)]


def test_the_second_session_is_known_for_a_seed():
    # Worked out with sha256sum: printf '7\nR1\n2\na' | sha256sum, and so on.
    cases = [Case(name, name) for name in "abc"]
    places = deal(Design.model_validate(CROSSOVER), Allocation(seed=7), ["R1"], cases)

    assert [p.case for p in places if p.session == 2] == ["c", "a", "b"]


def test_orders_of_two_arms_of_one_reader_are_independent_over_1000_seeds():
    design, names = Design.model_validate(CROSSOVER), [f"C{n}" for n in range(50)]
    cases = [Case(name, name) for name in names]
    rhos = []
    for seed in range(1000):
        places = deal(design, Allocation(seed=seed), ["R"], cases)
        ranks = [{p.case: p.position for p in places if p.session == s} for s in (1, 2)]
        first, second = ([of[name] for name in names] for of in ranks)
        rhos.append(
            sum((a - 25.5) * (b - 25.5) for a, b in zip(first, second, strict=True)) / 10412.5
        )

    # Spearman's rho of 50 cases: mean 0, standard deviation 1/7; of the mean of 1,000: 0.0045.
    assert abs(fmean(rhos)) < 4 * 0.0045
    assert stdev(rhos) == pytest.approx(1 / 7, abs=0.013)


@pytest.mark.parametrize("arms", range(2, 8))
def test_williams_squares_balance_sessions_and_what_comes_after_what(arms):
    design = Design.model_construct(
        kind="crossover",
        order="williams",
        arms=tuple(Arm.model_construct(name=f"a{n}", stages=()) for n in range(arms)),
    )
    orders = arm_orders(design)

    assert len(orders) == (arms if arms % 2 == 0 else 2 * arms)
    in_session = Counter((n, arm) for order in orders for n, arm in enumerate(order))
    assert len(set(in_session.values())) == 1
    after = Counter(pair for order in orders for pair in pairwise(order))
    assert len(after) == arms * (arms - 1)
    assert len(set(after.values())) == 1


@given(study=studies(["crossover", "three conditions", "latin", "hybrid"]), seed=NUMBERS)
def test_orders_of_arms_differ_in_number_of_readers_by_at_most_one(study, seed):
    orders = Counter(
        tuple(sorted({(p.session, p.arm) for p in places}))
        for _, places in groupby(dealt(study, seed), lambda p: p.reader)
    )
    counts = [*orders.values()]
    if len(study[1]) >= len(arm_orders(study[0])):
        assert len(orders) == len(arm_orders(study[0]))
        assert max(counts) - min(counts) <= 1


@given(study=studies(["mixed sessions", "four conditions"]), seed=NUMBERS)
def test_in_mixed_sessions_every_reader_has_every_arm_equally_often(study, seed):
    arms = len(study[0].every_arm)
    counts = Counter((p.reader, p.session, p.arm) for p in dealt(study, seed))

    for reader, session in {key[:2] for key in counts}:
        per_arm = [counts[reader, session, arm.name] for arm in study[0].every_arm]
        assert len(per_arm) == arms
        assert max(per_arm) - min(per_arm) <= 1
