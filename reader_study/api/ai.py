"""What the AI says of the nodules of a reading, as far as it may be seen."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.reading import show_ai
from reader_study.api.access import ReaderView
from reader_study.api.description import PointField
from reader_study.api.shown import NoduleSerializer
from reader_study.domain.blinding import Item
from reader_study.domain.errors import StepNotAllowed
from reader_study.models import Accessed, Job, JobStatus, Reading


class ScoreSerializer(serializers.Serializer[Any]):
    """The AI's probability of malignancy, calibrated and as it came."""

    probability = serializers.FloatField()
    probability_raw = serializers.FloatField()
    wording = serializers.CharField()
    unlike_training = serializers.BooleanField(allow_null=True)


class SaliencyPlaneSerializer(serializers.Serializer[Any]):
    """A relevance map and its place in the patient: LPS millimetres, unit vectors."""

    name = serializers.CharField()
    weight = serializers.FloatField()
    centre_mm = PointField()
    row = PointField()
    column = PointField()
    cell_mm = serializers.FloatField()
    relevance = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class FaithfulnessSerializer(serializers.Serializer[Any]):
    """How far the score falls without the most relevant tissue, and without a random one."""

    deletion_drop = serializers.FloatField()
    random_drop = serializers.FloatField()


class SaliencySerializer(serializers.Serializer[Any]):
    """Where in the patient the model looked."""

    planes = SaliencyPlaneSerializer(many=True)
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
        self.note(Accessed.AI, reading)
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
