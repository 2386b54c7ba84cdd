"""How a protocol lets images be shown, and what a reader may choose of it."""

from typing import Any, Literal, Self, get_args

from pydantic import Field, ValidationError, field_validator

from reader_study.domain.display import DisplayLimits
from reader_study.domain.errors import Refusal
from reader_study.domain.strict import Strict, later

Layout = Literal["axial", "mpr", "quad"]
LAYOUTS: tuple[Layout, ...] = ("mpr", "axial", "quad")
Mouse = Literal["window", "scroll", "pan"]
Priors = Literal["shown", "hidden"]
# When an earlier examination is beside the current one: as a case opens, or once asked for.
Hanging = Literal["beside", "on_key"]


class Images(Strict):
    """How the images of every case are shown.

    `layouts` are those a reader may choose of, and a case opens with the first unless they
    prefer another: `axial` alone; `mpr`, with the sagittal and coronal planes; `quad`, with an
    axial slab besides. With `display`, readers check their display before they read. `priors`
    are earlier examinations of the same patient, where a case came in with any.
    """

    layouts: tuple[Layout, ...] = later(LAYOUTS, min_length=1)
    priors: Priors = later(
        "shown", description="Whether readers see earlier examinations beside the current one."
    )
    display: DisplayLimits | None = later(None)

    @field_validator("layouts")
    @classmethod
    def _once_each(cls, layouts: tuple[Layout, ...]) -> tuple[Layout, ...]:
        if len(set(layouts)) < len(layouts):
            raise ValueError("names a layout twice")
        return layouts


class PreferencesInvalid(Refusal):
    """Settings that the reading room does not know."""

    code = "preferences_invalid"


class Preferences(Strict):
    """What one reader has set in the reading room; None: as the room has it."""

    layout: Layout | None = None
    prior: Hanging | None = None
    mouse: Mouse | None = None
    thickness_mm: float | None = Field(default=None, ge=1, le=200)
    slices_per_s: float | None = Field(default=None, ge=1, le=60)

    @classmethod
    def of(cls, said: Any) -> Self:
        """Read what a browser has sent.

        Raises:
            PreferencesInvalid: it says something else, or something more.
        """
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            places = {".".join(map(str, each["loc"])) or "all" for each in error.errors()}
            raise PreferencesInvalid(
                f"settings that the reading room does not know: {', '.join(sorted(places))}"
            ) from None


assert set(LAYOUTS) == set(get_args(Layout))
