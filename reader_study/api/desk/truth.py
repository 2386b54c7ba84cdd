"""The truth room: what the desk may know of the truth, and what the panel says of nodules.

Nothing here says what a nodule is, but to a member of the panel who may decide on it.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.readiness import reference_counts
from reader_study.actions.truth_room import (
    NOTE_LIMIT,
    TEXT_LIMIT,
    one_to_read,
    panel_member,
    panel_progress,
    record_decision,
    record_read,
    request_conclusion,
    request_truths,
    see_reads,
    series_for,
    sources_of,
    to_read,
)
from reader_study.api.description import PointField, SectionField
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.api.desk.studies import TaskSerializer
from reader_study.domain.panel_form import VERDICTS
from reader_study.domain.truth import Panel
from reader_study.models import Membership, Role, Scope


class PanelMemberSerializer(serializers.Serializer[Any]):
    """How many nodules a member of the panel has read; not what they said."""

    pseudonym = serializers.CharField()
    read = serializers.IntegerField()


class PanelRulesSerializer(serializers.Serializer[Any]):
    """How the panel of a study works, as its protocol says."""

    reads = serializers.IntegerField()
    agreement = serializers.CharField()
    adjudication = serializers.CharField()
    form = serializers.SerializerMethodField(
        help_text="What members are asked, as a protocol has it."
    )

    def get_form(self, panel: Panel) -> dict[str, Any]:
        """Return the form as a protocol has it."""
        return panel.form.model_dump(mode="json", by_alias=True)


class TruthRoomSerializer(serializers.Serializer[Any]):
    """How many nodules have a reference standard, and how far the panel is."""

    nodules = serializers.IntegerField()
    known = serializers.IntegerField()
    acceptance_mm = serializers.FloatField()
    rules = PanelRulesSerializer(allow_null=True)
    panel = PanelMemberSerializer(many=True)


class TruthRoomView(DeskView):
    """How far the truth of a study is; never what it says."""

    @extend_schema(operation_id="get_truth_room", responses=TruthRoomSerializer)
    def get(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        nodules, known = reference_counts(study)
        rules = study.rules.truth
        said = {
            "nodules": nodules,
            "known": known,
            "acceptance_mm": rules.acceptance_mm,
            "rules": rules.panel,
            "panel": panel_progress(study),
        }
        return Response(TruthRoomSerializer(said).data)


class SourceSerializer(serializers.Serializer[Any]):
    """Where the truth of a nodule comes from, without what it says."""

    case = serializers.CharField()
    nodule = serializers.IntegerField(help_text="its number in the case")
    source = serializers.CharField()  # type: ignore[assignment]
    loaded_at = serializers.DateTimeField()


class SourcesView(DeskList):
    """Where truths come from; none before the lock, unless the protocol lets the desk see it."""

    @extend_schema(operation_id="list_truth_sources", responses=SourceSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(sources_of(self.study(slug)), SourceSerializer)


class TruthListSerializer(serializers.Serializer[Any]):
    """A list of truths as CSV, and whether it is only to be checked."""

    text = serializers.CharField(max_length=TEXT_LIMIT, trim_whitespace=False)
    dry_run = serializers.BooleanField(default=False)


class _Loads(DeskView):
    scopes: ClassVar[Mapping[str, Scope]] = {"POST": Scope.TRUTH}


class TruthListView(_Loads):
    """Bring a list of truths."""

    @extend_schema(
        operation_id="load_truths", request=TruthListSerializer, responses={202: TaskSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask the site's worker to load a list, or to check it; `tasks` tell what came of it."""
        study = self.study(slug)
        sent = TruthListSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        task = request_truths(study=study, by=self.user, now=timezone.now(), **sent.validated_data)
        return Response(TaskSerializer(task).data, status=202)


class ConclusionView(_Loads):
    """Store what the panel has agreed on."""

    @extend_schema(operation_id="conclude_panel", request=None, responses={202: TaskSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Ask the site's worker to load it as the reference standard."""
        task = request_conclusion(study=self.study(slug), by=self.user, now=timezone.now())
        return Response(TaskSerializer(task).data, status=202)


class ToReadSerializer(serializers.Serializer[Any]):
    """A nodule in the list of a member of the panel."""

    id = serializers.IntegerField(source="nodule.pk")
    case = serializers.CharField(source="nodule.series.case.pseudonym")
    number = serializers.IntegerField(source="nodule.number")
    read_at = serializers.DateTimeField(allow_null=True)
    to_adjudicate = serializers.BooleanField()


class SaidSerializer(serializers.Serializer[Any]):
    """What another member of the panel has said."""

    member = serializers.CharField()
    verdict = serializers.ChoiceField(VERDICTS)
    confidence = serializers.IntegerField(allow_null=True)
    note = serializers.CharField(allow_blank=True)
    answers = SectionField()
    at = serializers.DateTimeField()


class SeenSeriesSerializer(serializers.Serializer[Any]):
    """The images of a nodule under names for this member of the panel alone.

    `dicomweb` is followed by `/studies/{study_uid}/series/{series_uid}` and then by `/metadata`
    or `/slices/1/frames/1`.
    """

    study_uid = serializers.CharField()
    series_uid = serializers.CharField()
    frame_of_reference_uid = serializers.CharField()
    slices = serializers.IntegerField()
    dicomweb = serializers.CharField()


class PanelNoduleSerializer(ToReadSerializer):
    """A nodule to be read: LPS millimetres. `said` is empty but for who may decide on it."""

    centre_mm = PointField(source="nodule.centre_mm")
    diameter_mm = serializers.FloatField(source="nodule.diameter_mm", allow_null=True)
    series = SeenSeriesSerializer()
    said = SaidSerializer(many=True)


class DecisionOnNoduleSerializer(serializers.Serializer[Any]):
    """What a nodule is on which the panel did not agree, and why."""

    verdict = serializers.ChoiceField(VERDICTS)
    note = serializers.CharField(max_length=NOTE_LIMIT)
    answers = SectionField(default=dict)


class ReadOfNoduleSerializer(serializers.Serializer[Any]):
    """What a member of the panel says of a nodule, as far as the protocol's form asks for it."""

    verdict = serializers.ChoiceField(VERDICTS)
    confidence = serializers.IntegerField(
        min_value=0, max_value=100, allow_null=True, default=None, help_text="how sure they are"
    )
    note = serializers.CharField(max_length=NOTE_LIMIT, allow_blank=True, default="")
    answers = SectionField(default=dict)


class _OfThePanel(DeskView):
    """A view for a member of the study's truth panel; a token needs the scope `truth`."""

    scopes: ClassVar[Mapping[str, Scope]] = dict.fromkeys(("GET", "HEAD", "POST"), Scope.TRUTH)

    def mine(self, slug: str) -> Membership:
        """Return the caller's membership.

        Raises:
            Membership.DoesNotExist, Study.DoesNotExist: they are not on the panel.
        """
        return panel_member(self.study(slug, Role.TRUTH_PANEL), self.user)

    def nodule(self, mine: Membership, nodule_id: int) -> Response:
        """Answer with a nodule as `mine` may see it."""
        found = one_to_read(mine, nodule_id)
        shown = {
            **found._asdict(),
            "series": series_for(mine, found.nodule),
            "said": see_reads(
                member=mine, nodule=found.nodule, token=self.token, now=timezone.now()
            ),
        }
        return Response(PanelNoduleSerializer(shown).data)

    def recorded(
        self,
        slug: str,
        nodule_id: int,
        sent: serializers.Serializer[Any],
        record: Callable[..., None],
    ) -> Response:
        """Let `record` take what the caller says of a nodule, and answer with the nodule."""
        mine = self.mine(slug)
        found = one_to_read(mine, nodule_id).nodule
        sent.is_valid(raise_exception=True)
        record(member=mine, nodule=found, now=timezone.now(), **sent.validated_data)
        return self.nodule(mine, nodule_id)


class PanelListView(_OfThePanel, DeskList):
    """The nodules that the panel reads, for a member of it."""

    @extend_schema(operation_id="list_panel_nodules", responses=ToReadSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(to_read(self.mine(slug)), ToReadSerializer)


class PanelNoduleView(_OfThePanel):
    """One nodule, for a member of the panel."""

    @extend_schema(operation_id="get_panel_nodule", responses=PanelNoduleSerializer)
    def get(self, request: Request, slug: str, nodule_id: int) -> Response:
        return self.nodule(self.mine(slug), nodule_id)


class PanelReadView(_OfThePanel):
    """Say what a nodule is, once and for all."""

    @extend_schema(
        operation_id="read_for_panel",
        request=ReadOfNoduleSerializer,
        responses=PanelNoduleSerializer,
    )
    def post(self, request: Request, slug: str, nodule_id: int) -> Response:
        sent = ReadOfNoduleSerializer(data=request.data)
        return self.recorded(slug, nodule_id, sent, record_read)


class PanelDecisionView(_OfThePanel):
    """Decide on a nodule on which the panel does not agree."""

    @extend_schema(
        operation_id="decide_for_panel",
        request=DecisionOnNoduleSerializer,
        responses=PanelNoduleSerializer,
    )
    def post(self, request: Request, slug: str, nodule_id: int) -> Response:
        sent = DecisionOnNoduleSerializer(data=request.data)
        return self.recorded(slug, nodule_id, sent, record_decision)
