"""What is found in a folder, and what follows from it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from reader_study.dicomweb.ingest import Findings, look_at
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import BadRow, NoduleRow, UnreadableList, read_nodules
from reader_study.dicomweb.pixels import tolerant
from reader_study.dicomweb.placing import place_nodules
from reader_study.dicomweb.problems import VERDICTS, Verdict
from reader_study.models import Series
from tests.dicomweb.series import SERIES, STUDY, a_series, a_slice, noise, put_pixels, setting
from tests.images import Unpack


def codes(report: SeriesReport) -> set[str]:
    return {problem.code for problem in report.problems}


def only(findings: Findings) -> SeriesReport:
    (report,) = findings.series
    return report


def test_a_sound_series_is_described_in_one_line_and_can_be_imported(tmp_path: Path) -> None:
    a_series(tmp_path, slices=50)

    report = only(look_at(tmp_path))

    assert codes(report) == set()
    assert str(report) == (
        f"{SERIES} | 50 slices | Explicit VR Little Endian | 64 x 48, 1.000 x 1.000 mm, "
        "z 0.00 to 122.50 mm, every 2.50 mm | can be imported"
    )


def test_slices_are_put_in_order_by_their_place_whatever_their_names_and_numbers(
    tmp_path: Path,
) -> None:
    def backwards(dataset: FileDataset) -> None:
        dataset.ImagePositionPatient = [-24, -32, -float(dataset.ImagePositionPatient[2])]

    files = a_series(tmp_path, edit_all=backwards)

    assert list(only(look_at(tmp_path)).files) == files[::-1]


def shift(*offset_mm: float) -> Callable[[FileDataset], None]:
    def edit(dataset: FileDataset) -> None:
        place = np.array(dataset.ImagePositionPatient, dtype=float) + offset_mm
        dataset.ImagePositionPatient = place.tolist()

    return edit


def shear(dataset: FileDataset) -> None:
    shift(0, 0.3 * float(dataset.ImagePositionPatient[2]), 0)(dataset)


def half_the_pixels(dataset: FileDataset) -> None:
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2 // 2 * 2]


def smaller(dataset: FileDataset) -> None:
    put_pixels(dataset, noise(0, (32, 48)))


SPOILED: dict[str, dict[str, Any]] = {
    "undecodable_pixels": {"edits": {4: half_the_pixels}},
    "unsupported_image": {"edits": {4: setting(NumberOfFrames=2)}},
    "burned_in": {"edits": {4: setting(BurnedInAnnotation="YES")}},
    "no_place": {"edits": {4: setting(ImagePositionPatient=None)}},
    "no_hounsfield": {"edits": {4: setting(RescaleSlope=None)}},
    "mixed_studies": {"edits": {4: setting(StudyInstanceUID="1.2.3.4")}},
    "mixed_size": {"edits": {4: smaller}},
    "mixed_orientation": {"edits": {4: setting(ImageOrientationPatient=[0, 1, 0, 1, 0, 0])}},
    "mixed_frames": {"edits": {4: setting(FrameOfReferenceUID="1.2.3.4")}},
    "duplicate_uid": {"edits": {4: setting(SOPInstanceUID=f"{SERIES}.1")}},
    "duplicate_slice": {"edits": {4: shift(0, 0, -2.5)}},
    "shifted_slices": {"edits": {4: shift(3, 0, 0)}},
    "missing_slices": {"edits": {11: shift(0, 0, 5)}},
    "irregular_spacing": {"edits": {4: shift(0, 0, 0.6)}},
    "tilted_gantry": {"edit_all": shear},
    "few_slices": {"slices": 2},
    "no_frame_of_reference": {"edit_all": setting(FrameOfReferenceUID=None)},
    "not_axial": {
        "edit_all": lambda dataset: setting(
            ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
            ImagePositionPatient=[-24, dataset.ImagePositionPatient[2], 40],
        )(dataset)
    },
    "lossy": {"edit_all": lambda dataset: as_near_lossless(dataset)},
    "thick_slices": {"edit_all": lambda d: shift(0, 0, 1.5 * (d.InstanceNumber - 1))(d)},
    "covers_little": {},
}


def as_near_lossless(dataset: FileDataset) -> None:
    from pydicom.uid import JPEGLSNearLossless

    put_pixels(dataset, np.abs(noise(0)).astype(np.uint16))
    dataset.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)


@pytest.mark.parametrize("code", SPOILED)
def test_each_problem_of_a_series_is_found_and_named(code: str, tmp_path: Path) -> None:
    a_series(tmp_path, **SPOILED[code])

    report = next(r for r in look_at(tmp_path).series if r.series_uid == SERIES)

    assert codes(report) - {"covers_little"} == {code} - {"covers_little"}
    assert bool(report.refusals) == (VERDICTS[code] is Verdict.REFUSES)
    assert ("refused: " in str(report)) == bool(report.refusals)
    assert all(problem.detail in str(report) for problem in report.problems)


def test_each_verdict_on_a_series_has_a_test() -> None:
    of_series = list(VERDICTS)[
        list(VERDICTS).index("undecodable_pixels") : list(VERDICTS).index("bad_number")
    ]
    assert set(of_series) == set(SPOILED)


def test_a_missing_slice_is_placed(tmp_path: Path) -> None:
    files = a_series(tmp_path)
    files[5].unlink()
    files[6].unlink()

    report = only(look_at(tmp_path))

    assert [str(one) for one in report.warnings if one.code == "missing_slices"] == [
        "2 slices missing between z 10.00 and 17.50 mm"
    ]
    assert report.geometry
    assert report.geometry.places_mm == (0, 2.5, 5, 7.5, 10, 17.5, 20, 22.5, 25, 27.5)
    assert report.geometry.slice_mm == 2.5
    for z, apart in ((12, 7.5), (9, 0), (18, 0), (-1, 0), (28, 0)):
        assert report.geometry.gap_at((0, 0, z)) == apart


def test_a_tilted_series_is_where_its_slices_say(tmp_path: Path) -> None:
    a_series(tmp_path, edit_all=shear)

    geometry = only(look_at(tmp_path)).geometry

    assert geometry is not None
    assert_allclose(geometry.last, [-24, -32 + 0.3 * 27.5, 27.5])
    assert geometry.covers_mm == pytest.approx(27.5)
    numbers = geometry.volume()
    assert numbers.keys() == {"first", "axes", "steps_mm", "counts"}
    volume = Series(geometry=numbers).volume
    assert volume is not None
    for number, way in ((0, 1), (11, 1)):
        corner = np.array([-24, -32 + 0.3 * 2.5 * number, 2.5 * number])
        far = corner + np.array([47, 63, 0])
        assert_allclose(volume.along(corner.tolist())[:2], [0, 0], atol=1e-9)
        assert_allclose(volume.along(far.tolist())[:2], [47, 63])
        assert geometry.depth_mm(corner) == pytest.approx(0.5 * way)
        assert volume.holds(far.tolist())
        assert not volume.holds((far + np.array([0, 1.5, 0])).tolist())
        assert geometry.depth_mm(far + np.array([0, 0.6, 0])) == pytest.approx(-0.1)


def test_distances_without_a_rule_are_kept(tmp_path: Path) -> None:
    places = [0, 1, 2, 3, 8, 13, 18.5, 23]
    a_series(
        tmp_path,
        slices=8,
        edit_all=lambda d: setting(ImagePositionPatient=[-24, -32, places[d.InstanceNumber - 1]])(
            d
        ),
    )

    report = only(look_at(tmp_path))

    assert "irregular_spacing" in codes(report)
    assert report.geometry
    assert report.geometry.places_mm == tuple(places)
    assert report.geometry.covers_mm == 23


def test_a_single_slice_is_as_thick_as_it_says(tmp_path: Path) -> None:
    a_series(tmp_path, slices=1)

    report = only(look_at(tmp_path))

    assert codes(report) == {"few_slices", "covers_little"}
    assert not report.refusals
    assert report.geometry
    assert report.geometry.slice_mm == 2.5
    assert report.geometry.depth_mm((0, 0, 1)) == pytest.approx(0.25)
    assert report.geometry.depth_mm((0, 0, 1.5)) == pytest.approx(-0.25)


def test_rounded_positions_are_not_called_irregular(tmp_path: Path) -> None:
    a_series(
        tmp_path,
        edit_all=lambda d: setting(
            ImagePositionPatient=[-24, -32, round(1.25 * (d.InstanceNumber - 1), 1)]
        )(d),
    )

    assert only(look_at(tmp_path)).refusals == ()


def test_what_is_not_a_slice_is_set_aside_and_the_series_judged_without_it(tmp_path: Path) -> None:
    files = a_series(tmp_path)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "empty.dcm").touch()
    shutil.copy(files[0], tmp_path / "copy.dcm")
    for name, edit in {
        "scout.dcm": setting(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        "mr.dcm": setting(Modality="MR"),
        "uid.dcm": setting(SOPInstanceUID="../../etc/passwd"),
    }.items():
        other = a_slice(30)
        with tolerant():
            edit(other)
            pydicom.dcmwrite(tmp_path / name, other)

    found = look_at(tmp_path)

    assert only(found).files == tuple(files)
    assert {(problem.code, problem.where) for problem in found.set_aside} == {
        ("not_dicom", "notes.txt"),
        ("not_dicom", "empty.dcm"),
        ("same_file_twice", "copy.dcm"),
        ("localizer", "scout.dcm"),
        ("other_modality", "mr.dcm"),
        ("bad_uid", "uid.dcm"),
    }
    assert found.looked_at_everything


def test_many_files_of_another_modality_are_one_line(tmp_path: Path) -> None:
    a_series(tmp_path, edit_all=setting(Modality="MR"))

    assert look_at(tmp_path).lines() == [
        "set aside: 12 files, 000.dcm and others: is MR, not CT",
    ]


def test_a_file_that_cannot_be_opened_is_told_and_the_look_is_incomplete(tmp_path: Path) -> None:
    a_series(tmp_path)
    (tmp_path / "lost.dcm").symlink_to(tmp_path / "nowhere")

    found = look_at(tmp_path)

    assert not found.looked_at_everything
    assert only(found).geometry is not None


@given(cut=st.integers(0, 5_000), flips=st.lists(st.integers(0, 1_200), max_size=8))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_bytes_are_a_problem_of_their_file_and_never_stop_the_look(
    tmp_path: Path, cut: int, flips: list[int]
) -> None:
    (file,) = a_series(tmp_path, slices=1)
    content = bytearray(file.read_bytes())
    for place in flips:
        content[132 + place] ^= 0x5A
    file.write_bytes(content[: len(content) - cut])

    found = look_at(tmp_path)

    assert len(found.series) + len(found.set_aside) == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "LIDC-IDRI-0001",
            "133 slices | Explicit VR Little Endian | 512 x 512, 0.703 x 0.703 mm, "
            "z -340.00 to -10.00 mm, every 2.50 mm | can be imported",
        ),
        (
            "LIDC-IDRI-0063",
            "133 slices | Explicit VR Little Endian | 512 x 512, 0.781 x 0.781 mm, "
            "z -368.00 to -38.00 mm, every 2.50 mm | can be imported",
        ),
        (
            "LIDC-IDRI-0002_partial",
            "12 slices | Explicit VR Little Endian | 512 x 512, 0.682 x 0.682 mm, "
            "z -94.50 to -80.75 mm, every 1.25 mm | can be imported "
            "| note: it covers only 14 mm of the patient",
        ),
        (
            "LIDC-IDRI-0003_partial",
            "11 slices | Explicit VR Little Endian | 512 x 512, 0.820 x 0.820 mm, "
            "z -204.00 to -179.00 mm, every 2.50 mm | can be imported "
            "| note: it covers only 25 mm of the patient",
        ),
    ],
)
def test_complete_lidc_series_can_be_imported_and_parts_say_how_little_they_cover(
    unpack: Unpack, name: str, line: str
) -> None:
    found = look_at(unpack(name))

    assert found.set_aside == ()
    assert str(only(found)) == f"{only(found).series_uid} | {line}"


# Nodules

HEADER = "patient,study,series,nodule,x,y,z,diameter,reference,reference_source"


def a_list(folder: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = folder / "nodules.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_of_nodules_is_read_as_spreadsheets_write_it(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    number = "1.5" if delimiter == "," else "1,5"
    line = f"P-1,{STUDY},{SERIES},N1,NUMBER,-2,3,8,Malignant,Pathologie Zürich"
    path = a_list(
        tmp_path,
        line.replace(",", delimiter).replace("NUMBER", number),
        "",
        header=HEADER.replace(",", delimiter),
        encoding=encoding,
    )

    rows, _, bad = read_nodules(path)

    assert bad == []
    assert rows == [
        NoduleRow(2, "P-1", STUDY, SERIES, "N1", (1.5, -2, 3), 8, True, "Pathologie Zürich")
    ]


def test_optional_columns_may_be_missing(tmp_path: Path) -> None:
    path = a_list(
        tmp_path, f"P-1,{STUDY},{SERIES},N1,1,2,3", header="patient,study,series,nodule,x,y,z"
    )

    ((row,), *_) = read_nodules(path)

    assert (row.diameter_mm, row.malignant, row.reference_source) == (None, None, "")


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ("N1,one,2,3,,,", "bad_number"),
        ("N1,nan,2,3,,,", "bad_number"),
        ("N1,1,2,,,,", "bad_number"),
        ("N1,1,2,3,-4,,", "bad_number"),
        ("N1,1,2,3,,maybe,", "bad_reference"),
        (",1,2,3,,,", "bad_label"),
    ],
)
def test_a_bad_line_is_told_and_the_next_one_read(tmp_path: Path, cells: str, code: str) -> None:
    good = f"P-1,{STUDY},{SERIES},N2,1,2,3,,,"
    rows, _, bad = read_nodules(a_list(tmp_path, f"P-1,{STUDY},{SERIES},{cells}", good))

    assert [(b.line, b.code) for b in bad] == [(2, code)]
    assert [row.label for row in rows] == ["N2"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be opened"),
        (b"patient,study,series,nodule,x,y\n", "lacks the column z"),
        (HEADER.encode() + b"\nZ\xfcrich\n", "not UTF-8"),
        (b"", "lacks the column"),
        (HEADER.encode() + b'\n"open\n', "line 2"),
    ],
)
def test_a_list_that_cannot_be_read_at_all_says_why(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "nodules.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(UnreadableList, match=reason):
        read_nodules(path)


def a_row(**values: Any) -> NoduleRow:
    given = {"label": "N1", "centre_mm": (0.0, 0.0, 60.0), **values}
    return NoduleRow(
        **{
            "line": 2,
            "patient": "P-1",
            "study_uid": STUDY,
            "series_uid": SERIES,
            "diameter_mm": None,
            "malignant": None,
            "reference_source": "",
            **given,
        }
    )


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (a_row(series_uid="1.2.3"), "unknown_series"),
        (a_row(study_uid="1.2.3"), "unknown_study"),
        (a_row(centre_mm=(0.0, 0.0, 130.0)), "nodule_outside_volume"),
        (a_row(centre_mm=(30.0, 0.0, 60.0)), "nodule_outside_volume"),
        (a_row(centre_mm=(10.0, 0.0, 60.0)), "nodule_near_edge"),
        (a_row(centre_mm=(-1.0, 0.0, 60.0), patient="P-2"), "other_patient"),
    ],
)
def test_each_problem_of_a_nodule_is_found_and_named(
    row: NoduleRow, code: str, tmp_path: Path
) -> None:
    a_series(tmp_path, slices=50)

    report = place_nodules([row], [], look_at(tmp_path).series)

    assert code in {problem.code for problem in report.problems}
    assert bool(report.accepted) == (VERDICTS[code] is Verdict.WARNS)


def test_two_nodules_of_one_name_are_one_too_many(tmp_path: Path) -> None:
    a_series(tmp_path)

    report = place_nodules([a_row(), a_row(line=3)], [], look_at(tmp_path).series)

    assert "duplicate_label" in {problem.code for problem in report.refusals}


def test_a_nodule_where_slices_are_missing_is_told(tmp_path: Path) -> None:
    a_series(tmp_path)[5].unlink()

    rows = [a_row(centre_mm=(0, 0, 13)), a_row(label="N2", line=3, centre_mm=(0, 0, 17))]
    report = place_nodules(rows, [], look_at(tmp_path).series)

    assert [str(one) for one in report.problems if one.code == "nodule_in_gap"] == [
        "line 2, nodule N1: slices are missing there: the next ones are 5.0 mm apart"
    ]


def test_nodules_of_a_refused_series_are_refused(tmp_path: Path) -> None:
    a_series(tmp_path, edits={5: shift(0, 0, -2.5)})

    report = place_nodules([a_row(centre_mm=(0, 0, 5))], [], look_at(tmp_path).series)

    assert [problem.code for problem in report.refusals] == ["series_refused"]


def test_the_grid_of_a_series_says_how_deep_a_point_lies_in_it(tmp_path: Path) -> None:
    a_series(tmp_path, slices=50)
    geometry = only(look_at(tmp_path)).geometry
    assert geometry is not None

    # The first voxel's centre is half a voxel inside; in the middle, the sides are nearest.
    assert_allclose(geometry.depth_mm([-24, -32, 0]), 0.5)
    assert_allclose(geometry.depth_mm([0, 0, 60]), 23.5)
    assert_allclose(geometry.depth_mm([0, 0, -3]), -1.75)


def test_compressed_series_are_described_by_their_syntax(tmp_path: Path) -> None:
    a_series(tmp_path, edit_all=lambda d: d.compress(RLELossless, generate_instance_uid=False))

    assert "| RLE Lossless |" in str(only(look_at(tmp_path)))


def test_nothing_but_files_is_looked_at(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    a_series(tmp_path)

    assert only(look_at(tmp_path)).geometry is not None


def test_bad_rows_are_part_of_the_report() -> None:
    assert BadRow(2, "bad_number", "x").code in VERDICTS


def test_a_decoder_that_panics_refuses_one_series_and_ends_nothing(tmp_path: Path) -> None:
    def as_damaged_rle(dataset: FileDataset) -> None:
        dataset.compress(RLELossless, generate_instance_uid=False)
        frame = bytearray(dataset.PixelData)
        # Runs of any length: `rle`, written in Rust, panics with what is no `Exception`.
        at = frame.index(b"\xfe\xff\x00\xe0", 8) + 8 + 64
        frame[at:-8] = np.random.default_rng(1).bytes(len(frame) - 8 - at)
        dataset.PixelData = bytes(frame)
        with pytest.raises(BaseException, match="index out of bounds") as panic:
            _ = dataset.pixel_array
        assert not isinstance(panic.value, Exception)

    a_series(tmp_path, edits={4: as_damaged_rle})

    assert "undecodable_pixels" in codes(only(look_at(tmp_path)))


def test_a_file_that_would_fill_the_memory_is_not_opened(tmp_path: Path) -> None:
    files = a_series(tmp_path, slices=5)
    bomb = pydicom.dcmread(files[0])
    bomb.PixelData = bytes(300_000_000)
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    bomb.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    with (tmp_path / "huge.dcm").open("wb") as huge:
        huge.truncate(300_000_000)
    vast = pydicom.dcmread(files[1])
    vast.Rows = vast.Columns = 65535
    vast.save_as(files[1])

    findings = look_at(tmp_path)

    aside = {problem.where: problem.code for problem in findings.set_aside}
    assert aside == {"bomb.dcm": "too_large", "huge.dcm": "too_large"}
    assert (tmp_path / "bomb.dcm").stat().st_size < 1_000_000
    (problem,) = [p for p in only(findings).problems if p.code == "undecodable_pixels"]
    assert "16,777,216 pixels" in problem.detail
