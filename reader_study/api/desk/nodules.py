"""The nodules of a study: listed, placed, moved, taken away, added by a list."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import Count, Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.case_changes import (
    DIAMETER_MM,
    import_nodules,
    move_nodule,
    place_nodule,
    remove_nodule,
)
from reader_study.actions.imports import NODULES_LIMIT
from reader_study.api.description import PointField
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.models import JobStatus, Nodule, Scope, Study
from reader_study.models.study import NoduleQuerySet

MOST_ID = 2**31 - 1


class NoduleOfACaseSerializer(serializers.Serializer[Any]):
    """A nodule of a case: LPS millimetres; `ai` says how far the predictions about it are."""

    id = serializers.IntegerField()
    case = serializers.CharField(source="series.case.pseudonym")
    series = serializers.IntegerField(source="series_id")
    number = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    centre_mm = PointField()
    diameter_mm = serializers.FloatField(allow_null=True)
    ai = serializers.SerializerMethodField()

    def get_ai(self, nodule: Any) -> str:
        """Return none, wanted, done or failed."""
        if nodule.done:
            return "done"
        return "failed" if nodule.failed else "wanted" if nodule.wanted else "none"


def nodules_of(study: Study) -> NoduleQuerySet:
    """Return the nodules of `study` with what the serializer needs."""
    of_model = Q(jobs__model=study.protocol["ai"]["model"])
    return (
        Nodule.objects.of_study(study)
        .select_related("series__case")
        .annotate(
            wanted=Count("jobs", filter=of_model),
            done=Count("jobs", filter=of_model & Q(jobs__status=JobStatus.DONE)),
            failed=Count("jobs", filter=of_model & Q(jobs__status=JobStatus.FAILED)),
        )
        .order_by("series__case__pseudonym", "number")
    )


class MovedSerializer(serializers.Serializer[Any]):
    """Where a nodule is, in LPS millimetres, and how large, if that is known."""

    centre_mm = PointField()
    diameter_mm = serializers.FloatField(
        min_value=DIAMETER_MM[0], max_value=DIAMETER_MM[1], allow_null=True, default=None
    )


class PlacedSerializer(MovedSerializer):
    """A new nodule, and the series in whose images it lies."""

    series = serializers.IntegerField(min_value=1, max_value=MOST_ID)


CHANGES: Mapping[str, Scope] = dict.fromkeys(("POST", "PUT", "DELETE"), Scope.IMPORT)


class NodulesView(DeskList):
    """The nodules of a study."""

    scopes: ClassVar[Mapping[str, Scope]] = CHANGES

    @extend_schema(operation_id="list_nodules", responses=NoduleOfACaseSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(nodules_of(self.study(slug)), NoduleOfACaseSerializer)

    @extend_schema(
        operation_id="place_nodule",
        request=PlacedSerializer,
        responses={201: NoduleOfACaseSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Place a nodule, as long as the cases are not dealt out."""
        study = self.study(slug)
        sent = PlacedSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        nodule = place_nodule(
            study=study,
            series_id=given["series"],
            point_mm=given["centre_mm"],
            diameter_mm=given["diameter_mm"],
            by=self.user,
            now=timezone.now(),
        )
        shown = nodules_of(study).get(pk=nodule.pk)
        return Response(NoduleOfACaseSerializer(shown).data, status=201)


class NoduleView(DeskView):
    """One nodule."""

    scopes: ClassVar[Mapping[str, Scope]] = CHANGES

    @extend_schema(
        operation_id="move_nodule", request=MovedSerializer, responses=NoduleOfACaseSerializer
    )
    def put(self, request: Request, slug: str, nodule_id: int) -> Response:
        """Place it elsewhere, or give it another diameter."""
        study = self.study(slug)
        found = nodules_of(study).get(pk=nodule_id)
        sent = MovedSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        move_nodule(
            study=study,
            nodule_id=found.pk,
            point_mm=sent.validated_data["centre_mm"],
            diameter_mm=sent.validated_data["diameter_mm"],
            by=self.user,
            now=timezone.now(),
        )
        return Response(NoduleOfACaseSerializer(nodules_of(study).get(pk=nodule_id)).data)

    @extend_schema(operation_id="remove_nodule", request=None, responses={204: None})
    def delete(self, request: Request, slug: str, nodule_id: int) -> Response:
        """Take it away; those after it in its case move up."""
        study = self.study(slug)
        found = nodules_of(study).get(pk=nodule_id)
        remove_nodule(study=study, nodule_id=found.pk, by=self.user, now=timezone.now())
        return Response(status=204)


class NoduleListSerializer(serializers.Serializer[Any]):
    """A list of nodules as CSV, and whether it is only to be checked."""

    text = serializers.CharField(max_length=NODULES_LIMIT, trim_whitespace=False)
    dry_run = serializers.BooleanField(default=False)


class LineProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with a line."""

    code = serializers.CharField()
    detail = serializers.CharField()
    where = serializers.CharField()


class ListedSerializer(serializers.Serializer[Any]):
    """How many nodules a list adds, by case, and which lines cannot be used."""

    added = serializers.DictField(child=serializers.IntegerField())
    problems = LineProblemSerializer(many=True)


class NoduleListView(DeskView):
    """Add the nodules of a list to cases that are in the study."""

    scopes: ClassVar[Mapping[str, Scope]] = CHANGES

    @extend_schema(
        operation_id="import_nodules", request=NoduleListSerializer, responses=ListedSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        sent = NoduleListSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        listed = import_nodules(
            study=study,
            text=sent.validated_data["text"],
            name="the list of nodules",
            by=self.user,
            now=timezone.now(),
            dry_run=sent.validated_data["dry_run"],
        )
        return Response(ListedSerializer(listed).data)
