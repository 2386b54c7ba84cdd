"""Whether images can be read on a display: what a check has found, held against a protocol.

After the visual tests of AAPM Report 270 and ACR-AAPM-SIIM, as far as a browser can do them: both
low-contrast patches of an SMPTE-like pattern are seen, and all grey steps can be told apart.
"""

from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from reader_study.domain.errors import Refusal
from reader_study.domain.strict import Strict, later

GREY_STEPS = 11  # from black to white in equal steps of the grey value


class DisplayInvalid(Refusal):
    """A display check that is not complete."""

    code = "display_invalid"


class DisplayNotChecked(Refusal):
    """The protocol asks for a check of the display before reading, and none has passed."""

    code = "display_not_checked"


class DisplayLimits(Strict):
    """What a display must have before a session is read on it; what is left out is only recorded.

    Sizes are in pixels of the screen. `zoom` is that of the browser. A check is good for
    `valid_hours`.
    """

    min_width_px: int | None = later(None, ge=320, le=20000)
    min_height_px: int | None = later(None, ge=240, le=20000)
    min_pixel_ratio: float | None = later(None, ge=0.5, le=8)
    zoom: Literal["any", "100_percent"] = later("any")
    greys: Literal["recorded", "required"] = later("required")
    software_rendering: Literal["allowed", "refused"] = later("allowed")
    valid_hours: int = later(12, ge=1, le=24 * 31)


class Display(Strict):
    """What a check has found; `steps_seen` and the patches are what the reader says."""

    width_px: int = Field(ge=1, le=100_000)
    height_px: int = Field(ge=1, le=100_000)
    pixel_ratio: float = Field(gt=0, le=100)
    zoom_percent: int = Field(ge=10, le=1000)
    colour_depth: int = Field(ge=1, le=128)
    webgl2: bool
    software_rendering: bool
    renderer: str = Field(max_length=200)
    dark_patch_seen: bool
    bright_patch_seen: bool
    steps_seen: int = Field(ge=0, le=GREY_STEPS)

    @classmethod
    def of(cls, said: Any) -> Self:
        """Read what the page has sent.

        Raises:
            DisplayInvalid: something is missing, or out of its range.
        """
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            places = sorted({".".join(map(str, each["loc"])) or "all" for each in error.errors()})
            raise DisplayInvalid(
                f"The check is not complete: {', '.join(places)}. Answer every question, and let "
                "the page measure the display with JavaScript switched on."
            ) from None


def problems(limits: DisplayLimits, found: Display) -> list[str]:
    """Say what is wrong with a display, a sentence each; empty when it may be read on."""
    said = []
    for name, least, has in (
        ("wide", limits.min_width_px, found.width_px),
        ("high", limits.min_height_px, found.height_px),
    ):
        if least is not None and has < least:
            said.append(f"The screen is {has} pixels {name}; this study needs {least}.")
    if limits.min_pixel_ratio is not None and found.pixel_ratio < limits.min_pixel_ratio:
        said.append(
            f"The screen has {found.pixel_ratio:g} pixels to a CSS pixel; this study needs "
            f"{limits.min_pixel_ratio:g}."
        )
    if limits.zoom == "100_percent" and found.zoom_percent != 100:
        said.append(f"The browser is zoomed to {found.zoom_percent} %; set it to 100 %.")
    if limits.greys == "required":
        for seen, patch in (
            (found.dark_patch_seen, "dark patch in the black field"),
            (found.bright_patch_seen, "bright patch in the white field"),
        ):
            if not seen:
                said.append(f"The {patch} is not seen: change brightness or contrast.")
        if found.steps_seen < GREY_STEPS:
            said.append(f"{found.steps_seen} of {GREY_STEPS} grey steps can be told apart.")
    if limits.software_rendering == "refused" and (found.software_rendering or not found.webgl2):
        said.append("The browser draws without a graphics card; switch graphics acceleration on.")
    return said
