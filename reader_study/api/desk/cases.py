"""The cases of a study and their nodules; nothing of what is known of them."""

from typing import Any

from django.db.models import Count, Max
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.study import mark_training
from reader_study.api.description import PointField
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.models import Case, Nodule


class CaseSerializer(serializers.Serializer[Any]):
    """A case by its pseudonyms."""

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


class NoduleOfACaseSerializer(serializers.Serializer[Any]):
    """A nodule of a case: LPS millimetres."""

    id = serializers.IntegerField()
    case = serializers.CharField(source="series.case.pseudonym")
    number = serializers.IntegerField()
    centre_mm = PointField()
    diameter_mm = serializers.FloatField(allow_null=True)


class NodulesView(DeskList):
    """The nodules of a study."""

    @extend_schema(operation_id="list_nodules", responses=NoduleOfACaseSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = (
            Nodule.objects.of_study(self.study(slug))
            .select_related("series__case")
            .order_by("series__case__pseudonym", "number")
        )
        return self.page(found, NoduleOfACaseSerializer)


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
