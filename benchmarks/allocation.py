"""How long dealing cases out takes: `make bench-allocation`.

First the rule alone, then with its rows written into a PostgreSQL of its own, counting queries.
"""

import argparse
import time
from typing import Any

import yaml

from benchmarks.generated import PROTOCOL, an_empty_site
from reader_study.domain.allocation import Case, deal
from reader_study.domain.design import Design
from reader_study.domain.protocol import Allocation, Restrictions

DESIGN: dict[str, Any] = {
    "kind": "crossover",
    "washout_days": 28,
    "arms": [
        {"name": "unaided", "stages": [{"stage": "unaided"}]},
        {"name": "aided", "stages": [{"stage": "aided", "shows": ["score"]}]},
    ],
}
RESTRICTIONS = {"max_positives_in_a_row": 3, "subject_distance": 5}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--cases", type=int, default=1000)
    options = parser.parse_args()
    readers = [f"R{n:03}" for n in range(options.readers)]
    # A third is positive; of four cases in ten, two are of one subject.
    cases = [
        Case(f"C{n:04}", f"S{n // 2 if n % 10 < 4 else n}", n % 3 == 0)
        for n in range(options.cases)
    ]
    design = Design.model_validate(DESIGN)
    print(f"{options.readers} readers x {options.cases} cases x 2 arms")
    for name, limits in (("unrestricted", None), ("restricted", RESTRICTIONS)):
        allocation = Allocation(seed=1, restrictions=Restrictions(**limits) if limits else None)
        began = time.perf_counter()
        places = deal(design, allocation, readers, cases)
        seconds = time.perf_counter() - began
        print(f"  {name}: {len(places)} places in {seconds:.2f} s")
    with an_empty_site():
        _stored(readers, cases)


def _stored(readers: list[str], cases: list[Case]) -> None:
    import django

    django.setup()

    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from reader_study import models
    from reader_study.actions.reference import load_reference
    from reader_study.actions.study import add_member, allocate_readings, create_study

    document = yaml.safe_load(PROTOCOL.read_text())
    document["design"] = DESIGN
    document["allocation"]["restrictions"] = RESTRICTIONS
    now = timezone.now()
    study = create_study(slug="bench", document=document, now=now)
    for name in readers:
        user = models.User.objects.create(username=name)
        add_member(study=study, user=user, role=models.Role.READER, pseudonym=name)
    for each in cases:
        case = models.Case.objects.create(study=study, pseudonym=each.name, subject=each.subject)
        uids = {"study_uid": "1", "series_uid": each.name, "frame_of_reference_uid": "1"}
        series = models.Series.objects.create(case=case, slices=1, **uids)
        place = {"x": 0, "y": 0, "z": 0, "number": 1, "label": "1"}
        nodule = models.Nodule.objects.create(series=series, **place)
        load_reference(nodule=nodule, malignant=each.positive, source="bench", now=now)
    began = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        count = allocate_readings(study=study, now=now)
    seconds = time.perf_counter() - began
    print(f"  stored, restricted: {count} rows in {seconds:.1f} s, {len(queries)} queries")


if __name__ == "__main__":
    main()
