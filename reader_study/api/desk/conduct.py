"""How a study is conducted: progress, deviations, readings reopened or begun early."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.deviations import NOTE_LIMIT, review_deviations
from reader_study.actions.monitoring import progress_of
from reader_study.actions.schedule import open_early
from reader_study.actions.unlocking import unlock_reading
from reader_study.api.desk.base import DeskList, DeskView, reading_named
from reader_study.models import Deviation, EarlyOpening, SessionSignature, Unlock
from reader_study.models.signature import valid_signatures


class SessionProgressSerializer(serializers.Serializer[Any]):
    """How far one reader is in one session; `odd` counts readings by what looks odd."""

    session = serializers.IntegerField()
    of = serializers.IntegerField()
    submitted = serializers.IntegerField()
    skipped = serializers.IntegerField()
    under_way = serializers.IntegerField()
    odd = serializers.DictField(child=serializers.IntegerField())
    last_ended_at = serializers.DateTimeField(allow_null=True)


class ReaderProgressSerializer(serializers.Serializer[Any]):
    """How far a reader is, and when they will be done at their pace; nothing of how well."""

    reader = serializers.CharField()
    sessions = SessionProgressSerializer(many=True)
    median_s = serializers.FloatField(allow_null=True)
    per_week = serializers.FloatField(allow_null=True)
    hours_left = serializers.FloatField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    deviations = serializers.IntegerField()


class OddReadingSerializer(serializers.Serializer[Any]):
    """A reading that looks odd, and how, in words."""

    reader = serializers.CharField()
    session = serializers.IntegerField()
    position = serializers.IntegerField()
    submitted_at = serializers.DateTimeField()
    why = serializers.ListField(child=serializers.CharField())


class MachinerySerializer(serializers.Serializer[Any]):
    """How the workers are."""

    waiting = serializers.IntegerField()
    oldest_waiting_since = serializers.DateTimeField(allow_null=True)
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    last_ended_at = serializers.DateTimeField(allow_null=True)
    site_worker_at = serializers.DateTimeField(allow_null=True)
    inference_worker_at = serializers.DateTimeField(allow_null=True)


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a study is; nothing of it tells how accurate anybody is."""

    readers = ReaderProgressSerializer(many=True)
    of = serializers.IntegerField()
    submitted = serializers.IntegerField()
    skipped = serializers.IntegerField()
    ends_at = serializers.DateTimeField(allow_null=True)
    odd = OddReadingSerializer(many=True)
    limits = serializers.ListField(child=serializers.CharField())
    machinery = MachinerySerializer()


class ProgressView(DeskView):
    """How far every reader is, what looks odd, and how the workers are."""

    @extend_schema(operation_id="get_progress", responses=ProgressSerializer)
    def get(self, request: Request, slug: str) -> Response:
        found = progress_of(self.study(slug), timezone.now())
        return Response(ProgressSerializer(found).data)


class ReviewedSerializer(serializers.Serializer[Any]):
    """What the desk has made of a deviation."""

    note = serializers.CharField()
    by = serializers.CharField(source="by.username")
    at = serializers.DateTimeField()


class DeviationSerializer(serializers.Serializer[Any]):
    """Something that did not go as the protocol says, and what the desk has made of it."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    reader = serializers.CharField(source="reader.pseudonym", allow_null=True, default=None)
    session = serializers.IntegerField(source="reading.session", allow_null=True, default=None)
    position = serializers.IntegerField(source="reading.position", allow_null=True, default=None)
    detail = serializers.DictField()
    at = serializers.DateTimeField()
    review = ReviewedSerializer(allow_null=True, default=None)


class DeviationsView(DeskList):
    """Deviations from the protocol, the last one first."""

    @extend_schema(operation_id="list_deviations", responses=DeviationSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = Deviation.objects.filter(study=self.study(slug))
        return self.page(
            found.select_related("reader", "reading", "review__by").order_by("-pk"),
            DeviationSerializer,
        )


class ReviewSerializer(serializers.Serializer[Any]):
    """Deviations, and what was made of them."""

    deviations = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**53),
        allow_empty=False,
        max_length=1000,
    )
    note = serializers.CharField(max_length=NOTE_LIMIT)


class ReviewedNumberSerializer(serializers.Serializer[Any]):
    """How many of them had not been reviewed before."""

    reviewed = serializers.IntegerField()


class ReviewsView(DeskView):
    """Note what was made of deviations."""

    @extend_schema(
        operation_id="review_deviations",
        request=ReviewSerializer,
        responses=ReviewedNumberSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        sent = ReviewSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        number = review_deviations(
            study=study,
            ids=sent.validated_data["deviations"],
            by=self.user,
            note=sent.validated_data["note"],
            now=timezone.now(),
        )
        return Response({"reviewed": number})


class SignatureSerializer(serializers.Serializer[Any]):
    """A session that a reader signed, and whether the signature still holds."""

    reader = serializers.CharField(source="reader.pseudonym")
    session = serializers.IntegerField()
    at = serializers.DateTimeField()
    valid = serializers.BooleanField()


class SignaturesView(DeskList):
    """Signatures of sessions."""

    @extend_schema(operation_id="list_signatures", responses=SignatureSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = list(
            SessionSignature.objects.filter(reader__study=self.study(slug))
            .select_related("reader")
            .order_by("reader__pseudonym", "session", "pk")
        )
        valid = {each.pk for each in valid_signatures({s.reader_id for s in found}).values()}
        for signature in found:
            signature.valid = signature.pk in valid  # type: ignore[attr-defined]
        return self.page(found, SignatureSerializer)


class NamedReadingSerializer(serializers.Serializer[Any]):
    """A reading by reader, session and place on the worklist, and why something is done to it."""

    reader = serializers.CharField(source="reading.reader.pseudonym", max_length=32)
    session = serializers.IntegerField(source="reading.session", min_value=0, max_value=1000)
    position = serializers.IntegerField(source="reading.position", min_value=1, max_value=1_000_000)
    reason = serializers.CharField(max_length=1000)
    at = serializers.DateTimeField(read_only=True)

    @property
    def named(self) -> dict[str, Any]:
        """Which reading was named."""
        reading = self.validated_data["reading"]
        return {**reading, "reader": reading["reader"]["pseudonym"]}


class UnlocksView(DeskList):
    """Answers that were reopened."""

    @extend_schema(operation_id="list_unlocks", responses=NamedReadingSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = Unlock.objects.filter(reading__reader__study=self.study(slug))
        return self.page(
            found.select_related("reading__reader").order_by("-pk"), NamedReadingSerializer
        )

    @extend_schema(
        operation_id="unlock",
        request=NamedReadingSerializer,
        responses={201: NamedReadingSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Reopen the last answer of a submitted reading, for a reason that is recorded."""
        study = self.study(slug)
        sent = NamedReadingSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        unlock = unlock_reading(
            study=study,
            reading_id=reading_named(study, sent.named).pk,
            by=self.user,
            reason=sent.validated_data["reason"],
            now=timezone.now(),
        )
        return Response(NamedReadingSerializer(unlock).data, status=201)


class EarlyOpeningsView(DeskList):
    """Readings that were let begin before their time."""

    @extend_schema(operation_id="list_early_openings", responses=NamedReadingSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = EarlyOpening.objects.filter(reading__reader__study=self.study(slug))
        return self.page(
            found.select_related("reading__reader").order_by("-pk"), NamedReadingSerializer
        )

    @extend_schema(
        operation_id="open_early",
        request=NamedReadingSerializer,
        responses={201: NamedReadingSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Let a reading begin before its session or washout allows it, for a reason."""
        study = self.study(slug)
        sent = NamedReadingSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        reading = reading_named(study, sent.named)
        open_early(
            study=study,
            reading_id=reading.pk,
            by=self.user,
            reason=sent.validated_data["reason"],
            now=timezone.now(),
        )
        opening = EarlyOpening.objects.select_related("reading__reader").get(reading=reading)
        return Response(NamedReadingSerializer(opening).data, status=201)
