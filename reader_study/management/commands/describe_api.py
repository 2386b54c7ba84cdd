"""`manage.py describe_api`: the API's description, and the front end's types made from it."""

import io
import json
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

from reader_study.management.typescript import types

# What the reading room speaks to.
OF_THE_ROOM = ("/api/readings", "/api/preferences")


class Command(BaseCommand):
    """Write docs/openapi.yaml and frontend/src/api/schema.ts, or with --check compare them."""

    help = "Write the API's OpenAPI description and the front end's types, or check them."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="only say what is not current")

    def handle(self, *args: Any, **options: Any) -> None:
        for path, text in described().items():
            is_current = path.is_file() and path.read_text() == text
            name = path.relative_to(settings.BASE_DIR)
            if options["check"] and not is_current:
                raise CommandError(f"{name} is not current: run manage.py describe_api")
            if not is_current:
                path.write_text(text)
                self.stdout.write(f"{name} is written")


def described() -> dict[Path, str]:
    """Return the files that describe the API, by their paths.

    Raises:
        CommandError: the description is not valid, or drf-spectacular had to guess.
    """
    said = io.StringIO()
    GENERATOR_STATS.reset()
    with redirect_stderr(said):
        generator: Any = SchemaGenerator
        schema = generator().get_schema(request=None, public=True)
        GENERATOR_STATS.emit_summary()
    if said.getvalue():
        raise CommandError(f"the description had to be guessed in part:\n{said.getvalue()}")
    validate: Any = validate_schema
    validate(schema)
    renderer: Any = OpenApiYamlRenderer()
    text = renderer.render(schema, renderer_context={}).decode()
    plain = json.loads(json.dumps(yaml.safe_load(text)))
    return {
        settings.BASE_DIR / "docs/openapi.yaml": text,
        settings.BASE_DIR / "frontend/src/api/schema.ts": types(plain, OF_THE_ROOM),
    }
