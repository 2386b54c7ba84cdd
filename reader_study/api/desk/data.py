"""What was recorded and found, as files; and the end of recording."""

import re
from typing import Any

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions import downloads
from reader_study.actions.access import ACT, LOOK
from reader_study.actions.conduct import TEXT_LIMIT, lock_database, open_points, propose_lock
from reader_study.actions.identity import must_know_password
from reader_study.actions.results import latest_results, must_be_locked
from reader_study.api.desk.base import AnyType, DeskList, DeskView
from reader_study.api.desk.studies import StudySerializer
from reader_study.models import (
    Access,
    Accessed,
    ResultDocument,
    ResultsJob,
    Scope,
    Study,
)

ZIP = "application/zip"
RANGE = [
    OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=FROM-` to go on"),
    OpenApiParameter(
        "If-Range",
        str,
        OpenApiParameter.HEADER,
        description="the ETag of the part that is there already; sent whole if it has changed",
    ),
]
_FILE = {(200, ZIP): OpenApiTypes.BINARY, (206, ZIP): OpenApiTypes.BINARY}


def send(request: Request, made: downloads.Download) -> HttpResponseBase:
    """Send a file, or the part of it that is missing (RFC 9110, sections 13 and 14).

    A range is honoured only beside an `If-Range` with the present ETag, since the file is made
    anew by each call.
    """
    tag = f'"{made.sha256}"'
    asked = re.fullmatch(r"bytes=(\d{1,15})-", request.headers.get("Range", ""))
    begin = int(asked[1]) if asked and request.headers.get("If-Range") == tag else 0
    if begin > made.size or (begin == made.size and begin):
        made.file.close()
        unsatisfied = HttpResponse(status=416)
        unsatisfied.headers["Content-Range"] = f"bytes */{made.size}"
        return unsatisfied
    made.file.seek(begin)
    response = FileResponse(
        made.file,
        as_attachment=True,
        filename=made.name,
        status=206 if begin else 200,
        content_type=ZIP,
    )
    response.headers["ETag"] = tag
    response.headers["Accept-Ranges"] = "bytes"
    if begin:
        response.headers["Content-Range"] = f"bytes {begin}-{made.size - 1}/{made.size}"
    return response


class FileView(DeskView):
    """A view that sends a file, for which a token needs the scope `export`."""

    scopes = {"GET": Scope.EXPORT, "HEAD": Scope.EXPORT}
    content_negotiation_class = AnyType


class ExportView(FileView):
    """All that was recorded, as a ZIP file of CSV tables."""

    @extend_schema(operation_id="download_export", parameters=RANGE, responses=_FILE)
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        study = self.study(slug, *ACT)
        made = downloads.export(study=study, by=self.user, token=self.token, now=timezone.now())
        return send(request, made)


class ArchiveView(FileView):
    """The archive of a locked study, as a ZIP file."""

    @extend_schema(operation_id="download_archive", parameters=RANGE, responses=_FILE)
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        study = self.study(slug)
        made = downloads.archive(study=study, by=self.user, token=self.token, now=timezone.now())
        return send(request, made)


class ResultFileSerializer(serializers.Serializer[Any]):
    """A file of the results."""

    name = serializers.CharField()
    media_type = serializers.CharField()
    computed_at = serializers.DateTimeField()


class ResultsView(DeskList):
    """The files that were computed after the lock; none before it."""

    scopes = {"GET": Scope.EXPORT, "HEAD": Scope.EXPORT}

    @extend_schema(operation_id="list_results", responses=ResultFileSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        must_be_locked(study)
        return self.page(list(latest_results(study).values()), ResultFileSerializer)


class ResultFileView(FileView):
    """One file of the results."""

    @extend_schema(
        operation_id="download_result",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, slug: str, name: str) -> HttpResponseBase:
        found: ResultDocument = downloads.results_file(
            study=self.study(slug),
            name=name,
            by=self.user,
            token=self.token,
            now=timezone.now(),
        )
        response = HttpResponse(bytes(found.content), content_type="application/octet-stream")
        flat = f"{slug}-{name.replace('/', '-')}"
        response.headers["Content-Disposition"] = f'attachment; filename="{flat}"'
        return response


class ComputationSerializer(serializers.Serializer[Any]):
    """How far the results are: `done` of `of` parts."""

    status = serializers.CharField(help_text="waiting, done or failed")
    step = serializers.CharField(allow_blank=True)
    done = serializers.IntegerField()
    of = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    asked_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ComputationView(DeskView):
    """How far the results of a locked study are."""

    @extend_schema(operation_id="get_computation", responses=ComputationSerializer)
    def get(self, request: Request, slug: str) -> Response:
        study = self.study(slug)
        must_be_locked(study)
        return Response(ComputationSerializer(ResultsJob.objects.get(study=study)).data)


class OpenPointSerializer(serializers.Serializer[Any]):
    """Something that should be done before the lock."""

    kind = serializers.CharField()
    number = serializers.IntegerField()
    detail = serializers.CharField()
    where = serializers.ListField(child=serializers.CharField())
    needs_reason = serializers.BooleanField()


class LockRequestSerializer(serializers.Serializer[Any]):
    """The coordinator's signature under the end of recording."""

    password = serializers.CharField(max_length=4096, trim_whitespace=False)
    statement = serializers.CharField(max_length=TEXT_LIMIT)
    accepted = serializers.DictField(
        child=serializers.CharField(max_length=TEXT_LIMIT),
        default=dict,
        help_text="By the kind of what is open: the reason why it stays open.",
    )


class _Ends(DeskView):
    """A view of the end of recording: where the protocol asks for two, investigators too."""

    def to_end(self, slug: str) -> Study:
        """Return the study if the caller has a part in its end.

        Raises:
            Study.DoesNotExist: they have none, or there is no such study.
        """
        found = self.study(slug, *LOOK)
        return found if found.rules.conduct.lock_by == "two" else self.study(slug, *ACT)


class OpenPointsView(_Ends, DeskList):
    """What is open before the database can be locked."""

    @extend_schema(operation_id="list_open_points", responses=OpenPointSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(open_points(self.to_end(slug)), OpenPointSerializer)


class LockDatabaseView(_Ends):
    """End all recording in a study, for good."""

    @extend_schema(
        operation_id="lock_database", request=LockRequestSerializer, responses=StudySerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        """Lock it; where the protocol asks for two, confirm what another one has proposed."""
        study = self.to_end(slug)
        sent = LockRequestSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        must_know_password(self.user, given["password"])
        lock_database(
            study=study,
            by=self.user,
            statement=given["statement"],
            accepted=given["accepted"],
            now=timezone.now(),
        )
        return Response(StudySerializer(self.to_end(slug)).data)


class ReasonSerializer(serializers.Serializer[Any]):
    """What stays open at the lock, and why."""

    kind = serializers.CharField()
    number = serializers.IntegerField()
    detail = serializers.CharField()
    where = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(allow_blank=True)


class ProposalSerializer(serializers.Serializer[Any]):
    """That a coordinator wants the database locked."""

    by = serializers.CharField(source="by.username")
    at = serializers.DateTimeField()
    statement = serializers.CharField()
    accepted = ReasonSerializer(many=True)


class ProposalsView(_Ends, DeskList):
    """Proposals of the lock, where the protocol asks for two persons."""

    @extend_schema(operation_id="list_lock_proposals", responses=ProposalSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        found = self.to_end(slug).lock_proposals.select_related("by").order_by("-pk")
        return self.page(found, ProposalSerializer)

    @extend_schema(
        operation_id="propose_lock",
        request=LockRequestSerializer,
        responses={201: ProposalSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Propose the lock; another person confirms it by locking."""
        study = self.to_end(slug)
        sent = LockRequestSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        given = sent.validated_data
        must_know_password(self.user, given["password"])
        proposal = propose_lock(
            study=study,
            by=self.user,
            statement=given["statement"],
            accepted=given["accepted"],
            now=timezone.now(),
        )
        return Response(ProposalSerializer(proposal).data, status=201)


class AccessSerializer(serializers.Serializer[Any]):
    """That somebody was given something within a minute."""

    minute = serializers.DateTimeField()
    who = serializers.CharField()
    what = serializers.ChoiceField(Accessed.choices)
    case = serializers.CharField(source="case.pseudonym", allow_null=True, default=None)
    session = serializers.IntegerField(source="reading.session", allow_null=True, default=None)
    position = serializers.IntegerField(source="reading.position", allow_null=True, default=None)
    token = serializers.CharField(source="token.name", allow_null=True, default=None)


class AccessLogView(DeskList):
    """Who was given which images and answers, the last first."""

    @extend_schema(operation_id="list_accesses", responses=AccessSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(Access.objects.log_of(self.study(slug, *ACT)), AccessSerializer)
