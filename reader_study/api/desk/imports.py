"""Imports of cases: asked for, sent file by file, watched, ended, looked at."""

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.access import ACT
from reader_study.actions.accesses import note_access
from reader_study.actions.imports import (
    MOST_AT_ONCE,
    NODULES_LIMIT,
    begin_import,
    begin_work,
    cancel_import,
    decide,
    go_on,
    held_file,
    name_files,
    receive,
)
from reader_study.api.desk.base import AnyType, DeskList, DeskView
from reader_study.dicomweb.errors import UndecodablePixels
from reader_study.dicomweb.pictures import picture_of
from reader_study.dicomweb.profile import Dates, Profile
from reader_study.models import (
    Accessed,
    ImportJob,
    ImportProblem,
    ImportSeries,
    ImportSource,
    ImportState,
    Scope,
    SeriesState,
)

MOST_SERIES = 10_000
PART_LIMIT = 4 << 20  # bytes of a file in one request


class ProfileSerializer(serializers.Serializer[Any]):
    """How images are de-identified: the basic profile of DICOM PS3.15, and its options."""

    dates = serializers.ChoiceField([each.value for each in Dates], default=Dates.SHIFTED.value)
    device = serializers.BooleanField(default=True)
    characteristics = serializers.BooleanField(default=False)
    descriptors = serializers.BooleanField(default=True)


class NewImportSerializer(serializers.Serializer[Any]):
    """What is imported, and how.

    `origin` is a folder below the site's import folder, or for people; `wanted` are the series
    chosen in an archive. Without `profile` images are de-identified as the site usually does, and
    with null they are taken as they are.
    """

    source = serializers.ChoiceField(ImportSource.values)  # type: ignore[assignment]
    origin = serializers.CharField(max_length=500, default="", allow_blank=True)
    wanted = serializers.ListField(
        child=serializers.ListField(
            child=serializers.CharField(max_length=64), min_length=2, max_length=2
        ),
        default=list,
        max_length=MOST_SERIES,
        help_text="[study UID, series UID] of each.",
    )
    nodules = serializers.CharField(
        max_length=NODULES_LIMIT, default="", allow_blank=True, trim_whitespace=False
    )
    without_nodules = serializers.BooleanField(default=True)
    profile = ProfileSerializer(required=False, allow_null=True)


class ImportSerializer(serializers.Serializer[Any]):
    """An import, and how far it is."""

    id = serializers.IntegerField()
    source = serializers.ChoiceField(ImportSource.values)  # type: ignore[assignment]
    origin = serializers.CharField()
    state = serializers.ChoiceField(ImportState.values)
    step = serializers.CharField()
    done = serializers.IntegerField()
    of = serializers.IntegerField()
    detail = serializers.CharField()
    asked_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class _OfAnImport(DeskView):
    """A view of one import; for everything but looking a token needs the scope `import`."""

    scopes: ClassVar[Mapping[str, Scope]] = {"POST": Scope.IMPORT, "PUT": Scope.IMPORT}

    def job(self, slug: str, pk: int) -> ImportJob:
        """Return the import.

        Raises:
            ImportJob.DoesNotExist: the study has none of this number.
        """
        return ImportJob.objects.get(study=self.study(slug, *ACT), pk=pk)


class ImportsView(DeskList):
    """The imports into a study, the last first."""

    scopes = {"POST": Scope.IMPORT}

    @extend_schema(operation_id="list_imports", responses=ImportSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        return self.page(ImportJob.objects.filter(study=self.study(slug, *ACT)), ImportSerializer)

    @extend_schema(
        operation_id="begin_import",
        request=NewImportSerializer,
        responses={201: ImportSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Ask for an import; of an upload, name and send the files next."""
        study = self.study(slug)
        asked = NewImportSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        said = given.get("profile", Profile().as_json())
        job = begin_import(
            study=study,
            source=ImportSource(given["source"]),
            by=self.user,
            now=timezone.now(),
            profile=None if said is None else Profile.of(said),
            origin=given["origin"],
            wanted=[(pair[0], pair[1]) for pair in given["wanted"]],
            nodules=given["nodules"],
            without_nodules=given["without_nodules"],
        )
        return Response(ImportSerializer(job).data, status=201)


class ImportView(_OfAnImport):
    """One import."""

    @extend_schema(operation_id="get_import", responses=ImportSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        return Response(ImportSerializer(self.job(slug, pk)).data)


class FileSerializer(serializers.Serializer[Any]):
    """A file that will be sent: its name and size in bytes."""

    path = serializers.CharField(max_length=500, trim_whitespace=False)
    size = serializers.IntegerField(min_value=0, max_value=2**40)


class FilesSerializer(serializers.Serializer[Any]):
    """Files that will be sent."""

    files = serializers.ListField(
        child=FileSerializer(), allow_empty=False, max_length=MOST_AT_ONCE
    )


class SentSerializer(serializers.Serializer[Any]):
    """A file, and how much of it is here."""

    id = serializers.IntegerField()
    path = serializers.CharField()
    size = serializers.IntegerField()
    received = serializers.IntegerField()


class SentFilesSerializer(serializers.Serializer[Any]):
    """Files, and how much of each is here."""

    files = SentSerializer(many=True)


class ImportFilesView(_OfAnImport):
    """Say which files will be sent, and learn what is here already."""

    @extend_schema(
        operation_id="name_files", request=FilesSerializer, responses=SentFilesSerializer
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        job = self.job(slug, pk)
        asked = FilesSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        files = [(each["path"], each["size"]) for each in asked.validated_data["files"]]
        return Response(SentFilesSerializer({"files": name_files(job=job, files=files)}).data)


class PartParser(BaseParser):
    """A part of a file, as it is."""

    media_type = "application/octet-stream"

    def parse(  # type: ignore[override]
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        content = stream.read(PART_LIMIT + 1)
        if len(content) > PART_LIMIT:
            raise exceptions.ParseError(f"Send at most {PART_LIMIT} bytes at a time.")
        return content


class ImportFileView(_OfAnImport):
    """Send a part of a file."""

    parser_classes = [PartParser]

    @extend_schema(
        operation_id="send_part",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=SentSerializer,
        parameters=[
            OpenApiParameter(
                "offset", {"type": "integer", "minimum": 0, "maximum": 2**40, "default": 0}
            )
        ],
    )
    def put(self, request: Request, slug: str, pk: int, file_id: int) -> Response:
        """Append it at `offset`; unless what is here ends there, nothing is done."""
        job = self.job(slug, pk)
        offset = request.query_params.get("offset", "0")
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 13):
            raise serializers.ValidationError({"offset": ["a whole number of bytes"]})
        content = request.data
        sent = receive(
            job=job,
            file_id=file_id,
            offset=int(offset),
            content=content if isinstance(content, bytes) else b"",
        )
        return Response(SentSerializer(sent).data)


class BeginWorkView(_OfAnImport):
    """Hand what was sent to the worker."""

    @extend_schema(operation_id="begin_work", request=None, responses=ImportSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        job = begin_work(job=self.job(slug, pk), now=timezone.now())
        return Response(ImportSerializer(job).data)


class CancelImportView(_OfAnImport):
    """End an import; cases that are in stay."""

    @extend_schema(operation_id="cancel_import", request=None, responses=ImportSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        job = cancel_import(job=self.job(slug, pk), now=timezone.now())
        return Response(ImportSerializer(job).data)


class ResumeImportView(_OfAnImport):
    """Take up an import that stopped, where it was."""

    @extend_schema(operation_id="resume_import", request=None, responses=ImportSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        job = go_on(job=self.job(slug, pk), now=timezone.now())
        return Response(ImportSerializer(job).data)


class ImportSeriesSerializer(serializers.Serializer[Any]):
    """A series that was found, what became of it, and why somebody has to look at its images."""

    id = serializers.IntegerField()
    files = serializers.IntegerField()
    state = serializers.ChoiceField(SeriesState.values)
    said = serializers.CharField()
    doubts = serializers.ListField(child=serializers.ListField())
    looked = serializers.BooleanField()
    case = serializers.CharField(source="series.case.pseudonym", allow_null=True, default=None)


class ImportSeriesView(_OfAnImport, DeskList):
    """The series of an import."""

    @extend_schema(operation_id="list_import_series", responses=ImportSeriesSerializer(many=True))
    def get(self, request: Request, slug: str, pk: int) -> Response:
        found = ImportSeries.objects.filter(job=self.job(slug, pk)).select_related("series__case")
        return self.page(found, ImportSeriesSerializer)


class DecisionSerializer(serializers.Serializer[Any]):
    """Whether the images of a held series show nobody's name."""

    shows_nobody = serializers.BooleanField()


class DecisionView(_OfAnImport):
    """Say whether the images of a held series show who the patient is."""

    @extend_schema(
        operation_id="decide_series", request=DecisionSerializer, responses=ImportSeriesSerializer
    )
    def post(self, request: Request, slug: str, pk: int, series_id: int) -> Response:
        job = self.job(slug, pk)
        said = DecisionSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        found = decide(
            job=job, series_id=series_id, by=self.user, now=timezone.now(), **said.validated_data
        )
        return Response(ImportSeriesSerializer(found).data)


class HeldPictureView(_OfAnImport):
    """One image of a held series as a picture, by the number of its file, from 0."""

    scopes: ClassVar[Mapping[str, Scope]] = dict.fromkeys(("GET", "HEAD"), Scope.IMPORT)
    content_negotiation_class = AnyType

    @extend_schema(
        operation_id="get_held_picture", responses={(200, "image/png"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, slug: str, pk: int, series_id: int, frame: int) -> HttpResponse:
        job = self.job(slug, pk)
        found = job.found.select_related("job").get(pk=series_id)
        try:
            picture = picture_of(held_file(found, frame))
        except (OSError, UndecodablePixels):
            raise exceptions.NotFound from None
        note_access(
            Accessed.IMAGES,
            user=self.user,
            study=job.study,
            series_uid=found.series_uid,
            token=self.token,
            now=timezone.now(),
        )
        return HttpResponse(picture, content_type="image/png")


class ImportProblemSerializer(serializers.Serializer[Any]):
    """What was wrong with one file, line or series."""

    where = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportProblemsView(_OfAnImport, DeskList):
    """What was wrong with files, lines and series of an import."""

    @extend_schema(operation_id="list_problems", responses=ImportProblemSerializer(many=True))
    def get(self, request: Request, slug: str, pk: int) -> Response:
        return self.page(
            ImportProblem.objects.filter(job=self.job(slug, pk)), ImportProblemSerializer
        )
