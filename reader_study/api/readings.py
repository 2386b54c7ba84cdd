"""Readings: what the reading room shows, and what it sends."""

from typing import Any, get_args

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.display import preferences_of
from reader_study.actions.pseudonyms import pseudonym
from reader_study.actions.reading import (
    Told,
    lock_unaided,
    nodules_of,
    open_reading,
    path_of,
    save_draft,
    show_ai,
    store_events,
    submit,
    visible_items,
)
from reader_study.actions.schedule import is_closed, openings_of
from reader_study.actions.training import show_truth
from reader_study.api.access import ReaderView
from reader_study.api.preferences import PreferencesSerializer
from reader_study.domain.blinding import Item, truth_is_shown
from reader_study.domain.design import TRAINING, name_for_reader
from reader_study.domain.errors import StepNotAllowed
from reader_study.domain.findings import Findings
from reader_study.domain.lung_rads import TABLE
from reader_study.domain.protocol import Protocol
from reader_study.domain.questionnaire import Question
from reader_study.domain.reading import ANSWERING, Stage
from reader_study.models import Answer, Draft, Job, JobStatus, Reading, Skip, Unlock

EVENTS_AT_ONCE = 200
EVENT_DATA_LIMIT = 4000
MOST_SENT = 1000
_BANDS = [band._asdict() for band in TABLE]


class NoduleSerializer(serializers.Serializer[Any]):
    """A nodule to be rated: LPS millimetres."""

    id = serializers.IntegerField()
    number = serializers.IntegerField()
    centre_mm = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)
    diameter_mm = serializers.FloatField(allow_null=True)


class SeriesSerializer(serializers.Serializer[Any]):
    """Where a series' images are, under pseudonymous UIDs."""

    id = serializers.IntegerField()
    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    dicomweb = serializers.CharField()
    slices = serializers.IntegerField()


class OptionSerializer(serializers.Serializer[Any]):
    """One answer of a choice."""

    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    exclusive = serializers.BooleanField()


class ScaleSerializer(serializers.Serializer[Any]):
    """A range of numbers with the meaning of its ends."""

    min = serializers.FloatField()
    max = serializers.FloatField()
    step = serializers.FloatField()
    low = serializers.CharField()
    high = serializers.CharField()


class WhenSerializer(serializers.Serializer[Any]):
    """The answer to an earlier choice with which a question is asked: one of `is`."""

    question = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the field whose name is a word of Python's."""
        options = serializers.ListField(child=serializers.CharField())
        return {**super().get_fields(), "is": options}


class BandSerializer(serializers.Serializer[Any]):
    """The category of nodules of these kinds and changes from a size on, until the next band."""

    kinds = serializers.ListField(child=serializers.CharField())
    changes = serializers.ListField(child=serializers.CharField())
    size_mm = serializers.FloatField()
    solid_mm = serializers.FloatField()
    category = serializers.CharField()


class ComputedSerializer(serializers.Serializer[Any]):
    """The questions from which a category follows, and the table in which it is looked up."""

    type = serializers.CharField()
    diameter_mm = serializers.CharField()
    solid_mm = serializers.CharField()
    change = serializers.CharField()
    reason = serializers.CharField()
    table = serializers.ListField(child=BandSerializer(), default=_BANDS)


class QuestionSerializer(serializers.Serializer[Any]):
    """A question of the form."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField()
    kind = serializers.ChoiceField(get_args(Question.model_fields["kind"].annotation))
    required = serializers.BooleanField()  # type: ignore[assignment]
    cannot_assess = serializers.BooleanField()
    options = OptionSerializer(many=True)
    scale = ScaleSerializer(allow_null=True)
    unit = serializers.CharField(allow_null=True)
    semantic = serializers.BooleanField()
    measures = serializers.CharField(allow_null=True, default=None)
    computed = ComputedSerializer(allow_null=True, default=None)
    when = WhenSerializer(allow_null=True, default=None)


class QuestionnaireSerializer(serializers.Serializer[Any]):
    """The questions about a case, about each of its nodules, and about marks before those."""

    case = QuestionSerializer(many=True)
    nodule = QuestionSerializer(many=True)
    mark = QuestionSerializer(many=True, default=[])


class LockedSerializer(serializers.Serializer[Any]):
    """The locked answers."""

    unaided = serializers.JSONField(allow_null=True)
    aided = serializers.JSONField(allow_null=True)


class DraftSerializer(serializers.Serializer[Any]):
    """What is filled in so far, and the key of the save that brought it."""

    version = serializers.IntegerField()
    key = serializers.UUIDField(allow_null=True)
    answers = serializers.JSONField()
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
    shows = serializers.ListField(child=serializers.CharField())
    findings = serializers.ChoiceField([each.value for each in Findings])
    nodules = NoduleSerializer(many=True)
    series = SeriesSerializer(many=True)
    questionnaire = QuestionnaireSerializer()
    answers = LockedSerializer()
    draft = DraftSerializer()
    feedback = serializers.BooleanField(
        help_text="Whether the truth is shown once it is submitted."
    )
    layouts = serializers.ListField(child=serializers.CharField())
    preferences = PreferencesSerializer()
    reopened = ReopenedSerializer(allow_null=True)


NOTHING: dict[str, Any] = {"case": {}, "nodules": {}}


def describe(reading: Reading) -> dict[str, Any]:
    """Return what `ReadingSerializer` says of a reading, in a constant number of queries."""
    study = reading.reader.study
    rules = reading.rules
    stage = Stage(reading.stage)
    mine = list(Reading.objects.filter(reader=reading.reader_id))
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
                "dicomweb": f"/api/readings/{reading.pk}/dicomweb",
                "slices": series.slices,
            }
            for series in reading.case.series.all()
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


def _following(reading: Reading, mine: list[Reading], rules: Protocol) -> Reading | None:
    """Return the first other reading of the reader's that can be done now."""
    now = timezone.now()
    when = openings_of(mine, rules, now)
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
            and when[each.pk].has_come(now)
        ),
        None,
    )


class ReadingView(ReaderView):
    """What the reading room shows."""

    @extend_schema(responses=ReadingSerializer)
    def get(self, request: Request, reading_id: int) -> Response:
        return self.answer(reading_id)

    def answer(self, reading_id: int) -> Response:
        """Say how the reading stands now."""
        return Response(ReadingSerializer(describe(self.reading(reading_id))).data)


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
    answers = serializers.JSONField()
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


class AnswersSerializer(serializers.Serializer[Any]):
    """A filled-in form, the version of the draft that it follows, and the key of this step."""

    answers = serializers.JSONField()
    version = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)
    key = serializers.UUIDField(required=False, allow_null=True, default=None)
    sent = SentField()


class LockView(ReadingView):
    """Lock the answer given before the AI is shown."""

    http_method_names = ["post"]

    @extend_schema(request=AnswersSerializer, responses=ReadingSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        sent = AnswersSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        lock_unaided(
            reader=self.reader, reading_id=reading_id, now=timezone.now(), **sent.validated_data
        )
        return self.answer(reading_id)


class SubmitView(ReadingView):
    """Lock the answer given with the AI in view, which ends the reading."""

    http_method_names = ["post"]

    @extend_schema(request=AnswersSerializer, responses=ReadingSerializer)
    def post(self, request: Request, reading_id: int) -> Response:
        sent = AnswersSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        submit(reader=self.reader, reading_id=reading_id, now=timezone.now(), **sent.validated_data)
        return self.answer(reading_id)


class EventSerializer(serializers.Serializer[Any]):
    """One thing that happened in the browser."""

    key = serializers.UUIDField()
    kind = serializers.RegexField(r"^[a-z][a-z0-9_]{0,31}$")
    stage = serializers.ChoiceField([stage.value for stage in Stage])
    monotonic_ms = serializers.FloatField(min_value=0)
    data = serializers.DictField(required=False, default=dict)  # type: ignore[assignment]

    def validate_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is too large to be about one moment."""
        if len(str(data)) > EVENT_DATA_LIMIT:
            raise serializers.ValidationError("an event's data is too large")
        return data


class EventsSerializer(serializers.Serializer[Any]):
    """What happened since the last time."""

    events = serializers.ListField(child=EventSerializer(), max_length=EVENTS_AT_ONCE)


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


class ScoreSerializer(serializers.Serializer[Any]):
    """The AI's probability of malignancy, calibrated and as it came."""

    probability = serializers.FloatField()
    probability_raw = serializers.FloatField()
    wording = serializers.CharField()
    unlike_training = serializers.BooleanField(allow_null=True)


class PlaneSerializer(serializers.Serializer[Any]):
    """A relevance map and its place in the patient: LPS millimetres, unit vectors."""

    name = serializers.CharField()
    weight = serializers.FloatField()
    centre_mm = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)
    row = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)
    column = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)
    cell_mm = serializers.FloatField()
    relevance = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class FaithfulnessSerializer(serializers.Serializer[Any]):
    """How far the score falls without the most relevant tissue, and without a random one."""

    deletion_drop = serializers.FloatField()
    random_drop = serializers.FloatField()


class SaliencySerializer(serializers.Serializer[Any]):
    """Where in the patient the model looked."""

    planes = PlaneSerializer(many=True)
    scale = serializers.FloatField()
    token_mm = serializers.FloatField()
    faithfulness = FaithfulnessSerializer()


class SimilarSerializer(serializers.Serializer[Any]):
    """A nodule of the model's reference set; the image is a PNG as an address of its own."""

    distance = serializers.FloatField()
    malignant = serializers.BooleanField()
    truth = serializers.CharField()
    diameter_mm = serializers.FloatField()
    image = serializers.CharField()


class NoduleAiSerializer(serializers.Serializer[Any]):
    """What the AI says of a nodule; the parts the condition does not show are absent.

    `place` is there where the reader was not given the nodule: it is a mark of the AI.
    """

    status = serializers.ChoiceField(["done", "failed"])
    detail = serializers.CharField()
    place = NoduleSerializer(required=False)
    score = ScoreSerializer(required=False)
    semantic = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()), required=False
    )
    saliency = SaliencySerializer(required=False)
    similar = SimilarSerializer(many=True, required=False)


class CalibrationPointSerializer(serializers.Serializer[Any]):
    """Held out nodules scored alike, and the share that was malignant, with its 95 % interval."""

    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()
    mean_probability = serializers.FloatField()
    share = serializers.FloatField()
    lower = serializers.FloatField()
    upper = serializers.FloatField()


class CalibrationSerializer(serializers.Serializer[Any]):
    """What came true of the model's probabilities; shown with the score alone."""

    truth = serializers.CharField()
    points = CalibrationPointSerializer(many=True)


class ModelSerializer(serializers.Serializer[Any]):
    """The model that spoke."""

    title = serializers.CharField()
    version = serializers.CharField()
    notice = serializers.CharField()
    demonstration = serializers.BooleanField()
    calibration = CalibrationSerializer(required=False)


class AiSerializer(serializers.Serializer[Any]):
    """What the AI says of the nodules of a case, by their id."""

    nodules = serializers.DictField(child=NoduleAiSerializer())
    model = ModelSerializer()


class TruthSerializer(serializers.Serializer[Any]):
    """What is known of a nodule of a training case: null where the source leaves it open."""

    nodule = serializers.IntegerField()
    number = serializers.IntegerField()
    centre_mm = serializers.ListField(child=serializers.FloatField(), min_length=3, max_length=3)
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


class AiView(ReaderView):
    """The AI's output on the nodules of a reading, as far as it may be seen.

    Before that, the address answers like one that does not exist.
    """

    @extend_schema(responses=AiSerializer)
    def get(self, request: Request, reading_id: int) -> Response:
        try:
            reading, items = show_ai(reader=self.reader, reading_id=reading_id, now=timezone.now())
        except StepNotAllowed:
            raise Reading.DoesNotExist from None
        jobs = Job.objects.filter(
            nodule__series__case=reading.case_id, model=reading.rules.ai.model
        ).select_related("nodule", "prediction__model_version")
        given = reading.rules.findings.has_given
        version = next(
            (job.prediction.model_version for job in jobs if job.status == JobStatus.DONE), None
        )
        card = version.card if version else {}
        wording = reading.reader.study.rules.ai.score_wording
        return Response(
            {
                "nodules": {
                    str(job.nodule_id): {
                        **_shown(job, items, wording),
                        **({} if given else _place(job)),
                    }
                    for job in jobs
                    if given or job.status == JobStatus.DONE  # else nothing is marked
                },
                "model": {
                    "title": card.get("title", ""),
                    "version": version.version if version else "",
                    "notice": card.get("notice", ""),
                    "demonstration": card.get("demonstration", False),
                    **(_calibration(card) if Item.SCORE in items else {}),
                },
            }
        )


def _place(job: Job) -> dict[str, Any]:
    return {"place": NoduleSerializer(job.nodule).data}


def _calibration(card: dict[str, Any]) -> dict[str, Any]:
    points = card.get("calibration")
    if not points:
        return {}
    return {"calibration": {"truth": card["calibration_truth"], "points": points}}


def _shown(job: Job, items: tuple[Item, ...], wording: str) -> dict[str, Any]:
    if job.status != JobStatus.DONE:
        return {"status": "failed", "detail": job.detail or "The AI has not answered."}
    bundle = job.prediction.bundle
    parts: dict[Item, Any] = {
        Item.SCORE: {
            "probability": job.prediction.probability,
            "probability_raw": job.prediction.probability_raw,
            "wording": wording,
            "unlike_training": (bundle.get("likeness") or {}).get("unlike"),
        },
    }
    if bundle["semantic"]:
        parts[Item.SEMANTIC] = bundle["semantic"]
    if bundle.get("similar"):
        parts[Item.SIMILAR] = [
            {
                **{name: one[name] for name in ("distance", "malignant", "truth", "diameter_mm")},
                "image": f"data:image/png;base64,{one['thumbnail']}",
            }
            for one in bundle["similar"]
        ]
    if bundle["planes"]:
        parts[Item.SALIENCY] = {
            "planes": bundle["planes"],
            "scale": bundle["relevance_scale"],
            "token_mm": job.prediction.model_version.card["token_mm"],
            "faithfulness": bundle["faithfulness"],
        }
    said = {item.value: parts[item] for item in items if item in parts}
    return {"status": "done", "detail": "", **said}
