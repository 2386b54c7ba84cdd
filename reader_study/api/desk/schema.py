"""The API's own description, for those who may use it."""

from functools import lru_cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from reader_study.api.access import AnyType
from reader_study.api.desk.base import DeskView

YAML = "application/vnd.oai.openapi"


class SchemaView(DeskView):
    """The OpenAPI description of this API, as YAML."""

    content_negotiation_class = AnyType

    @extend_schema(operation_id="get_schema", responses={(200, YAML): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(_described(), content_type=f"{YAML}; charset=utf-8")


@lru_cache(maxsize=1)
def _described() -> bytes:
    """Make it once a process: it depends on the code alone."""
    generator: Any = SchemaGenerator
    renderer: Any = OpenApiYamlRenderer
    described: bytes = renderer().render(
        generator().get_schema(request=None, public=True), renderer_context={}
    )
    return described
