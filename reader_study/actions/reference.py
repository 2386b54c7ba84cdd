"""Loading the truth."""

from datetime import datetime
from typing import Any

from reader_study.models import Nodule, Study
from reader_study.models.reference import ReferenceStandard


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
    """
    found: dict[int, bool] = {}
    rows = ReferenceStandard.objects.filter(
        nodule__series__case__study=study, malignant__isnull=False
    ).values_list("nodule__series__case", "malignant")
    for case, malignant in rows:
        found[case] = found.get(case, False) or bool(malignant)
    return found
