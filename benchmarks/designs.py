"""Every kind of design, rehearsed by simulated readers over the site's API: `make rehearse`.

Each protocol is conducted from allocation to export in a PostgreSQL of its own. Then the
orders: how those of two arms of one reader go together over many seeds, and whether editing a
case moves any.
"""

import argparse
import copy
import logging
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import yaml

from launcher.postgres import EmbeddedPostgres
from reader_study.domain.allocation import Case, deal
from reader_study.domain.design import Design
from reader_study.domain.protocol import Allocation

CHECKOUT = Path(__file__).resolve().parent.parent
PROTOCOLS = CHECKOUT / "reader_study" / "protocols"
UNAIDED: dict[str, Any] = {"name": "unaided", "stages": [{"stage": "unaided"}]}


def _arm(name: str, *shows: str) -> dict[str, Any]:
    return {"name": name, "stages": [{"stage": "aided", "shows": list(shows)}]}


CROSSOVER: dict[str, Any] = {
    "kind": "crossover",
    "washout_days": 28,
    "arms": [UNAIDED, _arm("aided", "score")],
}
THREE: dict[str, Any] = {
    **CROSSOVER,
    "arms": [UNAIDED, _arm("score", "score"), _arm("explained", "score", "semantic", "saliency")],
}
SIGNED = {"conduct": {"signature": "required"}}
# Name: the protocol it begins with, what is changed of it, readers, cases.
DESIGNS: dict[str, tuple[str, dict[str, Any]]] = {
    "sequential": ("demonstration", {}),
    "crossover with washout": ("demonstration", {"design": CROSSOVER, **SIGNED}),
    "three conditions": ("demonstration", {"design": THREE}),
    "Lung-RADS, repeats": ("lung_rads", {}),
    "split-plot": ("demonstration", {"design": {**CROSSOVER, "case_sets": 2}}),
    "free response": ("free_response", {}),
    "training and repeats": (
        "demonstration",
        {
            "design": {
                **CROSSOVER,
                "training": {"cases": 2},
                "repeats": {"cases": 2, "arm": "unaided"},
            }
        },
    ),
}


def main() -> None:
    """Rehearse, then look at the orders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=6)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1000)
    options = parser.parse_args()
    _orders(options.seeds)
    with tempfile.TemporaryDirectory(prefix="reread-bench-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "pg", folder / "run") as server:
            secrets = {"SECRET_KEY": "bench", "SERVICE_TOKEN": "bench", "VAR_DIR": name}
            os.environ.update(secrets, DATABASE_URL=server.url("reread"))
            os.environ["DJANGO_SETTINGS_MODULE"] = "reader_study.settings"
            _rehearsed(options.readers, options.cases)


def _orders(seeds: int) -> None:
    design = Design.model_validate(CROSSOVER)
    cases = [Case(f"C{n:03}", f"S{n:03}") for n in range(60)]
    found = []
    for seed in range(seeds):
        places = deal(design, Allocation(seed=seed), ["R01"], cases)
        position = {(p.session, p.case): p.position for p in places}
        first, second = ([position[s, case.name] for case in cases] for s in (1, 2))
        found.append(statistics.correlation(first, second))
    expected = 1 / (len(cases) - 1) ** 0.5
    print(f"orders of two arms of one reader, 60 cases, {seeds} seeds: rank correlation")
    print(
        f"  mean {statistics.fmean(found):+.4f}, standard deviation {statistics.stdev(found):.4f}"
    )
    print(f"  of independent orders: 0, {expected:.4f}")
    edited = [case._replace(subject="another", positive=True) for case in cases[:1]] + cases[1:]
    before, after = (deal(design, Allocation(seed=1), ["R01"], c) for c in (cases, edited))
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    print(f"  places that move when the row of a case is edited: {moved} of {len(before)}")


def _rehearsed(readers: int, cases: int) -> None:
    import django

    django.setup()

    from django.core.management import call_command
    from django.utils import timezone

    from reader_study.domain.protocol import parse_protocol
    from reader_study.management.rehearsal import rehearse

    call_command("migrate", verbosity=0)
    # A reading that is not open yet is refused, as it has to be.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    print(f"\n{readers} readers, {cases} cases, over the site's own API")
    print("design                    readings  answers  signed  days  calls  seconds  records")
    exports = {}
    for name, (file, changes) in DESIGNS.items():
        document = copy.deepcopy(yaml.safe_load((PROTOCOLS / f"{file}.yaml").read_text()))
        if "design" in changes:
            document.pop("analysis", None)
        protocol = parse_protocol({**document, **changes})
        came = rehearse(protocol, readers=readers, cases=cases, seed=1, now=timezone.now())
        print(
            f"{name:24}  {came.readings:8}  {came.answers:7}  {came.signatures:6}  {came.days:4}  "
            f"{came.calls:5}  {came.seconds:7.1f}  {came.records:6}  {came.broken or 'holds'}",
            flush=True,
        )
        exports[name] = came.lines
    for name, lines in exports.items():
        print(f"\n{name}: readings.csv")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
