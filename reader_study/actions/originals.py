"""Lists that name original examinations, and the UIDs under which these are stored."""

import hmac
from collections.abc import Collection

from django.conf import settings

from reader_study.dicomweb.deidentify import Keys
from reader_study.dicomweb.nodules import NoduleList
from reader_study.models import Series, Study


def keys() -> Keys:
    """Return what stands for patients and UIDs: alike in every study of this site.

    So that one examination in two studies has the same UIDs, and whoever found its truth in one is
    known not to read it in the other.
    """
    return Keys(hmac.digest(settings.SECRET_KEY.encode(), b"deidentification", "sha256"))


def stored_list(listed: NoduleList, known: Collection[str], keys: Keys | None) -> NoduleList:
    """Return lines under the UIDs that are stored; without `keys` they are as they are.

    `known` are UIDs as they are stored, which lines may use as well.
    """

    def uid(said: str) -> str:
        return said if keys is None or said in known or not said else keys.uid(said)

    def patient(said: str) -> str:
        return said if keys is None else keys.patient(said)

    nodules = [
        row._replace(
            study_uid=uid(row.study_uid),
            series_uid=uid(row.series_uid),
            patient=patient(row.patient),
        )
        for row in listed.nodules
    ]
    series = [
        row._replace(
            study_uid=uid(row.study_uid),
            series_uid=uid(row.series_uid),
            prior_of=uid(row.prior_of),
            patient=patient(row.patient),
        )
        for row in listed.series
    ]
    return NoduleList(nodules, series, listed.bad)


def without_truth(listed: NoduleList) -> NoduleList:
    """Return lines without what they tell of the truth."""
    return listed._replace(
        nodules=[
            row._replace(malignant=None, reference_source="", reference_detail={})
            for row in listed.nodules
        ]
    )


def as_in_study(listed: NoduleList, study: Study) -> NoduleList:
    """Return lines under the UIDs that `study` has, where it has what they name de-identified."""
    here = Series.objects.filter(case__study=study).values_list("study_uid", "series_uid")
    known = {uid for pair in here for uid in pair}
    mapped = stored_list(listed, known, keys())
    nodules = [
        other if other.series_uid in known else row
        for row, other in zip(listed.nodules, mapped.nodules, strict=True)
    ]
    series = [
        other if known & {other.study_uid, other.series_uid} else row
        for row, other in zip(listed.series, mapped.series, strict=True)
    ]
    return NoduleList(nodules, series, listed.bad)
