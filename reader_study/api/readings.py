"""Readings: what the reading room asks for, and what it sends."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.reading import (
    Told,
    lock_unaided,
    open_reading,
    save_draft,
    store_events,
    submit,
)
from reader_study.api.access import ReaderView
from reader_study.api.description import AnswersField
from reader_study.api.shown import ReadingSerializer, describe
from reader_study.domain.clock import LONGEST_PAGE_MS
from reader_study.domain.reading import ANSWERING, Stage
from reader_study.models import Accessed

EVENTS_AT_ONCE = 200
EVENT_DATA_LIMIT = 4000
MOST_SENT = 1000


class ReadingView(ReaderView):
    """What the reading room shows."""

    @extend_schema(responses=ReadingSerializer)
    def get(self, request: Request, reading_id: int) -> Response:
        return self.answer(reading_id)

    def answer(self, reading_id: int) -> Response:
        """Say how the reading stands now."""
        reading = self.reading(reading_id)
        self.note(Accessed.ANSWERS, reading)
        return Response(ReadingSerializer(describe(reading)).data)


class OpenView(ReadingView):
    """Begin a reading, or go on with it."""

    http_method_names = ["post"]

    @extend_schema(request=None, responses=ReadingSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        open_reading(reader=self.reader, reading_id=reading_id, now=timezone.now())
        return self.answer(reading_id)


class SentField(serializers.ListField):
    """Keys of earlier saves whose acknowledgement did not come."""

    child = serializers.UUIDField()

    def __init__(self) -> None:
        super().__init__(required=False, default=list, max_length=MOST_SENT)


class DraftRequestSerializer(serializers.Serializer[Any]):
    """What is filled in so far, the last version the client has seen, and the key of this save."""

    stage = serializers.ChoiceField([stage.value for stage in ANSWERING])
    version = serializers.IntegerField(min_value=0)
    answers = AnswersField()
    key = serializers.UUIDField(required=False, allow_null=True, default=None)
    sent = SentField()


class SavedSerializer(serializers.Serializer[Any]):
    """The version that is now stored."""

    version = serializers.IntegerField()
    saved_at = serializers.DateTimeField()


class DraftView(ReaderView):
    """Keep what is filled in so far."""

    @extend_schema(request=DraftRequestSerializer, responses=SavedSerializer)
    def put(self, request: Request, reading_id: int) -> Response:
        asked = DraftRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        draft = save_draft(
            reader=self.reader,
            reading_id=reading_id,
            stage=Stage(asked.validated_data["stage"]),
            version=asked.validated_data["version"],
            answers=asked.validated_data["answers"],
            key=asked.validated_data["key"],
            sent=asked.validated_data["sent"],
            now=timezone.now(),
        )
        return Response(SavedSerializer(draft).data)


class FormSentSerializer(serializers.Serializer[Any]):
    """A filled-in form, the version of the draft that it follows, and the key of this step."""

    answers = AnswersField()
    version = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)
    key = serializers.UUIDField(required=False, allow_null=True, default=None)
    sent = SentField()


class LockView(ReadingView):
    """Lock the answer given before the AI is shown."""

    http_method_names = ["post"]

    @extend_schema(request=FormSentSerializer, responses=ReadingSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        sent = FormSentSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        lock_unaided(
            reader=self.reader, reading_id=reading_id, now=timezone.now(), **sent.validated_data
        )
        return self.answer(reading_id)


class SubmitView(ReadingView):
    """Lock the answer given with the AI in view, which ends the reading."""

    http_method_names = ["post"]

    @extend_schema(request=FormSentSerializer, responses=ReadingSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        sent = FormSentSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        submit(reader=self.reader, reading_id=reading_id, now=timezone.now(), **sent.validated_data)
        return self.answer(reading_id)


class RoomEventSerializer(serializers.Serializer[Any]):
    """One thing that happened in the browser."""

    key = serializers.UUIDField()
    kind = serializers.RegexField(r"^[a-z][a-z0-9_]{0,31}$")
    stage = serializers.ChoiceField([stage.value for stage in Stage])
    monotonic_ms = serializers.FloatField(min_value=0, max_value=LONGEST_PAGE_MS)
    data = serializers.DictField(required=False, default=dict)  # type: ignore[assignment]

    def validate_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is too large to be about one moment."""
        if len(str(data)) > EVENT_DATA_LIMIT:
            raise serializers.ValidationError("an event's data is too large")
        return data


class EventsSerializer(serializers.Serializer[Any]):
    """What happened since the last time."""

    events = serializers.ListField(child=RoomEventSerializer(), max_length=EVENTS_AT_ONCE)


class StoredSerializer(serializers.Serializer[Any]):
    """How many events were taken in."""

    stored = serializers.IntegerField()


class EventsView(ReaderView):
    """Keep what the browser tells of a reading."""

    @extend_schema(request=EventsSerializer, responses=StoredSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        sent = EventsSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        stored = store_events(
            reader=self.reader,
            reading_id=reading_id,
            events=[Told(**event) for event in sent.validated_data["events"]],
            now=timezone.now(),
        )
        return Response(StoredSerializer({"stored": stored}).data)
