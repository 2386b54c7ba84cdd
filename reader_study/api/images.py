"""Images over HTTP, for readers: those of their own reading.

A reader's viewer gets headers by an allow-list, and frames, under UIDs that mean something in one
reading only.
"""

import json
import logging
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, PermissionDenied
from rest_framework.request import Request

from reader_study.actions.cases import site_archive
from reader_study.actions.images import visible_series
from reader_study.actions.pseudonyms import pseudonym, series_key
from reader_study.actions.schedule import must_not_be_closed
from reader_study.api.access import AnyType, ReaderView
from reader_study.api.dicomweb import DICOM_JSON, INSTANCE_PATH, SERIES_PATH, frames_response
from reader_study.dicomweb import multipart
from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.errors import ArchiveUnavailable, NotInArchive, UndecodablePixels
from reader_study.dicomweb.metadata import for_reader, value_of
from reader_study.dicomweb.pixels import JPEG_LS
from reader_study.dicomweb.shelf import Shelf
from reader_study.domain.errors import Refusal, StudyNotOpen
from reader_study.models import Accessed, Reading, Series

log = logging.getLogger(__name__)

MOST_SLICES = 32  # in one answer


# Of the headers of a series, in the API's description.
HEADERS = {"type": "array", "items": {"type": "object"}}


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

    @extend_schema(responses={(200, DICOM_JSON): HEADERS})
    def get(
        self, request: Request, reading_id: int, study_uid: str, series_uid: str
    ) -> HttpResponse:
        return HttpResponse(
            self.seen(*self.find(reading_id, study_uid, series_uid)).body, content_type=DICOM_JSON
        )


class FramesOfReadingView(ImagesView):
    """Images of a reader's own reading, as they are stored."""

    def frames(
        self, request: Request, series: Series, instances: Sequence[str], number: int
    ) -> HttpResponse:
        archive = site_archive()
        try:
            found = [
                archive.frame(series.study_uid, series.series_uid, uid, number) for uid in instances
            ]
            return frames_response(request.headers.get("Accept", ""), found)
        except NotInArchive:
            raise Reading.DoesNotExist from None
        except (ArchiveUnavailable, UndecodablePixels) as error:
            log.error("%s", error)
            raise ImagesUnavailable from error


class ReadingFrameView(FramesOfReadingView):
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
        return self.frames(request, found, [uid], number)


class ReadingBlockView(FramesOfReadingView):
    """Slices that follow each other, in one answer: asked for alone, each would cost one more.

    `frames` names the first and the last, "9-16", or one, counted from 1 in the order of the
    headers; an answer has 32 at most, a part for each slice in that order.
    """

    @extend_schema(responses={(200, "multipart/related"): bytes})
    def get(
        self, request: Request, reading_id: int, study_uid: str, series_uid: str, frames: str
    ) -> HttpResponse:
        reading, found = self.find(reading_id, study_uid, series_uid)
        named = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", frames, re.ASCII)
        first, last = (int(named[1]), int(named[2] or named[1])) if named else (0, 0)
        instances = list(self.seen(reading, found).instances.values())
        if not 1 <= first <= last <= len(instances) or last - first >= MOST_SLICES:
            raise Reading.DoesNotExist
        return self.frames(request, found, instances[first - 1 : last], 1)


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


_SLICES = f"{SERIES_PATH}/slices"
reading_urls = [
    path(f"{SERIES_PATH}/metadata", ReadingMetadataView.as_view(), name="api-metadata"),
    path(f"{SERIES_PATH}/frames/<str:frames>", ReadingBlockView.as_view(), name="api-block"),
    path(_SLICES, ReadingSlicesView.as_view(), name="api-slices"),
    path(f"{_SLICES}/<int:number>/frames/1", ReadingSliceView.as_view(), name="api-slice"),
    path(f"{INSTANCE_PATH}/frames/<int:number>", ReadingFrameView.as_view(), name="api-frame"),
]
