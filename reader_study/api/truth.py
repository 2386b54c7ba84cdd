"""The truth of a training case, once it has been read."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.training import show_truth
from reader_study.api.access import ReaderView
from reader_study.api.description import PointField


class TruthSerializer(serializers.Serializer[Any]):
    """What is known of a nodule of a training case: null where the source leaves it open."""

    nodule = serializers.IntegerField()
    number = serializers.IntegerField()
    centre_mm = PointField()
    malignant = serializers.BooleanField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]


class TruthsSerializer(serializers.Serializer[Any]):
    """The truth of a training case."""

    nodules = TruthSerializer(many=True)


class TruthView(ReaderView):
    """The reference standard of a training case that has been read, where the protocol shows it.

    Of every other reading the address answers like one that does not exist.
    """

    @extend_schema(responses=TruthsSerializer)
    def get(self, request: Request, reading_id: int) -> Response:
        truths = show_truth(reader=self.reader, reading_id=reading_id, now=timezone.now())
        return Response({"nodules": [truth._asdict() for truth in truths]})
