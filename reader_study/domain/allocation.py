"""A design, readers, cases and a seed -> every worklist.

All chance comes from the SHA-256 of the seed and of what is ordered, so that an allocation
is the same in every version of every language and can be checked by hand. Orders of
different readers, sessions and choices hash different texts, and are independent.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from reader_study.domain.design import ONLY_ARM, TRAINING, Design
from reader_study.domain.errors import AllocationImpossible
from reader_study.domain.protocol import Allocation, Restrictions

FIRST_SESSION = 1


class Place(NamedTuple):
    """One case at one position, from 1, of one session of one reader."""

    reader: str
    case: str
    position: int
    session: int = FIRST_SESSION
    arm: str = ONLY_ARM
    repeat: bool = False


class Case(NamedTuple):
    """A case as far as dealing it out depends on it.

    `positive` is of the reference standard: None where it is unknown, or where the protocol
    does not ask for it.
    """

    name: str
    subject: str
    positive: bool | None = None


def allocate(readers: Sequence[str], cases: Sequence[str], seed: int) -> list[Place]:
    """Deal every case to every reader, in an order of the reader's own.

    The order is that of the SHA-256 of seed, reader and case: a uniform random permutation
    for whoever does not know the seed, independent between readers, the same in every
    version of every language, and unmoved for the others when a reader or a case is added.

    Raises:
        ValueError: a reader or a case is named twice, or a name holds a line break.
    """
    _check_names(readers, cases)
    return [
        Place(reader, case, position)
        for reader in readers
        for position, case in enumerate(_in_order(seed, cases, reader), start=1)
    ]


def deal(
    design: Design,
    allocation: Allocation,
    readers: Sequence[str],
    cases: Sequence[Case],
    training: Sequence[str] = (),
) -> list[Place]:
    """Deal `cases` out as `design` says, and `training` cases before them.

    Raises:
        ValueError: a reader or a case is named twice, or a name holds a line break.
        AllocationImpossible: there are too few readers or cases, or no order was found that
            keeps to the restrictions.
    """
    seed = allocation.seed
    _check_names(readers, [*(case.name for case in cases), *training])
    _check_numbers(design, readers, cases)
    of = {case.name: case for case in cases}
    orders = arm_orders(design)
    places = []
    reader_sets = _in_turn(_in_order(seed, readers, "readers"), design.case_sets)
    case_sets = _sets_of_cases(seed, cases, design.case_sets)
    member = {reader: (n, i) for n, part in enumerate(reader_sets) for i, reader in enumerate(part)}
    for reader in readers:
        number, index = member[reader]
        own = case_sets[number]
        groups = 1 if design.counterbalance == "readers" else len(design.every_arm)
        arm_of: dict[tuple[int, str], str] = {}
        for group, part in enumerate(_groups(seed, reader, own, groups)):
            row = _row(orders, len(design.every_arm), index, group)
            for session, arm in enumerate(row, start=FIRST_SESSION):
                arm_of.update({(session, case): arm for case in part})
        names = [case.name for case in own]
        sittings = [(session, names) for session in range(1, len(design.every_arm) + 1)]
        if design.repeats:
            last = design.sessions
            if len(names) < design.repeats.cases:
                raise AllocationImpossible(
                    f"{design.repeats.cases} cases are to be repeated,"
                    f" and a reader reads {len(names)}."
                )
            # The same for all readers of the set.
            again = _in_order(seed, names, "repeats")[: design.repeats.cases]
            sittings.append((last, again))
            arm = design.arm(design.repeats.arm or ONLY_ARM).name
            arm_of.update({(last, case): arm for case in again})
        arms = [arm.name for arm in design.every_arm]
        places += [
            Place(reader, case, position, TRAINING, arms[(position - 1) % len(arms)])
            for position, case in enumerate(training, start=1)
        ]
        for session, sitting in sittings:
            salt = (reader,) if session == FIRST_SESSION else (reader, str(session))
            order = _restricted(seed, salt, sitting, of, allocation.restrictions)
            repeat = session > len(design.every_arm)
            places += [
                Place(reader, case, position, session, arm_of[session, case], repeat)
                for position, case in enumerate(order, start=1)
            ]
    return places


def arm_orders(design: Design) -> list[tuple[str, ...]]:
    """Return the orders of arms that readers are given in turn: squares of `n` rows.

    `fixed`: as in the protocol. `latin`: every arm once in every session. `williams`: also
    every arm equally often right after every other, which takes `2n` rows for odd `n`.

    References
    ----------
    Williams EJ. Experimental designs balanced for the estimation of residual effects of
    treatments. Aust J Sci Res A 1949;2:149-168.
    """
    arms = [arm.name for arm in design.every_arm]
    n = len(arms)
    if design.order == "fixed":
        return [tuple(arms)]
    if design.order == "latin":
        return [tuple(arms[(row + column) % n] for column in range(n)) for row in range(n)]
    # 0, 1, n-1, 2, n-2, ...: neighbours differ by every step once.
    first = [(column + 1) // 2 if column % 2 else -(column // 2) % n for column in range(n)]
    square = [tuple(arms[(start + row) % n] for start in first) for row in range(n)]
    return square if n % 2 == 0 else square + [tuple(reversed(row)) for row in square]


def _row(orders: Sequence[tuple[str, ...]], arms: int, reader: int, group: int) -> tuple[str, ...]:
    """Return the order of a group of cases of the `reader`-th reader.

    The groups of a reader stay within one square, where every session has every arm once.
    """
    if len(orders) == 1:
        return orders[0][group:] + orders[0][:group]
    square, row = divmod(reader % len(orders), arms)
    return orders[square * arms + (row + group) % arms]


def _check_names(readers: Sequence[str], cases: Sequence[str]) -> None:
    for names in (readers, cases):
        if len(set(names)) != len(names) or any("\n" in name for name in names):
            raise ValueError("readers and cases need distinct names of one line")


def _check_numbers(design: Design, readers: Sequence[str], cases: Sequence[Case]) -> None:
    for what, there in (("readers", len(readers)), ("cases", len(cases))):
        if there < design.case_sets:
            raise AllocationImpossible(
                f"There are {there} {what} for {design.case_sets} case sets; each set needs one."
            )


def _in_order(seed: int, names: Iterable[str], *salt: str) -> list[str]:
    """Return `names` in the order of the SHA-256 of seed, salt and name, a line each."""
    start = hashlib.sha256("".join(f"{part}\n" for part in (seed, *salt)).encode())

    def key(name: str) -> bytes:
        digest = start.copy()
        digest.update(name.encode())
        return digest.digest()

    return sorted(names, key=key)


def _in_turn(names: Sequence[str], parts: int) -> list[list[str]]:
    return [list(names[part::parts]) for part in range(parts)]


def _sets_of_cases(seed: int, cases: Sequence[Case], parts: int) -> list[list[Case]]:
    """Part the cases into sets alike in number and, where it is known, in truth.

    Cases of one subject stay together.
    """
    if parts == 1:
        return [list(cases)]
    by_subject: dict[str, list[Case]] = {}
    for case in cases:
        by_subject.setdefault(case.subject, []).append(case)
    if len(by_subject) < parts:
        raise AllocationImpossible(
            f"There are {len(by_subject)} subjects for {parts} case sets; each set needs one."
        )
    sets: list[list[Case]] = [[] for _ in range(parts)]
    for stratum in (True, False, None):
        counts = [0] * parts
        ordered = _in_order(seed, by_subject, "case sets")
        for subject in ordered:
            theirs = by_subject[subject]
            if _stratum(theirs) is not stratum:
                continue
            least = min(range(parts), key=lambda n: (counts[n], len(sets[n]), n))
            counts[least] += len(theirs)
            sets[least] += theirs
    return sets


def _stratum(cases: Sequence[Case]) -> bool | None:
    known = [case.positive for case in cases if case.positive is not None]
    return any(known) if known else None


def _groups(seed: int, reader: str, cases: Sequence[Case], parts: int) -> list[list[str]]:
    """Part a reader's cases into groups that each have an order of arms of their own."""
    if parts == 1:
        return [[case.name for case in cases]]
    ordered: list[str] = []
    for stratum in (True, False, None):
        names = [case.name for case in cases if case.positive is stratum]
        ordered += _in_order(seed, names, "groups", reader)
    return _in_turn(ordered, parts)


# Restrictions

SWEEPS = 20


def _restricted(
    seed: int,
    salt: tuple[str, ...],
    cases: Sequence[str],
    of: Mapping[str, Case],
    restrictions: Restrictions | None,
) -> list[str]:
    """Return the cases in their hashed order, moved where it breaks a restriction.

    Only what breaks one is moved, to a place that another hashed order chooses, so that the
    order stays as close to a uniform permutation as the restrictions let it.

    Raises:
        AllocationImpossible: no order that keeps to them was found.
    """
    order = _in_order(seed, cases, *salt)
    if restrictions is None:
        return order
    line = [of[name] for name in order]
    if restrictions.max_positives_in_a_row is not None:
        line = _without_long_runs(seed, salt, line, restrictions.max_positives_in_a_row)
    if restrictions.subject_distance is not None:
        _set_apart(seed, salt, line, restrictions.subject_distance)
    return [case.name for case in line]


# What is said must not tell how many cases are positive.
IMPOSSIBLE = "No order was found that keeps to the restrictions; relax them."


def _without_long_runs(
    seed: int, salt: tuple[str, ...], line: Sequence[Case], longest: int
) -> list[Case]:
    """Return `line` with at most `longest` positive cases in a row.

    The other cases stay in their order and leave gaps before, between and after them, which
    hold the runs of positive cases. What is too much in a gap moves to places still free in
    others; there is an order whenever there are enough of those.
    """
    others: list[Case] = []
    gaps: list[list[Case]] = [[]]
    for case in line:
        if case.positive:
            gaps[-1].append(case)
        else:
            others.append(case)
            gaps.append([])
    too_many = [case for gap in gaps for case in gap[longest:]]
    if too_many:
        gaps = [gap[:longest] for gap in gaps]
        free = [
            f"{number} {place}"
            for number, gap in enumerate(gaps)
            for place in range(len(gap), longest)
        ]
        if len(free) < len(too_many):
            raise AllocationImpossible(IMPOSSIBLE)
        chosen = _in_order(seed, free, *salt, "runs")
        for case, place in zip(too_many, chosen, strict=False):
            gaps[int(place.split()[0])].append(case)
    spread = list(gaps[0])
    for other, gap in zip(others, gaps[1:], strict=True):
        spread += [other, *gap]
    return spread


def _set_apart(seed: int, salt: tuple[str, ...], line: list[Case], distance: int) -> None:
    """Exchange cases in `line` until those of one subject are `distance` places apart.

    Only cases of the same truth are exchanged, so that no run grows.
    """
    number = Counter(case.subject for case in line)

    def close(place: int) -> int:
        subject = line[place].subject
        if number[subject] == 1:
            return 0
        near = line[max(0, place - distance + 1) : place + distance]
        return sum(case.subject == subject for case in near) - 1

    def exchange(a: int, b: int) -> None:
        line[a], line[b] = line[b], line[a]

    names = [str(place) for place in range(len(line))]
    for sweep in range(SWEEPS):
        amiss = [place for place in range(len(line)) if close(place)]
        if not amiss:
            return
        partners = list(map(int, _in_order(seed, names, *salt, "exchange", str(sweep))))
        for place in amiss:
            before = close(place)
            if not before:
                continue  # an earlier exchange has set it apart
            for other in partners:
                if bool(line[other].positive) is not bool(line[place].positive):
                    continue
                was = before + close(other)
                exchange(place, other)
                if close(place) + close(other) < was:
                    break
                exchange(place, other)
    raise AllocationImpossible(IMPOSSIBLE)
