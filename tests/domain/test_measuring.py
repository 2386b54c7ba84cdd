"""Measurements: what follows from their points, and which cannot be right."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_study.domain.answers import find_problems
from reader_study.domain.measuring import Tool, Volume, problem_of, values
from reader_study.domain.questionnaire import Questionnaire

ONE = "11111111-1111-4111-8111-111111111111"
VOLUME = Volume(
    first=(-100.0, -100.0, -50.0),
    axes=((1.0, 0, 0), (0.0, 1, 0), (0.0, 0, 1)),
    steps_mm=(0.5, 0.5, 2.0),
    counts=(400, 400, 50),
)
LENGTH = [[0, 0, 10], [3, 4, 10]]
CROSS = [[0, 0, 10], [10, 0, 10], [4, -3, 10], [4, 3, 10]]
OVAL = [[0, 0, 10], [10, 0, 10], [5, -3, 10], [5, 3, 10]]


def measured(kind="length", points=LENGTH, **changes):
    return {
        "id": ONE,
        "kind": kind,
        "plane": "axial",
        "series": 3,
        "nodule": "7",
        "points_mm": points,
        **changes,
    }


def problem(measurement, volume=VOLUME):
    return problem_of(measurement, {"7"}, {3: volume})


def test_what_points_come_to():
    assert values(Tool.LENGTH, LENGTH) == {"length": 5.0}
    assert values(Tool.BIDIRECTIONAL, CROSS) == {
        "long_axis": 10.0,
        "short_axis": 6.0,
        "mean_diameter": 8.0,
    }
    area = values(Tool.ELLIPSE, OVAL)["area"]
    assert area == pytest.approx(math.pi * 5 * 3, abs=0.05)
    assert values(Tool.ARROW, LENGTH) == {}


def test_a_mean_is_that_of_axes_rounded_to_one_decimal():
    # 6.06 and 6.05 are 6.1 and 6.1 (a half goes up), though their mean is below 6.06.
    points = [[0, 0, 0], [6.06, 0, 0], [3, 0, 0], [3, 6.0500001, 0]]
    assert values(Tool.BIDIRECTIONAL, points)["mean_diameter"] == 6.1


@given(
    st.lists(st.tuples(*[st.floats(-150, 150, allow_subnormal=False)] * 3), min_size=2, max_size=2)
)
def test_a_length_is_the_distance_to_a_twentieth_of_a_millimetre(points):
    assert values(Tool.LENGTH, points)["length"] == pytest.approx(math.dist(*points), abs=0.0501)


@pytest.mark.parametrize(
    ("kind", "points"),
    [("length", LENGTH), ("bidirectional", CROSS), ("ellipse", OVAL), ("arrow", LENGTH)],
)
def test_measurements_that_can_be(kind, points):
    assert problem(measured(kind, points)) is None
    assert problem(measured(kind, points), volume=None) is None


@pytest.mark.parametrize(
    ("measurement", "says"),
    [
        ("a length", "a kind, a plane"),
        (measured("circle"), "not known"),
        (measured(plane="oblique"), "not known"),
        (measured(id="one"), "an id"),
        (measured(id=ONE.upper().replace("1", "A")), "an id"),
        ({**measured(), "mm": 5}, "an id"),
        (measured(text="here"), "belongs to an arrow"),
        (measured("arrow", text="x" * 201), "200 characters"),
        (measured(nodule="8"), "no nodule"),
        (measured(points=[[0, 0, 10]]), "2 points"),
        (measured("bidirectional"), "4 points"),
        (measured(points=[[0, 0, 10], [1, 2, float("nan")]]), "2 points"),
        (measured(points=[[0, 0, 10], [1, 2, True]]), "2 points"),
        (measured(points=[[0, 0, 10], [1, 2, "3"]]), "2 points"),
        (measured(points=[[0, 0, 10], [0, 0, 10]]), "are one"),
        (measured(points=[[0, 0, 10], [3, 4, 10.2]]), "one axial plane"),
        (measured(plane="coronal"), "one coronal plane"),
        (measured(series=4), "no such series"),
        (measured(series=True), "no such series"),
        (measured(points=[[0, 0, 60], [3, 4, 60]]), "outside of the images"),
        (measured(points=[[150, 0, 10], [3, 4, 10]]), "outside of the images"),
        (measured("bidirectional", [*CROSS[:3], [6, 3, 10]]), "right angles"),
        (measured("ellipse", CROSS), "halve each other"),
    ],
)
def test_measurements_that_cannot_be(measurement, says):
    assert says in problem(measurement)


def test_a_plane_of_tilted_images_is_a_plane():
    tilt = math.radians(20)
    along = (0.0, math.cos(tilt), math.sin(tilt))
    tilted = VOLUME._replace(axes=((1.0, 0, 0), along, (0.0, -math.sin(tilt), math.cos(tilt))))
    points = [[0, 0, 10], [0, 5 * along[1], 10 + 5 * along[2]]]

    assert problem(measured(points=points), volume=tilted) is None
    assert "axial plane" in problem(measured(points=points))


FORM = Questionnaire.model_validate(
    {
        "nodule": [
            {
                "name": "diameter",
                "label": "Mean diameter",
                "kind": "measurement",
                "unit": "mm",
                "measures": "mean_diameter",
            }
        ]
    }
)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"value": 8.0, "measurement": ONE}, None),
        ({"value": 8.1}, None),  # typed
        ({"value": 8.1, "measurement": ONE}, "not what its measurement comes to"),
        ({"value": 8.0, "measurement": ONE[::-1]}, "from no measurement"),
        ({"value": 0}, "more than 0 mm"),
        ({"value": "8"}, "a number"),
    ],
)
def test_a_size_is_what_its_measurement_comes_to(answer, says):
    answers = {
        "nodules": {"7": {"diameter": answer}},
        "measurements": [measured("bidirectional", CROSS)],
    }
    found = find_problems(FORM, ["7"], answers, complete=True, volumes={3: VOLUME})
    assert [says in p.detail for p in found] == ([] if says is None else [True])


def test_a_size_is_taken_from_a_measurement_of_the_same_nodule():
    answers = {
        "nodules": {"7": {"diameter": {"value": 8.0, "measurement": ONE}}},
        "measurements": [measured("bidirectional", CROSS, nodule=None)],
    }
    (found,) = find_problems(FORM, ["7"], answers, complete=False, volumes={3: VOLUME})
    assert "no measurement of this nodule" in found.detail
