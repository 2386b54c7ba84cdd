from pathlib import Path

import numpy as np
import pytest

from inference.crops import hu_of_crop, read_crops
from inference.errors import DataUnusable
from inference.prompts import FEATURES
from tests.inference.crops import a_row, a_slice, stretched, write_crops


def test_hounsfield_units_come_back_nearly_where_lung_and_tissue_are_shown() -> None:
    hu = a_slice(20, 0.7)
    assert np.abs(hu_of_crop(stretched(hu)) - hu).mean() < 15


def test_padding_outside_the_field_of_view_becomes_air_and_misleads_nothing() -> None:
    hu = a_slice(20, 0.7)
    padded = hu.copy()
    padded[:12] = -3024
    found = hu_of_crop(stretched(padded))
    assert (found[:12] == -1000).all()
    assert np.abs(found[12:] - padded[12:]).mean() < 30


@pytest.mark.parametrize("grey", [0, 200])
def test_a_crop_of_one_value_is_no_reason_to_stop(grey: int) -> None:
    assert np.isfinite(hu_of_crop(np.full((128, 128), grey, dtype=np.uint8))).all()


def test_a_nodule_has_its_size_in_millimetres_and_lies_where_the_network_looks(
    tmp_path: Path,
) -> None:
    rows = [a_row(0, 20), a_row(1, 20, pixel_spacing=0.5, mask_area_px="1257 1257 0")]
    crops = read_crops(write_crops(tmp_path, rows))
    assert crops.nodules.diameter_mm == pytest.approx([20, 20], rel=0.01)
    for plane in crops.nodules.planes[:, 0]:
        bright = plane[:, :52] > 128  # without the chest wall
        assert bright.sum() == pytest.approx(np.pi * 10**2, rel=0.1)
        assert np.mean(np.nonzero(bright), axis=1) == pytest.approx([32, 32], abs=1)


def test_scores_become_categories_and_truth_by_the_median(tmp_path: Path) -> None:
    rows = [
        a_row(0, 20, margin="1 2 3", lobulation="4 4 1", spiculation="3 1 5", texture="4 4 5"),
        a_row(1, 5, margin="3 3 1", lobulation="4 4 1", spiculation="2 1 5", texture="5 5 4"),
        a_row(2, 5, sphericity="3 3 5", texture="1 1 5", malignancy="3 3 5"),
    ]
    crops = read_crops(write_crops(tmp_path, rows))
    assert crops.nodules.features(0) == {
        "margin_conspicuity": "poorly_marginated",
        "margin": "spiculated",
        "shape": "ovoid",
        "consistency": "part_solid",
    }
    assert crops.nodules.features(1)["margin"] == "lobulated"
    assert crops.nodules.features(1)["consistency"] == "solid"
    assert crops.nodules.features(2)["consistency"] == "ground_glass"
    assert crops.nodules.malignant.tolist() == [True, False, False]
    assert crops.suspicion.tolist() == [4, 2, 3]
    assert crops.nodules.categories.shape == (3, len(FEATURES))


def test_rows_that_say_too_little_are_counted_not_guessed(tmp_path: Path) -> None:
    rows = [a_row(0, 20), a_row(1, 20, pixel_spacing=""), a_row(2, 5, malignancy="")]
    crops = read_crops(write_crops(tmp_path, rows))
    assert len(crops) == 1
    assert crops.left_out == 2


def test_what_readers_did_not_say_is_unknown_and_costs_the_nodule_nothing_else(
    tmp_path: Path,
) -> None:
    rows = [
        a_row(0, 20, lobulation="", calcification=""),
        a_row(1, 20, mask_area_px="", calcification="4 4 6"),
        a_row(2, 20, texture="", calcification="6"),
    ]
    crops = read_crops(write_crops(tmp_path, rows))
    assert (len(crops), crops.left_out) == (3, 0)
    assert set(crops.nodules.features(0)) == {"margin_conspicuity", "shape", "consistency"}
    assert "consistency" not in crops.nodules.features(2)
    assert np.isnan(crops.nodules.diameter_mm).tolist() == [False, True, False]
    assert crops.present["eccentric_calcification"].tolist() == [-1, 0, 1]


def test_what_is_wrong_with_a_table_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match=r"nothing\.csv cannot be read"):
        read_crops(tmp_path / "nothing.csv")
    row = a_row(0, 20)
    del row["texture"]
    (tmp_path / "columns").mkdir()
    with pytest.raises(DataUnusable, match="lacks the columns texture"):
        read_crops(write_crops(tmp_path / "columns", [row]))
    table = write_crops(tmp_path / "image", [a_row(0, 20)])
    (tmp_path / "image" / "images" / "nodule0.png").write_bytes(b"no image")
    with pytest.raises(DataUnusable, match=r"nodule0\.png"):
        read_crops(table)
    with pytest.raises(DataUnusable, match="line 2: margin sharp is no score from 1 to 5"):
        read_crops(write_crops(tmp_path / "word", [a_row(0, 20, margin="5 sharp")]))
    with pytest.raises(DataUnusable, match="line 2: malignancy 6 is no score"):
        read_crops(write_crops(tmp_path / "six", [a_row(0, 20, malignancy="5 6")]))
    with pytest.raises(DataUnusable, match="line 3: no patient_id"):
        read_crops(write_crops(tmp_path / "nobody", [a_row(0, 20), a_row(1, 20, patient_id="")]))
