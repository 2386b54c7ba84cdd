"""The images of a case for those who set its study up, as the page of its nodules asks for them."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from reader_study.actions.desk_images import DeskSeries, show_headers, show_slice
from reader_study.dicomweb.errors import ArchiveUnavailable, NotInArchive
from reader_study.dicomweb.pixels import JPEG_LS
from reader_study.models import Role, User
from reader_study.pages.access import member


def _named(request: HttpRequest, slug: str, pk: int, study_uid: str, series_uid: str) -> DeskSeries:
    return DeskSeries(member(request, slug, Role.COORDINATOR), pk, study_uid, series_uid)


@login_required
@never_cache
@require_safe
def metadata(
    request: HttpRequest, slug: str, pk: int, study_uid: str, series_uid: str
) -> HttpResponse:
    """Send the headers of a series, slice after slice along their normal."""
    series = _named(request, slug, pk, study_uid, series_uid)
    assert isinstance(request.user, User)  # whom `member` lets through
    try:
        body = show_headers(series=series, by=request.user, now=timezone.now())
    except NotInArchive:
        raise Http404 from None
    except ArchiveUnavailable:
        return HttpResponse(status=503)
    return HttpResponse(body, content_type="application/dicom+json")


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
    series = _named(request, slug, pk, study_uid, series_uid)
    try:
        found = show_slice(series=series, number=number)
    except NotInArchive:
        raise Http404 from None
    except ArchiveUnavailable:
        return HttpResponse(status=503)
    return HttpResponse(
        found.data, content_type=f'application/octet-stream; transfer-syntax="{JPEG_LS}"'
    )
