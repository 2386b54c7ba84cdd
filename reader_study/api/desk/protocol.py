"""The protocol of a study: its text, its versions, and what it would come to."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.planning import PER_DAY, plan
from reader_study.actions.protocol import amend_protocol, history
from reader_study.api.desk.base import DeskList, DeskView
from reader_study.api.desk.studies import SIZE_LIMIT
from reader_study.domain.dry_run import balance
from reader_study.domain.protocol import protocol_schema
from reader_study.domain.protocol_file import read_with_lines, write_protocol
from reader_study.models import ProtocolVersion


class ChangeSerializer(serializers.Serializer[Any]):
    """One part of a protocol that a version changed."""

    place = serializers.SerializerMethodField()

    def get_place(self, change: Any) -> str:
        """Return the place as `design.washout_days`."""
        return ".".join(map(str, change.place))


class VersionSerializer(serializers.Serializer[Any]):
    """A version of a protocol."""

    number = serializers.IntegerField(source="version.number")
    hash = serializers.CharField(source="version.hash")
    phase = serializers.CharField(source="version.phase")
    reason = serializers.CharField(source="version.reason")
    at = serializers.DateTimeField(source="version.at")
    by = serializers.CharField(source="version.by.username", allow_null=True, default=None)
    changes = ChangeSerializer(many=True)


class ProtocolSerializer(serializers.Serializer[Any]):
    """The protocol in force, as it was written."""

    version = serializers.IntegerField()
    hash = serializers.CharField()
    text = serializers.CharField()


class WrittenSerializer(serializers.Serializer[Any]):
    """A protocol as text (YAML or JSON)."""

    text = serializers.CharField(max_length=SIZE_LIMIT, trim_whitespace=False)


class AmendmentSerializer(WrittenSerializer):
    """A protocol as text, and why it takes the place of the one in force."""

    reason = serializers.CharField(allow_blank=True, default="")


def _shown(version: ProtocolVersion) -> Response:
    text = version.source or write_protocol(version.rules)
    return Response(
        ProtocolSerializer({"version": version.number, "hash": version.hash, "text": text}).data
    )


class SchemaOfProtocolsView(DeskView):
    """What a protocol may hold, as JSON Schema: for editors and programs that write one."""

    @extend_schema(operation_id="get_protocol_schema", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(protocol_schema())


class ProtocolView(DeskView):
    """The protocol in force."""

    @extend_schema(operation_id="get_protocol", responses=ProtocolSerializer)
    def get(self, request: Request, slug: str) -> Response:
        return _shown(ProtocolVersion.objects.filter(study=self.study(slug)).latest("number"))

    @extend_schema(
        operation_id="amend_protocol", request=AmendmentSerializer, responses=ProtocolSerializer
    )
    def put(self, request: Request, slug: str) -> Response:
        """Put another protocol in force; after the allocation, for a reason."""
        study = self.study(slug)
        sent = AmendmentSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        rules, lines = read_with_lines(sent.validated_data["text"])
        return _shown(
            amend_protocol(
                study=study,
                document=rules.model_dump(mode="json"),
                source=sent.validated_data["text"],
                lines=lines,
                reason=sent.validated_data["reason"],
                by=self.user,
                now=timezone.now(),
            )
        )


class VersionsView(DeskList):
    """The versions of the protocol, the last one first."""

    @extend_schema(operation_id="list_versions", responses=VersionSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(history(self.study(slug))[::-1], VersionSerializer)


class DryRunRequestSerializer(WrittenSerializer):
    """What to try: a protocol, or without a text the one in force; and at what pace."""

    text = serializers.CharField(max_length=SIZE_LIMIT, trim_whitespace=False, required=False)
    per_day = serializers.IntegerField(min_value=1, max_value=500, default=PER_DAY)
    start = serializers.DateField(required=False, help_text="Without one, today.")


class SittingSerializer(serializers.Serializer[Any]):
    """One session of one reader."""

    reader = serializers.CharField()
    session = serializers.IntegerField()
    readings = serializers.IntegerField()
    arms = serializers.DictField(child=serializers.IntegerField())
    first_day = serializers.DateField()
    last_day = serializers.DateField()


class DryRunSerializer(serializers.Serializer[Any]):
    """What a protocol comes to."""

    made_up = serializers.BooleanField(
        help_text="Readers and cases are made up, since the study has none yet."
    )
    readers = serializers.IntegerField()
    cases = serializers.IntegerField()
    readings = serializers.IntegerField()
    last_day = serializers.DateField()
    mean_position = serializers.DictField(child=serializers.FloatField())
    orders = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="How often a case is read in which order of arms, as `unaided → aided`.",
    )
    sittings = SittingSerializer(many=True)


class DryRunView(DeskView):
    """Say what a protocol would come to, changing nothing."""

    @extend_schema(
        operation_id="dry_run", request=DryRunRequestSerializer, responses=DryRunSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        sent = DryRunRequestSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        rules = read_with_lines(given["text"])[0] if "text" in given else study.rules
        start = given.get("start") or timezone.now().date()
        planned = plan(study, rules, start=start, per_day=given["per_day"])
        found = balance(planned.run.places)
        return Response(
            DryRunSerializer(
                {
                    "made_up": planned.made_up,
                    "readers": planned.readers,
                    "cases": planned.cases,
                    "readings": len(planned.run.places),
                    "last_day": planned.run.last_day,
                    "mean_position": found.mean_position,
                    "orders": {" → ".join(order): n for order, n in found.orders.items()},
                    "sittings": planned.run.sittings,
                }
            ).data
        )
