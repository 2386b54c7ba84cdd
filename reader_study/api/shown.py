"""A reading as its reader may see it at its present stage."""

from typing import Any

from django.urls import reverse
from django.utils import timezone
from rest_framework import serializers

from reader_study.actions.display import preferences_of
from reader_study.actions.images import series_of
from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.reading import nodules_of, path_of, visible_items
from reader_study.actions.schedule import AT_ONCE, is_closed, openings_of, waits
from reader_study.api.description import AnswersField, PointField
from reader_study.api.preferences import LayoutField, PreferencesSerializer
from reader_study.api.questionnaire import QuestionnaireSerializer
from reader_study.domain.blinding import ARTEFACTS, truth_is_shown
from reader_study.domain.design import TRAINING, name_for_reader
from reader_study.domain.findings import Findings
from reader_study.domain.protocol import Protocol
from reader_study.domain.reading import ANSWERING, Stage
from reader_study.models import Answer, Draft, Place, Reading, Skip, Unlock

NOTHING: dict[str, Any] = {"case": {}, "nodules": {}}


class NoduleSerializer(serializers.Serializer[Any]):
    """A nodule to be rated: LPS millimetres."""

    id = serializers.IntegerField()
    number = serializers.IntegerField()
    centre_mm = PointField()
    diameter_mm = serializers.FloatField(allow_null=True)
    series = serializers.IntegerField(source="series_id")


class SeriesSerializer(serializers.Serializer[Any]):
    """Where a series' images are, under pseudonymous UIDs.

    A `prior` one is of an examination `days_before` the current one, null if that is not known.
    Series of one `frame_of_reference_uid` share their coordinates.
    """

    id = serializers.IntegerField()
    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    frame_of_reference_uid = serializers.CharField()
    dicomweb = serializers.CharField()
    slices = serializers.IntegerField()
    slice_mm = serializers.FloatField(allow_null=True)
    kernel = serializers.CharField()
    prior = serializers.BooleanField()
    days_before = serializers.IntegerField(allow_null=True)


class LockedSerializer(serializers.Serializer[Any]):
    """The locked answers."""

    unaided = AnswersField(allow_null=True)
    aided = AnswersField(allow_null=True)


class DraftSerializer(serializers.Serializer[Any]):
    """What is filled in so far, and the key of the save that brought it."""

    version = serializers.IntegerField()
    key = serializers.UUIDField(allow_null=True)
    answers = AnswersField()
    saved_at = serializers.DateTimeField(allow_null=True)


class ReopenedSerializer(serializers.Serializer[Any]):
    """When and why a coordinator let the last answer be given anew."""

    at = serializers.DateTimeField()
    reason = serializers.CharField()


class ReadingSerializer(serializers.Serializer[Any]):
    """A reading as its reader may see it at its present stage."""

    id = serializers.IntegerField()
    stage = serializers.ChoiceField([stage.value for stage in Stage])
    path = serializers.ListField(
        child=serializers.ChoiceField([stage.value for stage in ANSWERING])
    )
    case = serializers.CharField()
    position = serializers.IntegerField()
    of = serializers.IntegerField()
    study = serializers.CharField()
    next = serializers.CharField(allow_null=True)
    worklist = serializers.CharField()
    shows = serializers.ListField(child=serializers.ChoiceField([each.value for each in ARTEFACTS]))
    findings = serializers.ChoiceField([each.value for each in Findings])
    nodules = NoduleSerializer(many=True)
    series = SeriesSerializer(many=True)
    questionnaire = QuestionnaireSerializer()
    answers = LockedSerializer()
    draft = DraftSerializer()
    feedback = serializers.BooleanField(
        help_text="Whether the truth is shown once it is submitted."
    )
    layouts = serializers.ListField(child=LayoutField())
    preferences = PreferencesSerializer()
    reopened = ReopenedSerializer(allow_null=True)


def describe(reading: Reading) -> dict[str, Any]:
    """Return what `ReadingSerializer` says of a reading, in a constant number of queries."""
    study = reading.reader.study
    rules = reading.rules
    stage = Stage(reading.stage)
    mine = Reading.objects.filter(reader=reading.reader_id).places()
    following = _following(reading, mine, rules)
    closed = is_closed(reading)
    locked = {
        answer.stage: answer.answers
        for answer in Answer.objects.current().filter(reading=reading)
        if not closed
    }
    draft = Draft.objects.filter(reading=reading, stage=stage).first()
    unlock = Unlock.objects.filter(reading=reading).last() if stage in ANSWERING else None
    return {
        "id": reading.pk,
        "stage": stage.value,
        "path": [step.value for step in path_of(reading)],
        "case": name_for_reader(
            rules.design, reading.case.pseudonym, reading.session, reading.position
        ),
        "position": reading.position,
        "of": sum(each.session == reading.session for each in mine),
        "study": study.title,
        "next": reverse("reading", args=[following.pk]) if following else None,
        "worklist": reverse("worklist"),
        "shows": list(visible_items(reading)),
        "findings": rules.findings.value,
        "nodules": nodules_of(reading),
        "series": [
            {
                "id": series.pk,
                "study_uid": pseudonym(reading, series.study_uid),
                "series_uid": pseudonym(reading, series.series_uid),
                "frame_of_reference_uid": pseudonym(reading, series.frame_of_reference_uid),
                "dicomweb": f"/api/readings/{reading.pk}/dicomweb",
                "slices": series.slices,
                "slice_mm": series.volume.steps_mm[2] if series.volume else None,
                "kernel": series.kernel,
                "prior": series.prior,
                "days_before": series.days_before,
            }
            for series in series_of(reading)
        ],
        "questionnaire": rules.questionnaire.model_dump(mode="json"),
        "answers": {stage.value: locked.get(stage.value) for stage in ANSWERING},
        "draft": {
            "version": draft.version if draft else 0,
            "key": draft.key if draft else None,
            "answers": draft.answers if draft else NOTHING,
            "saved_at": draft.saved_at if draft else None,
        },
        "feedback": truth_is_shown(
            Stage.SUBMITTED,
            in_training=reading.session == TRAINING,
            of_training=reading.case.training,
            feedback=rules.design.training is not None and rules.design.training.feedback,
        ),
        "layouts": list(rules.images.layouts),
        "preferences": preferences_of(reading.reader.user),
        "reopened": unlock and {"at": unlock.at, "reason": unlock.reason},
    }


def _following(reading: Reading, mine: list[Place], rules: Protocol) -> Place | None:
    """Return the first other reading of the reader's that can be done now."""
    now = timezone.now()
    when = openings_of(mine, rules, now) if waits(rules) else {}
    skipped = set(
        Skip.objects.filter(reading__reader=reading.reader_id).values_list("reading", flat=True)
    )
    return next(
        (
            each
            for each in mine
            if each.pk != reading.pk
            and each.stage != Stage.SUBMITTED
            and each.pk not in skipped
            and when.get(each.pk, AT_ONCE).has_come(now)
        ),
        None,
    )
