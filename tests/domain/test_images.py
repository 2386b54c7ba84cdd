"""What a protocol says of images and displays."""

import pytest

from reader_study.domain.display import Display, DisplayInvalid, DisplayLimits, problems
from reader_study.domain.errors import ProtocolInvalid
from reader_study.domain.images import Preferences, PreferencesInvalid
from reader_study.domain.protocol import parse_protocol, protocol_hash
from tests.factories import a_protocol

GOOD = {
    "width_px": 2560,
    "height_px": 1600,
    "pixel_ratio": 2,
    "zoom_percent": 100,
    "colour_depth": 24,
    "webgl2": True,
    "software_rendering": False,
    "renderer": "ANGLE",
    "dark_patch_seen": True,
    "bright_patch_seen": True,
    "steps_seen": 11,
}
STRICT = DisplayLimits(
    min_width_px=1920,
    min_height_px=1200,
    min_pixel_ratio=1,
    zoom="100_percent",
    software_rendering="refused",
)


def test_a_display_with_what_the_protocol_asks_for_passes():
    assert problems(STRICT, Display.of(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width_px": 1919}, "1919 pixels wide"),
        ({"height_px": 1199}, "1199 pixels high"),
        ({"pixel_ratio": 0.75}, "0.75 pixels to a CSS pixel"),
        ({"zoom_percent": 110}, "zoomed to 110 %"),
        ({"dark_patch_seen": False}, "dark patch"),
        ({"bright_patch_seen": False}, "bright patch"),
        ({"steps_seen": 9}, "9 of 11 grey steps"),
        ({"software_rendering": True}, "without a graphics card"),
        ({"webgl2": False}, "without a graphics card"),
    ],
)
def test_each_limit_that_is_missed_is_told_by_itself(change: dict[str, object], said: str):
    (problem,) = problems(STRICT, Display.of({**GOOD, **change}))

    assert said in problem


def test_limits_that_are_left_out_refuse_nothing_but_greys_that_are_not_seen():
    poor = {**GOOD, "width_px": 800, "zoom_percent": 150, "software_rendering": True}

    assert problems(DisplayLimits(), Display.of(poor)) == []
    assert problems(DisplayLimits(), Display.of({**poor, "steps_seen": 5}))
    assert problems(DisplayLimits(greys="recorded"), Display.of({**poor, "steps_seen": 5})) == []


def test_a_check_that_lacks_an_answer_is_refused_by_its_name():
    with pytest.raises(DisplayInvalid, match="steps_seen"):
        Display.of({name: value for name, value in GOOD.items() if name != "steps_seen"})


def test_preferences_hold_what_the_room_knows_and_nothing_else():
    said = {"layout": "quad", "prior": "on_key", "mouse": "scroll", "thickness_mm": 8}

    assert Preferences.of(said).model_dump(exclude_none=True) == said
    for wrong in ({"layout": "cinema"}, {"colour": "red"}, {"thickness_mm": 1e9}, [1]):
        with pytest.raises(PreferencesInvalid):
            Preferences.of(wrong)


def test_a_protocol_names_layouts_once_and_keeps_its_hash_without_them():
    plain = a_protocol()
    both = a_protocol(images={"layouts": ["axial", "mpr"], "display": {"min_width_px": 1600}})

    assert parse_protocol(both).images.layouts == ("axial", "mpr")
    assert protocol_hash(parse_protocol(plain)) == protocol_hash(
        parse_protocol({**plain, "images": {}})
    )
    with pytest.raises(ProtocolInvalid, match="twice"):
        parse_protocol(a_protocol(images={"layouts": ["axial", "axial"]}))
