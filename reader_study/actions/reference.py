"""Loading the truth."""

from datetime import datetime
from typing import Any

from django.db import ProgrammingError
from psycopg.errors import InsufficientPrivilege

from reader_study.domain.errors import TruthOutOfReach
from reader_study.models import Nodule, Study
from reader_study.models.reference import ReferenceStandard

NO_RIGHT = (
    "This part of the site may not see the reference standard, by which the cases are dealt out: "
    "the page of the allocation asks the site's worker, whose database role "
    "(WORKER_DATABASE_URL) may; or an operator does it by command."
)


def load_reference(
    *,
    nodule: Nodule,
    malignant: bool | None,
    source: str,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> ReferenceStandard:
    """Store the reference standard of a nodule; the same again changes nothing.

    Raises:
        ValueError: another truth is stored already.
    """
    stored, created = ReferenceStandard.objects.get_or_create(
        nodule=nodule,
        defaults={
            "malignant": malignant,
            "source": source,
            "detail": detail or {},
            "loaded_at": now,
        },
    )
    if not created and (stored.malignant, stored.source) != (malignant, source):
        raise ValueError("another reference standard of this nodule is stored already")
    return stored


def truth_of_cases(study: Study) -> dict[int, bool]:
    """Return for each case of known truth whether one of its nodules is malignant.

    For dealing cases out, and for nothing that is shown to anybody.

    Raises:
        TruthOutOfReach: whoever asks is logged in as a role that may not see it.
    """
    found: dict[int, bool] = {}
    rows = ReferenceStandard.objects.filter(
        nodule__series__case__study=study, malignant__isnull=False
    ).values_list("nodule__series__case", "malignant")
    try:
        known = list(rows)
    except ProgrammingError as error:
        if isinstance(error.__cause__, InsufficientPrivilege):
            raise TruthOutOfReach(NO_RIGHT) from None
        raise
    for case, malignant in known:
        found[case] = found.get(case, False) or bool(malignant)
    return found
