"""The cases of a study: listed, looked at, taken out; nothing of what is known of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Count, Max
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.access import ACT
from reader_study.actions.case_changes import remove_case
from reader_study.actions.cases import site_archive
from reader_study.actions.desk_images import DeskSeries, show_headers, show_slice
from reader_study.actions.pseudonyms import pseudonym_at_desk
from reader_study.actions.study import mark_training
from reader_study.api.desk.base import AnyType, DeskList, DeskView
from reader_study.api.dicomweb import DICOM_JSON
from reader_study.api.images import HEADERS, ImagesUnavailable
from reader_study.dicomweb import multipart
from reader_study.dicomweb.errors import (
    ArchiveError,
    ArchiveUnavailable,
    NotInArchive,
    UndecodablePixels,
)
from reader_study.dicomweb.pictures import middle_of
from reader_study.models import Case, CaseChange, Scope, Series

UIDS = ("study_uid", "series_uid")


class CaseSerializer(serializers.Serializer[Any]):
    """A case by its pseudonyms."""

    id = serializers.IntegerField(source="pk")
    case = serializers.CharField(source="pseudonym")
    subject = serializers.CharField()
    training = serializers.BooleanField()
    series = serializers.IntegerField(source="series_count")
    slices = serializers.IntegerField(allow_null=True)
    nodules = serializers.IntegerField()


class CasesView(DeskList):
    """The cases of a study."""

    @extend_schema(operation_id="list_cases", responses=CaseSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = (
            Case.objects.filter(study=self.study(slug))
            .annotate(
                series_count=Count("series", distinct=True),
                nodules=Count("series__nodules", distinct=True),
                slices=Max("series__slices"),
            )
            .order_by("pseudonym")
        )
        return self.page(found, CaseSerializer)


class SeriesOfACaseSerializer(serializers.Serializer[Any]):
    """A series of a case under names for the desk; `dicomweb` is where its images are.

    It is followed by `/metadata` or by `/slices/1/frames/1`.
    """

    id = serializers.IntegerField(source="pk")
    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    slices = serializers.IntegerField()
    spacing_mm = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="column, row, slice"
    )
    kernel = serializers.CharField(allow_blank=True)
    prior = serializers.BooleanField()
    days_before = serializers.IntegerField(allow_null=True)
    dicomweb = serializers.CharField()


class CaseDetailSerializer(serializers.Serializer[Any]):
    """A case with its series."""

    id = serializers.IntegerField(source="pk")
    case = serializers.CharField(source="pseudonym")
    subject = serializers.CharField()
    training = serializers.BooleanField()
    series = SeriesOfACaseSerializer(many=True, source="shown")


class OfACase(DeskView):
    """A view of one case, for coordinators; to change it a token needs the scope `import`."""

    scopes: ClassVar[Mapping[str, Scope]] = dict.fromkeys(("POST", "PUT", "DELETE"), Scope.IMPORT)

    def case(self, slug: str, case_id: int) -> Case:
        """Return the case.

        Raises:
            Case.DoesNotExist: the study has none of this number.
        """
        return Case.objects.get(study=self.study(slug, *ACT), pk=case_id)


class CaseView(OfACase):
    """One case."""

    @extend_schema(operation_id="get_case", responses=CaseDetailSerializer)
    def get(self, request: Request, slug: str, case_id: int) -> Response:
        case = self.case(slug, case_id)
        shown = [_shown(slug, case, one) for one in case.series.by_examination()]
        case.shown = shown  # type: ignore[attr-defined]
        return Response(CaseDetailSerializer(case).data)

    @extend_schema(operation_id="remove_case", request=None, responses={204: None})
    def delete(self, request: Request, slug: str, case_id: int) -> Response:
        """Take it out of the study, as long as the cases are not dealt out."""
        case = self.case(slug, case_id)
        remove_case(study=case.study, case_id=case.pk, by=self.user, now=timezone.now())
        return Response(status=204)


def _shown(slug: str, case: Case, series: Series) -> dict[str, Any]:
    names = {name: pseudonym_at_desk(case, getattr(series, name)) for name in UIDS}
    address = reverse("api-desk-case-metadata", args=[slug, case.pk, *names.values()])
    kept = ("pk", "slices", "kernel", "prior", "days_before")
    return {
        **{name: getattr(series, name) for name in kept},
        **names,
        "spacing_mm": list(series.volume.steps_mm) if series.volume else None,
        "dicomweb": address.removesuffix("/metadata"),
    }


class CasePictureView(OfACase):
    """The slice in the middle of a case's first series, small."""

    content_negotiation_class = AnyType

    @extend_schema(
        operation_id="get_case_picture", responses={(200, "image/png"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, slug: str, case_id: int) -> HttpResponse:
        series = self.case(slug, case_id).series.by_examination().first()
        if series is None:
            raise NotFound
        try:
            picture = middle_of(site_archive(), series.study_uid, series.series_uid)
        except ArchiveUnavailable as error:
            raise ImagesUnavailable from error
        except (ArchiveError, UndecodablePixels):
            raise NotFound from None
        return HttpResponse(picture, content_type="image/png")


class CaseMetadataView(OfACase):
    """The headers of a series of a case, slice after slice along their normal."""

    content_negotiation_class = AnyType

    @extend_schema(operation_id="get_case_metadata", responses={(200, DICOM_JSON): HEADERS})
    def get(
        self, request: Request, slug: str, case_id: int, study_uid: str, series_uid: str
    ) -> HttpResponse:
        named = DeskSeries(self.study(slug, *ACT), case_id, study_uid, series_uid)
        try:
            body = show_headers(series=named, by=self.user, token=self.token, now=timezone.now())
        except NotInArchive:
            raise NotFound from None
        except ArchiveUnavailable as error:
            raise ImagesUnavailable from error
        return HttpResponse(body, content_type=DICOM_JSON)


class CaseSliceView(OfACase):
    """One slice of a series of a case, counted from 1 along the normal, as it is stored."""

    content_negotiation_class = AnyType

    @extend_schema(
        operation_id="get_case_slice", responses={(200, "image/jls"): OpenApiTypes.BINARY}
    )
    def get(
        self,
        request: Request,
        slug: str,
        case_id: int,
        study_uid: str,
        series_uid: str,
        number: int,
    ) -> HttpResponse:
        named = DeskSeries(self.study(slug, *ACT), case_id, study_uid, series_uid)
        try:
            found = show_slice(series=named, number=number)
        except NotInArchive:
            raise NotFound from None
        except ArchiveUnavailable as error:
            raise ImagesUnavailable from error
        kind = multipart.image_type(found.transfer_syntax)
        return HttpResponse(
            found.data, content_type=f"{kind}; transfer-syntax={found.transfer_syntax}"
        )


class CaseChangeSerializer(serializers.Serializer[Any]):
    """A change of what a study is made of: in words, and what was there before and after."""

    kind = serializers.CharField()
    said = serializers.CharField()
    case = serializers.CharField(allow_blank=True)
    detail = serializers.DictField()
    by = serializers.CharField(source="by.username")
    at = serializers.DateTimeField()


class CaseChangesView(DeskList):
    """What was changed about cases and nodules, the last first."""

    @extend_schema(operation_id="list_case_changes", responses=CaseChangeSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = CaseChange.objects.filter(study=self.study(slug, *ACT)).select_related("by")
        return self.page(found.order_by("-pk"), CaseChangeSerializer)


class TrainingSerializer(serializers.Serializer[Any]):
    """Cases by their pseudonyms."""

    cases = serializers.ListField(
        child=serializers.CharField(max_length=32), allow_empty=False, max_length=1000
    )


class MarkedSerializer(serializers.Serializer[Any]):
    """How many training cases there are now."""

    training = serializers.IntegerField()


class TrainingView(DeskView):
    """Set cases apart for training."""

    @extend_schema(
        operation_id="mark_training", request=TrainingSerializer, responses=MarkedSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        sent = TrainingSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        return Response({"training": mark_training(study=study, **sent.validated_data)})
