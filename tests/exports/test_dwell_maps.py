"""Maps of where the screens dwelt, against what can be worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from reader_study.domain.seen import View
from reader_study.exports.dwell_maps import CELLS, dwell_maps

BOX = ((-120.0, 120.0), (-240.0, 0.0), (0.0, 480.0))
STEP = (1.0, 1.0, 2.0)
CELL_Z = 480 / CELLS


def a_view(**changes) -> View:
    view = View(
        page="p",
        stage="unaided",
        plane="axial",
        centre_mm=(0.0, -120.0, 470.0),
        span_mm=None,
        thickness_mm=0.0,
        series=5,
        prior=False,
        from_ms=1000.0,
        until_ms=5000.0,
    )
    return view._replace(**changes)


def test_an_axial_slice_is_a_line_from_the_front_and_everything_from_the_feet():
    maps = dwell_maps([a_view()], BOX, STEP)

    # 4 s, 2 of the 20 mm of a row of cells; the head is the first row.
    expected = np.zeros((CELLS, CELLS))
    expected[0] = 4 * 2 / CELL_Z
    assert_allclose(maps["coronal"], expected)
    assert_allclose(maps["sagittal"], expected)
    # From the feet every place was on screen, on average over a depth of 480 mm.
    assert_allclose(maps["axial"], np.full((CELLS, CELLS), 4 * 2 / 480))


def test_a_pane_that_shows_a_quarter_counts_there_and_by_the_depth_it_covers():
    # The right half of the patient (low x), the front half (low y); a slab of one row of cells.
    quarter = a_view(centre_mm=(-60.0, -180.0, 470.0), span_mm=(120.0, 120.0), thickness_mm=CELL_Z)

    maps = dwell_maps([quarter], BOX, STEP)

    half = CELLS // 2
    assert_allclose(maps["coronal"][0, :half], 4 / 2)
    assert maps["coronal"][0, half:].sum() == maps["coronal"][1:].sum() == 0
    assert_allclose(maps["axial"][:half, :half], 4 / CELLS)
    assert maps["axial"][half:].sum() == maps["axial"][:, half:].sum() == 0


def test_planes_add_up_and_earlier_examinations_count_nowhere():
    coronal = a_view(plane="coronal", thickness_mm=240.0)
    views = [a_view(), coronal, a_view(prior=True), a_view(series=9)]

    maps = dwell_maps(views, BOX, STEP, frozenset({5}))

    # The coronal slab holds the whole volume: 4 s everywhere, and the axial slice on top of it.
    assert maps["coronal"][0, 0] == pytest.approx(4 + 4 * 2 / CELL_Z)
    assert_allclose(maps["coronal"][1:], 4)
