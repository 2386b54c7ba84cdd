"""Cases that come in clusters, such as the nodules of one patient: covariances without bias.

Patients are the sample, not nodules. What is said of pairs of cases elsewhere is said here of
pairs of pairs: they are apart if none of their four cases is of the same patient, and then
their kernels are independent. Where every case is a patient of its own all of it is what
`covariance.unbiased` and `ustat.u_statistics` give.

References
----------
Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
Gallas BD. One-shot estimate of MRMC variance: AUC. Acad Radiol 2006;13:353-362.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reader_study.statistics.auc import Floats, Kernel, checked, kernel, ratio
from reader_study.statistics.covariance import (
    CHUNK_PAIRS,
    VARIANCE_ZERO,
    difference_of_ratios,
    sums_over,
    within_clusters,
)
from reader_study.statistics.intervals import LEVEL, NAN
from reader_study.statistics.mrmc import obuchowski_rockette
from reader_study.statistics.ustat import (
    Covariance,
    Difference,
    ModalityAuc,
    UStatistics,
    interval,
    p_value,
    satterthwaite,
    why_not_u,
)

Clusters = NDArray[np.intp]


KINDS = 4  # of pairs of pairs: of two patients or of one, the first pair and the second


class Sums(NamedTuple):
    """Sums over pairs of pairs of cases for every two cells g and h.

    A malignant and a benign nodule of one patient are alike, so their kernel has a mean of its
    own. Kinds of pairs of pairs are counted apart: both of two patients each, only the first,
    only the second, neither.
    """

    products: Floats  # (n_cells, n_cells), of the kernels, over all
    pairs: Floats  # (KINDS, n_cells, n_cells), their number
    products_apart: Floats  # (KINDS, n_cells, n_cells), over those without a common cluster
    pairs_apart: Floats  # (KINDS, n_cells, n_cells)


def sums(ratings: ArrayLike, malignant: ArrayLike, clusters: Clusters) -> Sums:
    """Sum the products of the kernels of every two cells, all and those apart.

    Parameters
    ----------
    ratings, malignant : as in `auc.kernel`
    clusters : array of int, shape (n_cases,), numbered from 0 without gaps
    """
    k = kernel(ratings, malignant)
    of_malignant, of_benign = (
        sums_over(clusters, (k.read & truth).astype(np.float64))
        for truth in (k.malignant, ~k.malignant)
    )
    n, within = k.n_malignant * k.n_benign, of_malignant * of_benign
    pairs_apart = _apart(
        n,
        of_malignant * k.n_benign[:, None],
        of_benign * k.n_malignant[:, None],
        within,
        (of_malignant @ of_malignant.T) * (of_benign @ of_benign.T)
        + (of_malignant @ of_benign.T) * (of_benign @ of_malignant.T),
    )
    products_apart = _apart(
        k.totals,
        sums_over(clusters, np.where(k.malignant, k.sums, 0.0)),
        sums_over(clusters, np.where(k.malignant, 0.0, k.sums)),
        within_clusters(k, clusters),
        _same_two(k, clusters),
    )
    inside = within.sum(axis=1)
    kinds = [
        np.outer(first, second) for first in (n - inside, inside) for second in (n - inside, inside)
    ]
    return Sums(np.outer(k.totals, k.totals), np.stack(kinds), products_apart, pairs_apart)


def _apart(total: Floats, row: Floats, column: Floats, within: Floats, same_two: Floats) -> Floats:
    """Sum over pairs of pairs without a common cluster, kind by kind.

    By inclusion and exclusion: of pairs (c, d) and (e, f) of clusters, malignant first, four
    things may be equal: c and e, d and f, c and f, d and e. `total` has the shape (n_cells,),
    other sums (n_cells, n_clusters): over the pairs whose malignant, or benign, or both cases
    are of a cluster. `same_two` is the sum over both pairs being of the same two clusters, in
    this order and the other.
    """
    either, inside = row + column, within.sum(axis=1)
    both_within = within @ within.T
    common = either @ either.T - either @ within.T - within @ either.T - same_two + 3 * both_within
    of_one = np.outer(inside, inside) - both_within
    second_of_one = np.outer(total, inside) - either @ within.T + both_within - of_one
    first_of_one = np.outer(inside, total) - within @ either.T + both_within - of_one
    of_two = np.outer(total, total) - common - second_of_one - first_of_one - of_one
    return np.stack([of_two, second_of_one, first_of_one, of_one])


def squared_mean(
    pairs: Floats, products_apart: Floats, pairs_apart: Floats
) -> tuple[Floats, Floats]:
    """Estimate the mean AUC of g times that of h: a numerator and a denominator.

    Each kind has the weight that it has among all pairs of pairs; one of which none are apart
    is left out. Arguments have the shape (KINDS, ...); the denominator is 0 where there is
    nothing to estimate from.
    """
    there = pairs_apart > 0.5
    weight = np.where(there, pairs, 0.0)
    means = np.divide(products_apart, pairs_apart, out=np.zeros_like(weight), where=there)
    return (weight * means).sum(axis=0), weight.sum(axis=0)


def _same_two(k: Kernel, clusters: Clusters) -> Floats:
    """Sum products over pairs of pairs that are of the same two clusters, in both orders."""
    n_cells, found = len(k.sums), np.zeros((len(k.sums), len(k.sums)))
    order = _order(k)
    malignant, benign = (_by_cluster(clusters, truth) for truth in (k.malignant, ~k.malignant))
    for some in _slices(malignant, n_cells * len(benign.cases)):
        flat = _kernel_sums(order, some, benign).reshape(n_cells, -1)
        found += flat @ flat.T
    # Only clusters with both truths can meet in the other order.
    mixed = np.intersect1d(malignant.numbers, benign.numbers)
    if len(mixed):
        there = np.isin(clusters, mixed)
        of_mixed = [_by_cluster(clusters, truth & there) for truth in (k.malignant, ~k.malignant)]
        for some in _slices(of_mixed[0], n_cells * len(of_mixed[1].cases)):
            own = of_mixed[1].only(some.numbers)
            one = _kernel_sums(order, some, of_mixed[1])
            other = _kernel_sums(order, of_mixed[0], own).transpose(0, 2, 1)
            found += one.reshape(n_cells, -1) @ other.reshape(n_cells, -1).T
    return found


class _Sorted(NamedTuple):
    """Cases of one truth, cluster by cluster."""

    cases: Clusters  # (n_cases_of_it,)
    starts: Clusters  # (n_clusters,), where each cluster begins
    numbers: Clusters  # (n_clusters,), of the clusters

    def only(self, numbers: Clusters) -> "_Sorted":
        """Keep some clusters."""
        ends = np.append(self.starts[1:], len(self.cases))
        kept = [
            self.cases[self.starts[i] : ends[i]] for i in np.searchsorted(self.numbers, numbers)
        ]
        starts = np.cumsum([0, *map(len, kept[:-1])])
        return _Sorted(np.concatenate(kept), starts, numbers)


def _by_cluster(clusters: Clusters, wanted: NDArray[np.bool_]) -> _Sorted:
    cases = np.flatnonzero(wanted)
    cases = cases[np.argsort(clusters[cases], kind="stable")]
    starts = np.flatnonzero(np.diff(clusters[cases], prepend=-1))
    return _Sorted(cases, starts, clusters[cases][starts])


def _slices(of: _Sorted, pairs_of_case: int) -> Iterator[_Sorted]:
    """Take some clusters at a time, so that memory does not grow."""
    ends = np.append(of.starts[1:], len(of.cases))
    first = 0
    while first < len(of.starts):
        room = of.starts[first] + max(1, CHUNK_PAIRS // max(1, pairs_of_case))
        last = max(first + 1, int(np.searchsorted(ends, room, "right")))
        begin = of.starts[first]
        yield _Sorted(
            of.cases[begin : ends[last - 1]], of.starts[first:last] - begin, of.numbers[first:last]
        )
        first = last


class _Order(NamedTuple):
    """Ratings as whole numbers; one that is missing is above, or below, all others."""

    of_malignant: NDArray[np.int32]  # (n_cells, n_cases), -1 where missing
    of_benign: NDArray[np.int32]  # likewise, n_cases where missing


def _order(k: Kernel) -> _Order:
    ranks = np.stack([np.unique(x, return_inverse=True)[1] for x in k.ratings]).astype(np.int32)
    n_cases = k.ratings.shape[1]
    return _Order(np.where(k.read, ranks, -1), np.where(k.read, ranks, n_cases))


def _kernel_sums(order: _Order, malignant: _Sorted, benign: _Sorted) -> Floats:
    """Sum the kernel over the pairs of every two clusters: (n_cells, n_clusters, n_clusters)."""
    if not len(malignant.cases) or not len(benign.cases):
        return np.zeros((len(order.of_benign), len(malignant.starts), len(benign.starts)))
    above = order.of_malignant[:, malignant.cases, None]
    below = order.of_benign[:, None, benign.cases]
    # Twice the kernel, in whole numbers.
    psi = (above > below).view(np.int8) + (above >= below).view(np.int8)
    rows = np.add.reduceat(psi, benign.starts, axis=2, dtype=np.int32)
    return np.add.reduceat(rows, malignant.starts, axis=1) / 2


def unbiased(s: Sums) -> Floats:
    """Estimate the covariance over patients, shape (n_cells, n_cells).

    A_g A_h minus the estimate of the product of their means; NaN where there is none.
    """
    n = s.pairs.sum(axis=0)
    above, below = squared_mean(s.pairs, s.products_apart, s.pairs_apart)
    found = difference_of_ratios(s.products, n, above, below, (below > 0) & (n > 0))
    # Two cells without a common patient are independent, exactly.
    found[(below > 0) & (n == s.pairs_apart.sum(axis=0))] = 0.0
    return found


class Parts(NamedTuple):
    """The covariance of the AUCs of two modalities, and what goes with readers and patients.

    As in the components of iMRMC for degrees of freedom, what only goes with both of them is
    in each of the two.
    """

    covariance: float
    of_readers: float  # covariance of the readers' AUCs, as they are
    of_patients: float  # covariance of the AUCs, readers as they are
    df_readers: float


def parts_of(s: Sums, grid: tuple[int, int], a: int, b: int) -> Parts:
    """Put the covariance of two modalities together."""

    def block(values: Floats) -> Floats:
        return values.reshape(-1, *grid, *grid)[:, a, :, b, :]

    products, pairs, apart, pairs_apart = (block(values) for values in s)
    products, kinds, n = products[0], pairs.sum(axis=(1, 2)), pairs.sum(axis=0)

    def mean(readers: NDArray[np.bool_]) -> float:
        of = (x[:, readers].sum(axis=1) for x in (apart, pairs_apart))
        above, below = squared_mean(kinds, *of)
        return float(above / below) if below > 0 else NAN

    everybody = np.ones((grid[1], grid[1]), dtype=np.bool_)
    expected = mean(~np.eye(grid[1], dtype=np.bool_))
    if not n.sum() > 0 or np.isnan(expected):
        return Parts(NAN, NAN, NAN, NAN)
    found = float(products.sum() / n.sum())  # of one AUC times the other
    covariance = found - expected
    same = float(np.trace(n) / n.sum())  # share of pairs of pairs with one reader
    df_readers = float(np.round(1 / same - 1)) if same > 0 else float("inf")
    of_readers = 0.0
    if same > 0:
        beyond = float(np.trace(products) / np.trace(n)) - found
        of_readers = beyond / df_readers if df_readers > 0 else NAN
    return Parts(
        0.0 if abs(covariance) < VARIANCE_ZERO else covariance,
        of_readers,
        found - mean(everybody),
        df_readers,
    )


def u_statistics(
    ratings: ArrayLike, malignant: ArrayLike, clusters: Clusters, level: float = LEVEL
) -> UStatistics:
    """Compare the AUCs of modalities over readers and patients, whatever the design.

    The variance is the squared mean of the AUCs less the mean of products over different
    readers and pairs apart. Its degrees of freedom are those of Satterthwaite for what readers
    and patients contribute. Moments of single cases do not exist: they are NaN.

    Parameters are those of `ustat.u_statistics` and `sums`.
    """
    x = np.asarray(ratings, dtype=np.float64)
    grid = x.shape[:2]
    cells, truth = checked(x.reshape(-1, x.shape[-1]), malignant)
    s = sums(cells, truth, clusters)
    n_patients = len(np.unique(clusters))
    totals, pairs = (
        np.sqrt(np.diagonal(of)).reshape(grid) for of in (s.products, s.pairs.sum(axis=0))
    )
    of_cells, v = ratio(totals, pairs), unbiased(s)
    auc = ratio(totals.sum(axis=1), pairs.sum(axis=1))
    crossed = grid[1] > 1 and not np.isnan(cells).any()

    def hillis(chosen: list[int]) -> float:
        if not crossed:
            return NAN
        rows = np.arange(len(cells)).reshape(grid)[chosen].ravel()
        found = obuchowski_rockette(of_cells[chosen], v[np.ix_(rows, rows)]).rrrc
        return found.differences[0, 1].df if len(chosen) > 1 else found.modalities[0].df

    def df_of(variance: float, readers: float, patients: float, df_readers: float) -> float:
        n = np.array([df_readers, n_patients - 1.0])
        squares = np.array([readers, patients]) ** 2
        return satterthwaite(variance, ratio(squares, n), float(n.min()))

    def modality(i: int) -> ModalityAuc:
        p, estimate = own[i], float(auc[i])
        df = df_of(*p)
        return ModalityAuc(
            estimate,
            p.covariance,
            df,
            hillis([i]) if p.covariance > 0 else NAN,
            *interval(estimate, p.covariance, df, level),
            *interval(estimate, p.covariance, df, level, floor=True),
            NAN,
            NAN,
            _without_moments(p.covariance),
            why_not_u(p.covariance),
        )

    def difference(a: int, b: int) -> Difference:
        estimate, both = float(auc[a] - auc[b]), parts_of(s, grid, a, b)
        variance, readers, patients = (
            own[a][i] + own[b][i] - 2 * (both[i] if np.isfinite(both[i]) else NAN) for i in range(3)
        )
        variance = 0.0 if abs(variance) < VARIANCE_ZERO else variance
        df = df_of(variance, readers, patients, min(own[a].df_readers, own[b].df_readers))
        df_hillis = hillis([a, b]) if variance > 0 else NAN
        t = estimate / float(np.sqrt(variance)) if variance > 0 else NAN
        return Difference(
            estimate,
            variance,
            df,
            NAN,
            df_hillis,
            t,
            p_value(t, df),
            p_value(t, df, floor=True),
            NAN,
            p_value(t, df_hillis),
            p_value(t, float("inf")) if variance > 0 else NAN,
            *interval(estimate, variance, df, level),
            *interval(estimate, variance, df, level, floor=True),
            NAN,
            NAN,
            _without_moments(both.covariance),
            why_not_u(variance),
        )

    own = [parts_of(s, grid, i, i) for i in range(grid[0])]
    return UStatistics(
        [modality(i) for i in range(grid[0])],
        {(a, b): difference(a, b) for a, b in combinations(range(grid[0]), 2)},
        of_cells,
        np.diagonal(v).reshape(grid),
    )


def _without_moments(covariance: float) -> Covariance:
    eight, seven = np.full(8, NAN), np.full(7, NAN)
    return Covariance(covariance, eight, eight, seven, seven, NAN, eight, seven)
