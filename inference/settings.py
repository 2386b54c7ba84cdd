"""The worker's settings, read from the environment and from nowhere else."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

BUILT_IN_MODELS = Path(__file__).parent / "models"


class Settings(BaseModel):
    """What the environment says; each field is the variable of that name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dicomweb_url: str | None = Field(
        default=None, description="Root of the site's DICOMweb service."
    )
    service_token: str | None = Field(default=None, description="Sent as a bearer token.")
    models_dir: Path = Field(default=BUILT_IN_MODELS, description="One folder a model.")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    log_format: Literal["line", "json"] = "line"
    threads: int = Field(default=max(1, (os.cpu_count() or 1) - 1), ge=1)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an empty variable counts as absent.

    Raises:
        pydantic.ValidationError: a variable has a value that is not allowed.
    """
    given = {name: environment.get(name.upper()) for name in Settings.model_fields}
    return Settings.model_validate({name: value for name, value in given.items() if value})
