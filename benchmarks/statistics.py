"""How long the statistics take, and in how much memory: `make bench-statistics`.

Each measurement runs in a process of its own, so that its peak of memory is its own too. With
`--null N` it simulates N studies without a difference, and as many with one, and counts how
often the main test finds it.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from reader_study.statistics import covariance
from reader_study.statistics.auc import Floats, kernel
from reader_study.statistics.dbm import dbm
from reader_study.statistics.intervals import proportion
from reader_study.statistics.mrmc import ObuchowskiRockette, obuchowski_rockette
from reader_study.statistics.power import power, simulate
from reader_study.statistics.time import model_times
from reader_study.statistics.ustat import u_statistics
from reader_study.statistics.variances import Components

READERS, SHARE_MALIGNANT = 20, 0.4
GROWTH = (1_000, 2_000, 5_000, 10_000)


def study(n_cases: int, scale: str) -> tuple[Floats, Any]:
    """Simulate ratings of 20 readers and 2 modalities."""
    rng = np.random.default_rng(n_cases)
    n_malignant = int(n_cases * SHARE_MALIGNANT)
    ratings, malignant = simulate(rng, (1.5, 1.8), READERS, n_malignant, n_cases - n_malignant)
    if scale == "0-100":
        ratings = np.clip(np.round(50 + 15 * ratings), 0, 100)
    return ratings, malignant


def with_covariance(*kinds: str) -> Callable[[Floats, Any], list[ObuchowskiRockette]]:
    """Return what runs Obuchowski and Rockette's analysis with these covariances."""

    def run(ratings: Floats, malignant: Any) -> list[ObuchowskiRockette]:
        cells = ratings.reshape(-1, ratings.shape[-1])
        k = kernel(cells, malignant)
        estimates = k.auc.reshape(ratings.shape[:2])
        of_kind = {
            "jackknife": lambda: covariance.jackknife(covariance.jackknife_aucs(k)),
            "delong": lambda: covariance.delong(k),
            "unbiased": lambda: covariance.unbiased(covariance.moments(cells, malignant)),
        }
        return [obuchowski_rockette(estimates, of_kind[kind]()) for kind in kinds]

    return run


def pseudovalues(ratings: Floats, malignant: Any) -> Any:
    """Run DBM's analysis."""
    k = kernel(ratings.reshape(-1, ratings.shape[-1]), malignant)
    without = covariance.jackknife_aucs(k).reshape(ratings.shape)
    return dbm(k.auc.reshape(ratings.shape[:2]), without)


def reading_time(ratings: Floats, _: Any) -> Any:
    """Fit the mixed model to one time a reading."""
    modality, reader, case = (x.ravel() for x in np.indices(ratings.shape))
    return model_times(np.exp(3.5 + 0.2 * ratings.ravel() / ratings.std()), reader, case, modality)


METHODS: dict[str, Callable[[Floats, Any], Any]] = {
    "OR, jackknife": with_covariance("jackknife"),
    "OR, DeLong": with_covariance("delong"),
    "OR, unbiased": with_covariance("unbiased"),
    "OR, all three": with_covariance("jackknife", "delong", "unbiased"),
    "DBM": pseudovalues,
    "U-statistics": u_statistics,
    "reading time": reading_time,
}


def measure(method: str, n_cases: int, scale: str) -> None:
    """Print the best of three runs, and the peak of memory above that of the ratings."""
    ratings, malignant = study(n_cases, scale)
    best = float("inf")
    for _ in range(1 if method == "reading time" else 3):
        start = perf_counter()
        METHODS[method](ratings, malignant)
        best = min(best, perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": best, "peak_mb": peak}))


def measured(method: str, n_cases: int, scale: str) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.statistics", "--one", method, str(n_cases), scale]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(scale: str) -> None:
    """Print time and memory of every method at 500 and 5,000 cases."""
    print(f"\n{READERS} readers x 2 modalities, ratings {scale}, best of three runs\n")
    print("| method | 500 cases | 5,000 cases | peak memory at 5,000 |\n|---|---|---|---|")
    for method in METHODS:
        small, large = (measured(method, n, scale) for n in (500, 5_000))
        print(
            f"| {method} | {small['seconds']:.3f} s | {large['seconds']:.3f} s "
            f"| {large['peak_mb']:.0f} MB |",
            flush=True,
        )


def growth(scale: str) -> None:
    """Print how time and memory grow with the number of cases."""
    print(f"\nHow the cost grows, ratings {scale}\n")
    print("| cases | " + " | ".join(f"{n:,}" for n in GROWTH) + " |")
    print("|---" * (len(GROWTH) + 1) + "|")
    for method in ("OR, jackknife", "OR, all three", "U-statistics"):
        found = [measured(method, n, scale) for n in GROWTH]
        cells = (f"{f['seconds']:.3f} s, {f['peak_mb']:.0f} MB" for f in found)
        print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


def simulated(n: int) -> None:
    """Count how often the main test rejects, without a difference and with one."""
    readers, malignant, benign = 5, 40, 60
    analyse = with_covariance("jackknife")
    pilots = []
    truths = (("no difference", (1.5, 1.5)), ("a difference", (1.3, 1.8)))
    for number, (name, separation) in enumerate(truths):
        rejected, estimable, effects = 0, 0, []
        for seed in range(n):
            rng = np.random.default_rng([seed, number])
            [found] = analyse(*simulate(rng, separation, readers, malignant, benign))
            p = found.rrrc.test.p
            estimable += bool(np.isfinite(p))
            rejected += bool(p < 0.05)
            effects.append(found.rrrc.differences[0, 1].estimate)
            pilots.append(found.components[:6])
        share = proportion(rejected, estimable)
        print(
            f"{name}: {rejected} of {estimable} studies reject at 5 %: {share.estimate:.4f} "
            f"({share.exact_lower:.4f} to {share.exact_upper:.4f})",
            flush=True,
        )
    mean = Components._make([*np.mean(pilots[n:], axis=0).tolist(), ""])
    predicted = power(
        mean,
        malignant + benign,
        effect=float(np.mean(effects)),
        readers=readers,
        cases=malignant + benign,
    )
    print(f"predicted power, from the mean components and effect: {predicted.power:.4f}")


def main() -> None:
    """Run what was asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--one", nargs=3, metavar=("METHOD", "CASES", "SCALE"))
    options.add_argument("--null", type=int, metavar="N", help="studies to simulate")
    chosen = options.parse_args()
    if chosen.one:
        measure(chosen.one[0], int(chosen.one[1]), chosen.one[2])
    elif chosen.null:
        simulated(chosen.null)
    else:
        for scale in ("0-100", "continuous"):
            table(scale)
        growth("0-100")


if __name__ == "__main__":
    main()
