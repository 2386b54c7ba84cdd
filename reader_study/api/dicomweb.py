"""The archive over HTTP, for services.

Services (the inference worker, dicomweb-client, OHIF behind a proxy) show the site's token and
get QIDO-RS and WADO-RS (PS3.18, chapters 10.4 and 10.6). What readers get is in `api.images`.
"""

import hmac
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

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
from rest_framework.exceptions import NotAcceptable

from reader_study.actions.accesses import note_access
from reader_study.actions.cases import site_archive
from reader_study.actions.tokens import IMAGES_A_MINUTE, PREFIX, use_token
from reader_study.api.errors import NOT_FOUND
from reader_study.dicomweb import multipart
from reader_study.dicomweb.archive import Archive, Frame
from reader_study.dicomweb.errors import (
    ArchiveUnavailable,
    BadSearch,
    NotInArchive,
    UndecodablePixels,
)
from reader_study.dicomweb.metadata import value_of
from reader_study.dicomweb.pixels import EXPLICIT_LE, JPEG_LS, decompressed
from reader_study.dicomweb.search import Search
from reader_study.domain.errors import TooManyCalls
from reader_study.models import Accessed, PersonalToken, Scope

Json = dict[str, Any]

log = logging.getLogger(__name__)

DICOM_JSON = "application/dicom+json"
STUDY, SERIES, INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"


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
        return frames_response(request.headers.get("Accept", ""), found)


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


def frames_response(accept: str, frames: Iterable[Frame]) -> HttpResponse:
    """Answer with a part for each frame, as it is stored or as numbers.

    Raises:
        NotAcceptable: `accept` names neither.
    """
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


STUDY_PATH = "studies/<str:study_uid>"
SERIES_PATH = f"{STUDY_PATH}/series/<str:series_uid>"
INSTANCE_PATH = f"{SERIES_PATH}/instances/<str:instance_uid>"

_studies = SearchView.as_view(level="studies")
_series = SearchView.as_view(level="series")
_instances = SearchView.as_view(level="instances")
service_urls = [
    path("studies", _studies, name="dicomweb-studies"),
    path("series", _series, name="dicomweb-series"),
    path("instances", _instances, name="dicomweb-instances"),
    path(f"{STUDY_PATH}/series", _series, name="dicomweb-study-series"),
    path(f"{STUDY_PATH}/instances", _instances, name="dicomweb-study-instances"),
    path(f"{SERIES_PATH}/instances", _instances, name="dicomweb-series-instances"),
    path(f"{STUDY_PATH}/metadata", MetadataView.as_view(), name="dicomweb-study-metadata"),
    path(f"{SERIES_PATH}/metadata", MetadataView.as_view(), name="dicomweb-series-metadata"),
    path(f"{INSTANCE_PATH}/metadata", MetadataView.as_view(), name="dicomweb-instance-metadata"),
    path(STUDY_PATH, RetrieveView.as_view(), name="dicomweb-retrieve-study"),
    path(SERIES_PATH, RetrieveView.as_view(), name="dicomweb-retrieve-series"),
    path(INSTANCE_PATH, RetrieveView.as_view(), name="dicomweb-retrieve-instance"),
    path(f"{INSTANCE_PATH}/frames/<str:frames>", FramesView.as_view(), name="dicomweb-frames"),
]
