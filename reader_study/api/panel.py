"""Images for the truth panel: of the nodule at hand, and nothing of the AI or of other reads."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

from django.http import HttpResponse
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from reader_study.actions.accesses import note_access
from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import panel_pseudonym
from reader_study.api.desk.base import AnyType, DeskView
from reader_study.api.dicomweb import DICOM_JSON
from reader_study.api.images import HEADERS, ImagesUnavailable
from reader_study.dicomweb import multipart
from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.errors import ArchiveUnavailable, NotInArchive
from reader_study.dicomweb.metadata import for_reader, value_of
from reader_study.models import Accessed, Membership, Nodule, Role, Scope


class PanelView(DeskView):
    """A view for a member of a study's truth panel, about one of its nodules."""

    scopes: ClassVar[Mapping[str, Scope]] = dict.fromkeys(("GET", "HEAD"), Scope.TRUTH)
    content_negotiation_class = AnyType

    def find(self, pk: int, study_uid: str, series_uid: str) -> tuple[Membership, Nodule]:
        """Return the caller's membership, and the nodule whose series has these pseudonyms.

        Raises:
            NotFound: the caller is not on the panel of its study, or it has other pseudonyms.
        """
        nodule = Nodule.objects.filter(pk=pk).select_related("series__case").first()
        mine = (
            nodule
            and Membership.objects.filter(
                study=nodule.series.case.study_id, user=self.user, role=Role.TRUTH_PANEL
            )
            .select_related("study")
            .first()
        )
        if not nodule or not mine:
            raise NotFound
        names = (nodule.series.study_uid, nodule.series.series_uid)
        if (study_uid, series_uid) != tuple(panel_pseudonym(mine, nodule, uid) for uid in names):
            raise NotFound
        case = nodule.series.case
        note_access(
            Accessed.IMAGES,
            user=self.user,
            study=mine.study,
            case=case,
            token=self.token,
            now=timezone.now(),
        )
        return mine, nodule


class PanelMetadataView(PanelView):
    """The headers of the nodule's series, by the allow-list of readers."""

    @extend_schema(operation_id="get_panel_metadata", responses={(200, DICOM_JSON): HEADERS})
    def get(self, request: Request, pk: int, study_uid: str, series_uid: str) -> HttpResponse:
        mine, nodule = self.find(pk, study_uid, series_uid)
        series = nodule.series
        try:
            headers = site_archive().series_metadata(series.study_uid, series.series_uid)
        except (NotInArchive, ArchiveUnavailable) as error:
            raise ImagesUnavailable from error
        shown = [
            for_reader(header, number, lambda uid: panel_pseudonym(mine, nodule, uid))
            for number, header in enumerate(headers, start=1)
        ]
        return HttpResponse(json.dumps(shown, separators=(",", ":")), content_type=DICOM_JSON)


class PanelSliceView(PanelView):
    """One slice by its number along the normal of the series, from 1: the image as it is stored."""

    @extend_schema(
        operation_id="get_panel_slice",
        responses={(200, "image/jls"): OpenApiTypes.BINARY},
    )
    def get(
        self, request: Request, pk: int, study_uid: str, series_uid: str, number: int
    ) -> HttpResponse:
        _, nodule = self.find(pk, study_uid, series_uid)
        series = nodule.series
        archive = site_archive()
        try:
            instances = _instances(archive, series.study_uid, series.series_uid)
            if not 1 <= number <= len(instances):
                raise NotFound
            frame = archive.frame(series.study_uid, series.series_uid, instances[number - 1])
        except (NotInArchive, ArchiveUnavailable) as error:
            raise ImagesUnavailable from error
        kind = multipart.image_type(frame.transfer_syntax)
        return HttpResponse(
            frame.data, content_type=f"{kind}; transfer-syntax={frame.transfer_syntax}"
        )


@lru_cache(maxsize=64)
def _instances(archive: Archive, study_uid: str, series_uid: str) -> tuple[str, ...]:
    """The images of a series, slice after slice: what is stored never changes."""
    headers = archive.series_metadata(study_uid, series_uid)
    return tuple(str(value_of(header, "00080018")) for header in headers)


_SERIES = "studies/<str:study_uid>/series/<str:series_uid>"
panel_urls = [
    path(f"{_SERIES}/metadata", PanelMetadataView.as_view(), name="api-panel-metadata"),
    path(
        f"{_SERIES}/slices/<int:number>/frames/1", PanelSliceView.as_view(), name="api-panel-slice"
    ),
]
