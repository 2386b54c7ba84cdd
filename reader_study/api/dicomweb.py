"""Images over HTTP: the archive for services, and to a reader those of their own reading.

Services (the inference worker, dicomweb-client, OHIF behind a proxy) show the site's token and
get QIDO-RS and WADO-RS (PS3.18, chapters 10.4 and 10.6). A reader's viewer gets headers by an
allow-list, and frames, under UIDs that mean something in one reading only.
"""

import hmac
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.utils import timezone
from django.views import View
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, NotAcceptable, PermissionDenied
from rest_framework.request import Request

from reader_study.actions.accesses import note_access
from reader_study.actions.cases import site_archive
from reader_study.actions.images import visible_series
from reader_study.actions.pseudonyms import pseudonym, series_key
from reader_study.actions.schedule import must_not_be_closed
from reader_study.actions.tokens import IMAGES_A_MINUTE, PREFIX, use_token
from reader_study.api.access import AnyType, ReaderView
from reader_study.api.errors import NOT_FOUND
from reader_study.dicomweb import multipart
from reader_study.dicomweb.archive import Archive, Frame
from reader_study.dicomweb.errors import (
    ArchiveUnavailable,
    BadSearch,
    NotInArchive,
    UndecodablePixels,
)
from reader_study.dicomweb.metadata import for_reader, value_of
from reader_study.dicomweb.pixels import EXPLICIT_LE, JPEG_LS, decompressed
from reader_study.dicomweb.search import Search
from reader_study.dicomweb.shelf import Shelf
from reader_study.domain.errors import Refusal, StudyNotOpen, TooManyCalls
from reader_study.models import Accessed, PersonalToken, Reading, Scope, Series

Json = dict[str, Any]

log = logging.getLogger(__name__)

DICOM_JSON = "application/dicom+json"
STUDY, SERIES, INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"


# Services


class ServiceView(View):
    """A view for those who show the site's token; nobody else learns what the archive holds."""

    http_method_names = ["get", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = self._answer(request, *args, **kwargs)
        response.headers["Cache-Control"] = "private, no-store"
        return response

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            may, token = _service(request)
        except TooManyCalls as error:
            return _refuse(429, error.code, error.detail)
        if not may:
            detail = "Only services with the site's token may read the archive."
            refused = _refuse(401, "not_authenticated", detail)
            refused.headers["WWW-Authenticate"] = 'Bearer realm="archive"'
            return refused
        # The site's own word is the worker's, who is nobody; a person's token is somebody's.
        if token and (series_uid := kwargs.get("series_uid")):
            note_access(
                Accessed.IMAGES,
                user=token.user,
                token=token,
                series_uid=str(series_uid)[:64],
                now=timezone.now(),
            )
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotInArchive:
            return JsonResponse(NOT_FOUND, status=404)
        except BadSearch as error:
            return _refuse(400, "bad_search", f"{error}.")
        except NotAcceptable as error:
            return _refuse(406, "not_acceptable", str(error.detail))
        except ArchiveUnavailable as error:
            log.warning("%s", error)
            return _refuse(503, "archive_unavailable", f"{error}.")
        except UndecodablePixels as error:
            log.error("%s: %s", request.path, error)
            return _refuse(500, "undecodable_pixels", f"The image is damaged: {error}.")


def _service(request: HttpRequest) -> tuple[bool, PersonalToken | None]:
    """Tell whether the caller may read the archive, and by whose token if not the site's own.

    Raises:
        TooManyCalls: the token was used too often.
    """
    scheme, _, word = request.headers.get("Authorization", "").partition(" ")
    word = word.strip()
    if scheme.lower() != "bearer":
        return False, None
    if hmac.compare_digest(word.encode(), settings.SERVICE_TOKEN.encode()):
        return True, None
    token = None
    if word.startswith(PREFIX):
        token = use_token(word, timezone.now(), at_most=IMAGES_A_MINUTE)
    # Whoever stopped being an administrator has no service either.
    may = token is not None and Scope.SERVICE in token.scopes and token.user.is_superuser
    return may, token


def _refuse(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"code": code, "detail": detail}, status=status)


class SearchView(ServiceView):
    """QIDO-RS: studies, series or instances, of the whole archive or within one of them."""

    level: str = ""

    def get(
        self, request: HttpRequest, study_uid: str | None = None, series_uid: str | None = None
    ) -> HttpResponse:
        _must_accept_json(request)
        search = _search(request, {STUDY: study_uid, SERIES: series_uid})
        archive = site_archive()
        found = {
            "studies": archive.search_studies,
            "series": archive.search_series,
            "instances": archive.search_instances,
        }[self.level](search)
        response = _dicom_json([_with_address(request, one) for one in found])
        if request.GET.get("fuzzymatching") == "true":
            text = "fuzzymatching is not supported; only literal matching has been performed"
            response.headers["Warning"] = f'299 reread "{text}"'
        return response


def _search(request: HttpRequest, within: Mapping[str, str | None]) -> Search:
    """Read a query (PS3.18 8.3.4).

    Raises:
        BadSearch: a number is none.
    """
    filters = {key: ",".join(request.GET.getlist(key)) for key in request.GET}
    numbers: dict[str, int | None] = {}
    for name in ("limit", "offset"):
        text = filters.pop(name, None)
        if text is not None and not (text.isascii() and text.isdigit()):
            raise BadSearch(f"{name} is {text[:32]!r}, which is no number")
        numbers[name] = None if text is None else int(text)
    fields = filters.pop("includefield", "")
    filters.pop("fuzzymatching", None)
    filters.update({name: uid for name, uid in within.items() if uid is not None})
    return Search(
        filters, numbers["limit"], numbers["offset"] or 0, fields.split(",") if fields else ()
    )


def _with_address(request: HttpRequest, found: Json) -> Json:
    """Add Retrieve URL."""
    parts = [("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018")]
    address = "/dicomweb"
    for word, tag in parts:
        uid = value_of(found, tag)
        if uid is None:
            break
        address += f"/{word}/{uid}"
    retrieve = {"vr": "UR", "Value": [request.build_absolute_uri(address)]}
    return {**found, "00081190": retrieve}


class MetadataView(ServiceView):
    """WADO-RS: headers of a study, a series or an instance."""

    def get(
        self,
        request: HttpRequest,
        study_uid: str,
        series_uid: str | None = None,
        instance_uid: str | None = None,
    ) -> HttpResponse:
        _must_accept_json(request)
        archive = site_archive()
        headers = [
            header
            for uid in _series_of(archive, study_uid, series_uid)
            for header in archive.series_metadata(study_uid, uid)
            if instance_uid in (None, value_of(header, "00080018"))
        ]
        if not headers:
            raise NotInArchive("no such instance")
        return _dicom_json(headers)


class RetrieveView(ServiceView):
    """WADO-RS: whole instances, one after the other."""

    def get(
        self,
        request: HttpRequest,
        study_uid: str,
        series_uid: str | None = None,
        instance_uid: str | None = None,
    ) -> StreamingHttpResponse:
        accept = request.headers.get("Accept", "")
        syntax = multipart.accepts_part_10(accept, JPEG_LS, EXPLICIT_LE)
        if syntax is None:
            raise NotAcceptable("Instances are sent as multipart/related application/dicom.")
        archive = site_archive()
        uids = [
            (uid, str(value_of(header, "00080018")))
            for uid in _series_of(archive, study_uid, series_uid)
            for header in archive.series_metadata(study_uid, uid)
            if instance_uid in (None, value_of(header, "00080018"))
        ]
        if not uids:
            raise NotInArchive("no such instance")

        def parts() -> Iterator[multipart.Part]:
            for within, uid in uids:
                content = archive.instance(study_uid, within, uid)
                yield multipart.Part(
                    f"application/dicom; transfer-syntax={syntax}",
                    decompressed(content) if syntax == EXPLICIT_LE else content,
                )

        boundary = multipart.new_boundary()
        return StreamingHttpResponse(
            multipart.stream(parts(), boundary),
            content_type=multipart.content_type("application/dicom", boundary),
        )


class FramesView(ServiceView):
    """WADO-RS: frames of an instance, as little-endian numbers or as they are stored."""

    def get(
        self, request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str, frames: str
    ) -> HttpResponse:
        numbers = frames.split(",")
        if not all(n.isascii() and n.isdigit() and len(n) < 6 for n in numbers):
            return _refuse(400, "malformed", "Frames are numbers, separated by commas.")
        archive = site_archive()
        found = [
            archive.frame(study_uid, series_uid, instance_uid, int(number)) for number in numbers
        ]
        return _frames_response(request.headers.get("Accept", ""), found)


def _series_of(archive: Archive, study_uid: str, series_uid: str | None) -> list[str]:
    if series_uid is not None:
        return [series_uid]
    found = archive.search_series(Search({STUDY: study_uid}))
    if not found:
        raise NotInArchive("no such study")
    return [str(value_of(one, "0020000E")) for one in found]


def _must_accept_json(request: HttpRequest) -> None:
    accepted = {range_.type for range_ in multipart.parse_accept(request.headers.get("Accept", ""))}
    if not accepted & {"*/*", "application/*", DICOM_JSON, "application/json"}:
        raise NotAcceptable(f"This is sent as {DICOM_JSON}.")


def _dicom_json(content: Sequence[Json]) -> HttpResponse:
    return HttpResponse(json.dumps(content, separators=(",", ":")), content_type=DICOM_JSON)


def _frames_response(accept: str, frames: Iterable[Frame]) -> HttpResponse:
    parts = []
    part_type = ""
    for frame in frames:
        chosen = multipart.choose_frame_syntax(accept, frame.transfer_syntax, EXPLICIT_LE)
        if chosen is None:
            raise NotAcceptable(
                "Frames are sent as multipart/related application/octet-stream, or as image/jls."
            )
        part_type, syntax = chosen
        body = frame.decoded() if syntax == EXPLICIT_LE else frame.data
        parts.append(multipart.Part(f"{part_type}; transfer-syntax={syntax}", body))
    boundary = multipart.new_boundary()
    return HttpResponse(
        b"".join(multipart.stream(parts, boundary)),
        content_type=multipart.content_type(part_type, boundary),
    )


# Readers


class ImagesUnavailable(APIException):
    """The archive does not answer just now."""

    status_code = 503
    default_code = "archive_unavailable"
    default_detail = (
        "The images cannot be fetched at the moment. "
        "Try again in a minute; if it stays so, tell the study's coordinator."
    )


class ImagesView(ReaderView):
    """A view of the images of the caller's own reading."""

    content_negotiation_class = AnyType

    def find(self, reading_id: int, study_uid: str, series_uid: str) -> tuple[Reading, Series]:
        """Return the reading, and its series that has these pseudonyms.

        Raises:
            Reading.DoesNotExist: the caller has no such reading, or it has no such series.
            StudyNotOpen: readings have not begun.
            ReadingNotOpenYet: its session or the washout of its case has not come.
            ReadingClosed: it is submitted, and its case may come back.
        """
        reading = self.reading(reading_id)
        if reading.reader.study.opened_at is None:
            raise StudyNotOpen("This study has not begun yet.")
        must_not_be_closed(reading)
        self.note(Accessed.IMAGES, reading)
        for one in visible_series(reading):
            if (study_uid, series_uid) == (
                pseudonym(reading, one.study_uid),
                pseudonym(reading, one.series_uid),
            ):
                return reading, one
        raise Reading.DoesNotExist

    def seen(self, reading: Reading, series: Series) -> "_Seen":
        """Return what the reader sees of the series' headers."""
        try:
            return _seen(site_archive(), reading.pk, series.study_uid, series.series_uid)
        except NotInArchive:
            log.error("series %s is in the study and not in the archive", series.series_uid)
            raise ImagesUnavailable from None
        except ArchiveUnavailable as error:
            log.warning("%s", error)
            raise ImagesUnavailable from error


class _Seen(NamedTuple):
    body: bytes  # DICOM JSON
    instances: dict[str, str]  # pseudonym -> UID


@lru_cache(maxsize=128)
def _seen(archive: Archive, reading_id: int, study_uid: str, series_uid: str) -> _Seen:
    """Make a series' headers for a reader, once a process: what is stored never changes."""
    reading = Reading(pk=reading_id)
    headers = archive.series_metadata(study_uid, series_uid)
    shown = [
        for_reader(header, number, lambda uid: pseudonym(reading, uid))
        for number, header in enumerate(headers, start=1)
    ]
    instances = {
        str(value_of(one, "00080018")): str(value_of(header, "00080018"))
        for one, header in zip(shown, headers, strict=True)
    }
    return _Seen(json.dumps(shown, separators=(",", ":")).encode(), instances)


class ReadingMetadataView(ImagesView):
    """The headers of a series, slice after slice along their normal."""

    @extend_schema(responses={(200, DICOM_JSON): {"type": "array", "items": {"type": "object"}}})
    def get(
        self, request: Request, reading_id: int, study_uid: str, series_uid: str
    ) -> HttpResponse:
        return HttpResponse(
            self.seen(*self.find(reading_id, study_uid, series_uid)).body, content_type=DICOM_JSON
        )


class ReadingFrameView(ImagesView):
    """One slice, as it is stored."""

    @extend_schema(responses={(200, "multipart/related"): bytes})
    def get(
        self,
        request: Request,
        reading_id: int,
        study_uid: str,
        series_uid: str,
        instance_uid: str,
        number: int,
    ) -> HttpResponse:
        reading, found = self.find(reading_id, study_uid, series_uid)
        uid = self.seen(reading, found).instances.get(instance_uid)
        if uid is None:
            raise Reading.DoesNotExist
        try:
            frame = site_archive().frame(found.study_uid, found.series_uid, uid, number)
            return _frames_response(request.headers.get("Accept", ""), [frame])
        except NotInArchive:
            raise Reading.DoesNotExist from None
        except (ArchiveUnavailable, UndecodablePixels) as error:
            log.error("%s", error)
            raise ImagesUnavailable from error


class ReadingSlicesView(ImagesView):
    """Whether the caller may see the slices of a series now; asked by a proxy that keeps them.

    It is told where they are: under a name that stands for the series in every reading, so
    that no proxy may pass it on.
    """

    @extend_schema(exclude=True)
    def get(
        self, request: Request, reading_id: int, study_uid: str, series_uid: str
    ) -> HttpResponse:
        try:
            _, found = self.find(reading_id, study_uid, series_uid)
        except (Reading.DoesNotExist, Refusal) as refusal:
            raise PermissionDenied from refusal  # why, the slice itself says
        response = HttpResponse(status=204)
        if (shelf := _frame_shelf(settings.FRAMES_DIR, settings.CACHE_GB)) is not None:
            key = series_key(found.series_uid)
            shelf.use(key)
            response.headers["X-Frames"] = key
        return response


class ReadingSliceView(ImagesView):
    """One slice by its number along the normal of the series, from 1: the image as it is stored."""

    @extend_schema(responses={(200, "image/jls"): bytes})
    def get(
        self, request: Request, reading_id: int, study_uid: str, series_uid: str, number: int
    ) -> HttpResponse:
        reading, found = self.find(reading_id, study_uid, series_uid)
        instances = list(self.seen(reading, found).instances.values())
        if not 1 <= number <= len(instances):
            raise Reading.DoesNotExist
        try:
            frame = site_archive().frame(found.study_uid, found.series_uid, instances[number - 1])
        except (NotInArchive, ArchiveUnavailable) as error:
            log.error("%s", error)
            raise ImagesUnavailable from error
        shelf = _frame_shelf(settings.FRAMES_DIR, settings.CACHE_GB)
        if shelf is not None and frame.transfer_syntax == JPEG_LS:
            shelf.put(series_key(found.series_uid), str(number), frame.data)
        kind = multipart.image_type(frame.transfer_syntax)
        return HttpResponse(
            frame.data, content_type=f"{kind}; transfer-syntax={frame.transfer_syntax}"
        )


@cache
def _frame_shelf(folder: Path | None, gigabytes: float) -> Shelf | None:
    return Shelf(folder, gigabytes * 1e9) if folder else None


_STUDY = "studies/<str:study_uid>"
_SERIES = f"{_STUDY}/series/<str:series_uid>"
_INSTANCE = f"{_SERIES}/instances/<str:instance_uid>"

_studies = SearchView.as_view(level="studies")
_series = SearchView.as_view(level="series")
_instances = SearchView.as_view(level="instances")
service_urls = [
    path("studies", _studies, name="dicomweb-studies"),
    path("series", _series, name="dicomweb-series"),
    path("instances", _instances, name="dicomweb-instances"),
    path(f"{_STUDY}/series", _series, name="dicomweb-study-series"),
    path(f"{_STUDY}/instances", _instances, name="dicomweb-study-instances"),
    path(f"{_SERIES}/instances", _instances, name="dicomweb-series-instances"),
    path(f"{_STUDY}/metadata", MetadataView.as_view(), name="dicomweb-study-metadata"),
    path(f"{_SERIES}/metadata", MetadataView.as_view(), name="dicomweb-series-metadata"),
    path(f"{_INSTANCE}/metadata", MetadataView.as_view(), name="dicomweb-instance-metadata"),
    path(_STUDY, RetrieveView.as_view(), name="dicomweb-retrieve-study"),
    path(_SERIES, RetrieveView.as_view(), name="dicomweb-retrieve-series"),
    path(_INSTANCE, RetrieveView.as_view(), name="dicomweb-retrieve-instance"),
    path(f"{_INSTANCE}/frames/<str:frames>", FramesView.as_view(), name="dicomweb-frames"),
]
reading_urls = [
    path(f"{_SERIES}/metadata", ReadingMetadataView.as_view(), name="api-metadata"),
    path(f"{_SERIES}/slices", ReadingSlicesView.as_view(), name="api-slices"),
    path(f"{_SERIES}/slices/<int:number>/frames/1", ReadingSliceView.as_view(), name="api-slice"),
    path(f"{_INSTANCE}/frames/<int:number>", ReadingFrameView.as_view(), name="api-frame"),
]
