"""The questions of a form, as the reading room gets them."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from reader_study.domain.lung_rads import TABLE
from reader_study.domain.questionnaire import Question

_BANDS = [band._asdict() for band in TABLE]


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
    table = serializers.SerializerMethodField()

    @extend_schema_field(BandSerializer(many=True))
    def get_table(self, rule: Any) -> list[dict[str, Any]]:
        """Return the table, which is the same for all."""
        return _BANDS


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
    measures = serializers.ChoiceField(
        ["mean_diameter", "long_axis", "short_axis"], allow_null=True, default=None
    )
    computed = ComputedSerializer(allow_null=True, default=None)
    when = WhenSerializer(allow_null=True, default=None)


class QuestionnaireSerializer(serializers.Serializer[Any]):
    """The questions about a case, about each of its nodules, and about marks before those."""

    case = QuestionSerializer(many=True)
    nodule = QuestionSerializer(many=True)
    mark = QuestionSerializer(many=True, default=[])
