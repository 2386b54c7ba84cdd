"""Studies: those one conducts, a new one, and the way of each from its protocol to its opening."""

from typing import Any

from django.core.validators import validate_slug
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.access import LOOK
from reader_study.actions.desk import request_allocation
from reader_study.actions.planning import FITS, TEMPLATES, template
from reader_study.actions.readiness import checklist, missing, prediction_progress
from reader_study.actions.study import (
    create_with_desk,
    may_create_studies,
    open_study,
)
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.domain.protocol_file import read_with_lines
from reader_study.models import (
    DeskTask,
    DeskTaskKind,
    DeskTaskStatus,
    Job,
    JobStatus,
    Reading,
    Study,
)

SIZE_LIMIT = 200_000


class StudySerializer(serializers.Serializer[Any]):
    """A study: its name in addresses, its title, and how far it is."""

    name = serializers.SlugField(source="slug")
    title = serializers.CharField()
    protocol_hash = serializers.CharField()
    created_at = serializers.DateTimeField()
    allocated_at = serializers.DateTimeField(allow_null=True)
    opened_at = serializers.DateTimeField(allow_null=True)
    locked_at = serializers.DateTimeField(
        source="database_lock.at", allow_null=True, default=None, read_only=True
    )


class NewStudySerializer(serializers.Serializer[Any]):
    """A name for addresses, and a protocol as text (YAML or JSON), or the name of a template."""

    name = serializers.CharField(max_length=64, validators=[validate_slug])
    protocol = serializers.CharField(max_length=SIZE_LIMIT, required=False, trim_whitespace=False)
    template = serializers.ChoiceField(sorted(TEMPLATES), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse both and neither."""
        if ("protocol" in attrs) == ("template" in attrs):
            raise serializers.ValidationError("give either a protocol or a template")
        return attrs


class StudiesView(DeskList):
    """The studies one conducts."""

    @extend_schema(operation_id="list_studies", responses=StudySerializer(many=True))
    def get(self, request: Request) -> Response:
        found = Study.objects.select_related("database_lock").order_by("slug")
        if not self.user.is_superuser:
            mine = self.user.memberships.filter(role__in=LOOK).values("study")
            found = found.filter(pk__in=mine)
        else:
            # Where an administrator reads, or judges, they are no more than that.
            other = self.user.memberships.exclude(role__in=LOOK).values("study")
            found = found.exclude(pk__in=other)
        return self.page(found, StudySerializer)

    @extend_schema(
        operation_id="create_study", request=NewStudySerializer, responses={201: StudySerializer}
    )
    def post(self, request: Request) -> Response:
        """Create a study that one coordinates, by a protocol or a template."""
        if not may_create_studies(self.user):
            raise exceptions.NotFound
        asked = NewStudySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        text = given["protocol"] if "protocol" in given else template(given["template"])
        rules, _ = read_with_lines(text)
        study = create_with_desk(
            slug=given["name"],
            document=rules.model_dump(mode="json"),
            source=text,
            by=self.user,
            now=timezone.now(),
        )
        return Response(StudySerializer(study).data, status=201)


class TemplateSerializer(serializers.Serializer[Any]):
    """A protocol to start from: its name, what it fits, and its text."""

    name = serializers.CharField()
    fits = serializers.CharField()
    text = serializers.CharField()


class TemplatesView(DeskList):
    """Protocols to start from, for whoever may create a study."""

    @extend_schema(operation_id="list_templates", responses=TemplateSerializer(many=True))
    def get(self, request: Request) -> Response:
        if not may_create_studies(self.user):
            raise exceptions.NotFound
        found = [
            {"name": name, "fits": fits, "text": template(name)} for name, fits in FITS.items()
        ]
        return self.page(found, TemplateSerializer)


class StudyView(DeskView):
    """One study."""

    @extend_schema(operation_id="get_study", responses=StudySerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(StudySerializer(self.study(slug)).data)


class CheckSerializer(serializers.Serializer[Any]):
    """One thing a study needs before it can open; what is not `needed` is advice."""

    name = serializers.CharField()
    detail = serializers.CharField()
    met = serializers.BooleanField()
    needed = serializers.BooleanField()


class ChecklistSerializer(serializers.Serializer[Any]):
    """What a study needs before it can open."""

    can_open = serializers.BooleanField()
    checks = CheckSerializer(many=True)


class ChecklistView(DeskView):
    """What a study needs before it can open, and whether it is there."""

    @extend_schema(operation_id="get_checklist", responses=ChecklistSerializer)
    def get(self, request: Request, slug: str) -> Response:
        checks = checklist(self.study(slug))
        return Response(
            ChecklistSerializer({"can_open": not missing(checks), "checks": checks}).data
        )


class OpenStudyView(DeskView):
    """Let readings begin; again changes nothing."""

    @extend_schema(operation_id="open_study", request=None, responses=StudySerializer)
    def post(self, request: Request, slug: str) -> Response:
        study = open_study(study=self.study(slug), now=timezone.now())
        return Response(StudySerializer(study).data)


class AllocateSerializer(serializers.Serializer[Any]):
    """Which cases are read for training, by their pseudonyms; the others are the study's."""

    training = serializers.ListField(
        child=serializers.CharField(max_length=32), default=list, max_length=1000
    )


class TaskSerializer(serializers.Serializer[Any]):
    """Something the site's worker does for the desk; `outcome` tells nothing of the truth."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(DeskTaskKind.values)
    status = serializers.ChoiceField(DeskTaskStatus.values)
    outcome = serializers.DictField()
    detail = serializers.CharField()
    asked_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class PlaceSerializer(serializers.Serializer[Any]):
    """One reading of the schedule, and how far it is: nothing of what was answered."""

    reader = serializers.CharField(source="reader.pseudonym")
    case = serializers.CharField(source="case.pseudonym")
    session = serializers.IntegerField()
    position = serializers.IntegerField()
    arm = serializers.CharField()
    repeat = serializers.BooleanField()
    stage = serializers.CharField()
    opened_at = serializers.DateTimeField(allow_null=True)
    submitted_at = serializers.DateTimeField(allow_null=True)


class AllocationView(DeskList):
    """The schedule: who reads which case when, and in which way."""

    @extend_schema(operation_id="list_allocation", responses=PlaceSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = (
            Reading.objects.of_study(self.study(slug))
            .select_related("reader", "case")
            .order_by("reader__pseudonym", "session", "position")
        )
        return self.page(found, PlaceSerializer)

    @extend_schema(
        operation_id="allocate", request=AllocateSerializer, responses={202: TaskSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask the site's worker to deal the cases out, once; `tasks` tell what became of it."""
        study = self.study(slug)
        asked = AllocateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        task = request_allocation(
            study=study, by=self.user, now=timezone.now(), **asked.validated_data
        )
        return Response(TaskSerializer(task).data, status=202)


class TasksView(DeskList):
    """What was asked of the site's worker, the last first."""

    @extend_schema(operation_id="list_tasks", responses=TaskSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(DeskTask.objects.filter(study=self.study(slug)), TaskSerializer)


class PredictionsSerializer(serializers.Serializer[Any]):
    """How many predictions there are to be, and have come."""

    wanted = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()


class PredictionsView(DeskView):
    """How far the predictions of the study's model are; nothing of what they say."""

    @extend_schema(operation_id="get_predictions", responses=PredictionsSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return Response(PredictionsSerializer(prediction_progress(self.study(slug))).data)


class FailureSerializer(serializers.Serializer[Any]):
    """A prediction that failed, and why."""

    case = serializers.CharField(source="nodule.series.case.pseudonym")
    nodule = serializers.IntegerField(source="nodule.number")
    model = serializers.CharField()
    detail = serializers.CharField()


class FailuresView(DeskList):
    """Where the AI failed."""

    @extend_schema(operation_id="list_failures", responses=FailureSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = Job.objects.filter(
            nodule__series__case__study=self.study(slug), status=JobStatus.FAILED
        )
        return self.page(
            found.select_related("nodule__series__case").order_by("pk"), FailureSerializer
        )
