"""The images of a case for those who set its study up, under UIDs that stand for the archive's."""

import json
from functools import lru_cache
from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.accesses import note_access
from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym_at_desk
from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.errors import ArchiveUnavailable, NotInArchive
from reader_study.dicomweb.metadata import for_reader, value_of
from reader_study.dicomweb.pixels import JPEG_LS
from reader_study.models import Accessed, Case, Role, Series, User
from reader_study.pages.access import member


class _Shown(NamedTuple):
    body: bytes  # DICOM JSON
    instances: list[str]  # UIDs in the archive, along the normal


@lru_cache(maxsize=32)
def _shown(archive: Archive, case: Case, study_uid: str, series_uid: str) -> _Shown:
    headers = archive.series_metadata(study_uid, series_uid)
    shown = [
        for_reader(header, number, lambda uid: pseudonym_at_desk(case, uid))
        for number, header in enumerate(headers, start=1)
    ]
    instances = [str(value_of(header, "00080018")) for header in headers]
    return _Shown(json.dumps(shown, separators=(",", ":")).encode(), instances)


def _found(
    request: HttpRequest, slug: str, pk: int, study_uid: str, series_uid: str
) -> tuple[Series, _Shown]:
    study = member(request, slug, Role.COORDINATOR)
    for one in Series.objects.filter(case__study=study, case=pk).select_related("case__study"):
        if (study_uid, series_uid) == (
            pseudonym_at_desk(one.case, one.study_uid),
            pseudonym_at_desk(one.case, one.series_uid),
        ):
            try:
                case = Case(pk=one.case_id)
                return one, _shown(site_archive(), case, one.study_uid, one.series_uid)
            except NotInArchive:
                break
    raise Http404


@login_required
@never_cache
@require_safe
def metadata(
    request: HttpRequest, slug: str, pk: int, study_uid: str, series_uid: str
) -> HttpResponse:
    """Send the headers of a series, slice after slice along their normal."""
    assert isinstance(request.user, User)  # whom `member` lets through below
    try:
        series, shown = _found(request, slug, pk, study_uid, series_uid)
    except ArchiveUnavailable:
        return HttpResponse(status=503)
    # Without the case, which may still be taken out of the study; the log stays.
    note_access(
        Accessed.IMAGES,
        user=request.user,
        now=timezone.now(),
        study=series.case.study,
        series_uid=series.series_uid,
    )
    return HttpResponse(shown.body, content_type="application/dicom+json")


@login_required
@never_cache
@require_safe
def frame(
    request: HttpRequest,
    slug: str,
    pk: int,
    study_uid: str,
    series_uid: str,
    number: int,
) -> HttpResponse:
    """Send one slice, counted from 1 along the normal, as it is stored."""
    try:
        series, shown = _found(request, slug, pk, study_uid, series_uid)
        if not 1 <= number <= len(shown.instances):
            raise Http404
        uid = shown.instances[number - 1]
        found = site_archive().frame(series.study_uid, series.series_uid, uid)
    except NotInArchive:
        raise Http404 from None
    except ArchiveUnavailable:
        return HttpResponse(status=503)
    return HttpResponse(
        found.data, content_type=f'application/octet-stream; transfer-syntax="{JPEG_LS}"'
    )
