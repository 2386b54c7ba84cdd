"""Which images of its case a reading shows, and in which order."""

from django.db.models import QuerySet

from reader_study.models import Reading, Series


def visible_series(reading: Reading) -> QuerySet[Series]:
    """Return the series its reader may see: current ones, and those of earlier examinations.

    Where the protocol hides earlier examinations, they do not exist for the reader.
    """
    found = Series.objects.filter(case=reading.case_id).by_examination()
    return found if reading.rules.shows_priors(reading.arm) else found.current()


def series_of(reading: Reading) -> list[Series]:
    """Return those in the order of a viewer, which begins with the first.

    Where readers are told of nodules, that is one which holds some; elsewhere the order tells
    nothing of them.
    """
    found = visible_series(reading)
    if not reading.rules.findings.has_given:
        return list(found)
    series = list(found.prefetch_related("nodules"))
    return sorted(series, key=lambda one: (one.prior, not one.prior and not one.nodules.all()))
