"""Loading the truth."""

from datetime import datetime
from typing import Any

from reader_study.models import Nodule
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
