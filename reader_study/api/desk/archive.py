"""Where images can be brought in from: folders of the server, and an archive that is searched."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from reader_study.actions.access import ACT
from reader_study.actions.archive_search import search_archive
from reader_study.api.desk.base import DeskView
from reader_study.api.images import ImagesUnavailable
from reader_study.dicomweb.errors import ArchiveError
from reader_study.dicomweb.staging import folders_below
from reader_study.models import Scope


class FoldersSerializer(serializers.Serializer[Any]):
    """Folders of the server that can be imported; null where the site has no place for them."""

    folders = serializers.ListField(child=serializers.CharField(), allow_null=True)


class FoldersView(DeskView):
    """The folders of the server that can be imported."""

    @extend_schema(operation_id="list_import_folders", responses=FoldersSerializer)
    def get(self, request: Request, slug: str) -> Response:
        self.study(slug, *ACT)
        found = folders_below(settings.IMPORT_DIR) if settings.IMPORT_DIR else None
        return Response(FoldersSerializer({"folders": found}).data)


class SearchSerializer(serializers.Serializer[Any]):
    """What is searched for: by patient, by date, or by both."""

    patient = serializers.CharField(
        max_length=64, default="", allow_blank=True, help_text="Patient ID; * and ? are wildcards."
    )
    days = serializers.CharField(
        max_length=40,
        default="",
        allow_blank=True,
        help_text="2020-01-31, or 2020-01-01 to 2020-12-31.",
    )
    modality = serializers.CharField(max_length=16, default="CT")


class FoundSeriesSerializer(serializers.Serializer[Any]):
    """A series of the archive."""

    uid = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    images = serializers.CharField(allow_blank=True)


class FoundExaminationSerializer(serializers.Serializer[Any]):
    """An examination of the archive, as it is called there."""

    uid = serializers.CharField()
    patient = serializers.CharField(allow_blank=True)
    date = serializers.CharField(allow_blank=True)
    series = FoundSeriesSerializer(many=True)


class FoundSerializer(serializers.Serializer[Any]):
    """What the archive has: [study UID, series UID] of it are what an import wants."""

    examinations = FoundExaminationSerializer(many=True)


class ArchiveSearchView(DeskView):
    """Search the archive that cases are imported from.

    What is searched for is sent as content, since addresses are kept in logs.
    """

    scopes: ClassVar[Mapping[str, Scope]] = {"POST": Scope.IMPORT}

    @extend_schema(
        operation_id="search_archive", request=SearchSerializer, responses=FoundSerializer
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return at most 50 examinations with their series."""
        self.study(slug)
        asked = SearchSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            found = search_archive(**asked.validated_data)
        except ArchiveError as error:
            raise ImagesUnavailable(str(error)) from error
        return Response(FoundSerializer({"examinations": found}).data)
