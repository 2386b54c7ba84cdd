"""Bringing cases in."""

import threading
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.fixtures import Settings

from reader_study.actions import cases
from reader_study.actions.cases import import_cases, import_lidc
from reader_study.actions.listing import CannotImport
from reader_study.domain.errors import StudyFrozen
from reader_study.models import Case, Nodule, Series, Study
from reader_study.models.reference import ReferenceStandard
from tests.dicomweb.series import SERIES, STUDY, a_series, setting
from tests.factories import NOW, a_study, free_response
from tests.images import Orthanc, Unpack

pytestmark = pytest.mark.django_db

HEADER = "patient,study,series,nodule,x,y,z,diameter,reference,reference_source\n"


@pytest.fixture(autouse=True)
def _own_archive(settings: Settings, tmp_path: Path) -> None:
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.ARCHIVE_URL = ""


@pytest.fixture
def study() -> Study:
    return a_study(is_open=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a_series(tmp_path / "in", slices=50)
    return tmp_path / "in"


def a_list(folder: Path, *lines: str) -> Path:
    path = folder / "nodules.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def line(label: str = "N1", z: float = 60, rest: str = ",,", series: str = SERIES) -> str:
    return f"P-1,{STUDY},{series},{label},0,0,{z},{rest}"


def rows() -> list[list[dict[str, Any]]]:
    return [
        [dict(row) for row in found]
        for found in (
            Case.objects.values(),
            Series.objects.values(),
            Nodule.objects.values(),
            ReferenceStandard.objects.values(),
        )
    ]


def test_a_case_comes_in_with_its_nodules_and_their_truth(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    nodules = a_list(tmp_path, line("N1", 40, "8,malignant,pathology"), line("N2", 80))

    report = import_cases(study=study, folder=folder, nodules=nodules, now=NOW)

    assert report.complete
    (case,) = Case.objects.filter(study=study)
    (series,) = case.series.all()
    assert case.pseudonym == "Case 001"
    assert (series.study_uid, series.series_uid, series.slices) == (STUDY, SERIES, 50)
    # Numbers go from the head downwards, whatever the order of the list.
    found = Nodule.objects.of_study(study).order_by("number")
    assert [(n.number, n.label, n.centre_mm, n.diameter_mm) for n in found] == [
        (1, "N2", (0, 0, 80), None),
        (2, "N1", (0, 0, 40), 8),
    ]
    (truth,) = ReferenceStandard.objects.all()
    assert (truth.nodule.label, truth.malignant, truth.source) == ("N1", True, "pathology")
    assert len(cases.site_archive().series_metadata(STUDY, SERIES)) == 50


def test_no_pseudonym_holds_what_the_patient_is_called(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    import_cases(study=study, folder=folder, nodules=a_list(tmp_path, line()), now=NOW)

    case = Case.objects.get(study=study)
    assert "P-1" not in case.subject + case.pseudonym


def test_two_examinations_of_one_patient_share_a_subject(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    a_series(folder / "later", slices=50, study="1.2.3", series="1.2.3.4")
    nodules = a_list(tmp_path, line(), "P-1,1.2.3,1.2.3.4,N1,0,0,60,,,")

    import_cases(study=study, folder=folder, nodules=nodules, now=NOW)

    assert Case.objects.filter(study=study).count() == 2
    assert Case.objects.filter(study=study).values("subject").distinct().count() == 1


def test_two_series_of_one_examination_are_one_case(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    other = f"{STUDY}.2"
    a_series(folder / "thin", slices=50, series=other)
    nodules = a_list(tmp_path, line(), line("N1", series=other))

    import_cases(study=study, folder=folder, nodules=nodules, now=NOW)

    (case,) = Case.objects.filter(study=study)
    assert case.series.count() == 2
    assert sorted(Nodule.objects.of_study(study).values_list("number", flat=True)) == [1, 2]


def test_importing_again_changes_nothing(study: Study, folder: Path, tmp_path: Path) -> None:
    nodules = a_list(tmp_path, line("N1", 40.123, "8.5,benign,follow-up"))
    import_cases(study=study, folder=folder, nodules=nodules, now=NOW)
    before = rows()

    report = import_cases(study=study, folder=folder, nodules=nodules, now=NOW)

    assert report.complete
    assert rows() == before
    assert "imported before as Case 001" in report.lines()[0]


@pytest.mark.django_db(transaction=True)
def test_of_two_imports_at_once_each_series_comes_in_once(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    other = f"{STUDY}.2"
    a_series(folder / "other", slices=50, study=other, series=f"{other}.1")
    nodules = a_list(tmp_path, line(), f"P-2,{other},{other}.1,N1,0,0,60,,malignant,x")
    start = threading.Barrier(2)

    def bring_in(_: int) -> bool:
        start.wait()
        try:
            return import_cases(study=study, folder=folder, nodules=nodules, now=NOW).complete
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(bring_in, range(2)))
    assert sorted(Case.objects.values_list("pseudonym", flat=True)) == ["Case 001", "Case 002"]
    assert [m.objects.count() for m in (Series, Nodule, ReferenceStandard)] == [2, 2, 1]


def test_what_is_sound_comes_in_and_the_rest_is_told(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    gap = f"{STUDY}.2"
    a_series(folder / "gap", slices=50, series=gap, edits={20: setting(PixelSpacing=[2, 2])})
    unlisted = f"{STUDY}.3"
    a_series(folder / "unlisted", slices=50, series=unlisted)
    (folder / "readme.txt").write_text("hello")
    nodules = a_list(
        tmp_path,
        line("N1"),
        line("N2", 500),
        line("N3", rest="x,,"),
        line("N4", series=gap),
        line("N5", series="1.2.3"),
    )

    report = import_cases(study=study, folder=folder, nodules=nodules, now=NOW)

    assert not report.complete
    assert [n.label for n in Nodule.objects.of_study(study)] == ["N1"]
    said = "\n".join(report.lines())
    for words in (
        "set aside: readme.txt: is not a DICOM file",
        "refused: its slices differ in rows, columns or pixel spacing",
        "imported as Case 001 with 1 nodule",
        "not imported: no line that can be used brings it in",
        "refused: line 3, nodule N2: (0, 0, 500) mm is 376.2 mm outside",
        "refused: line 4: diameter is 'x', which is no millimetres",
        "refused: line 5, nodule N4: its series is refused",
        "refused: line 6, nodule N5: there is no series 1.2.3",
    ):
        assert words in said


def test_where_readers_search_a_series_without_nodules_is_a_case_too(
    folder: Path, tmp_path: Path
) -> None:
    searching = a_study(is_open=False, **free_response())
    a_series(folder / "nothing", slices=50, series=f"{STUDY}.3", study=f"{STUDY}.9")
    spoiled = a_list(tmp_path, line("N1"), line("N2", rest="x,,"))

    first = import_cases(study=searching, folder=folder, nodules=spoiled, now=NOW)
    assert not first.complete
    assert Case.objects.filter(study=searching).count() == 1
    second = import_cases(
        study=searching, folder=folder, nodules=a_list(tmp_path, line("N1")), now=NOW
    )

    assert second.complete
    assert Case.objects.filter(study=searching).count() == 2
    assert "with 0 nodules" in "\n".join(second.lines())
    assert [n.label for n in Nodule.objects.of_study(searching)] == ["N1"]


def test_what_was_imported_is_not_changed_by_another_list(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    first = a_list(tmp_path, line("N1", 40, ",malignant,x"), line("N2", 60, ",benign,x"))
    import_cases(study=study, folder=folder, nodules=first, now=NOW)
    before = rows()

    other = a_list(tmp_path, line("N1", 45, ",malignant,x"), line("N2", 60, ",malignant,x"))
    report = import_cases(study=study, folder=folder, nodules=other, now=NOW)

    assert rows() == before
    assert [problem.code for problem in report.nodules.refusals] == ["imported_otherwise"] * 2


def test_a_study_whose_cases_are_dealt_out_takes_no_more(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    nodules = a_list(tmp_path, line())
    import_cases(study=study, folder=folder, nodules=nodules, now=NOW)
    Study.objects.filter(pk=study.pk).update(allocated_at=NOW)

    assert import_cases(study=study, folder=folder, nodules=nodules, now=NOW).complete

    more = a_list(tmp_path, line(), line("N2", 80))
    report = import_cases(study=study, folder=folder, nodules=more, now=NOW)
    assert [problem.code for problem in report.nodules.refusals] == ["study_dealt_out"]

    other = f"{STUDY}.2"
    a_series(folder / "other", slices=50, series=other)
    with pytest.raises(StudyFrozen):
        import_cases(
            study=study, folder=folder, nodules=a_list(tmp_path, line(series=other)), now=NOW
        )
    assert Series.objects.filter(case__study=study).count() == 1


def test_lidc_series_come_in_with_their_readers_scores(study: Study, unpack: Unpack) -> None:
    report = import_lidc(study=study, folder=unpack("LIDC-IDRI-0063"), now=NOW)

    assert report.complete
    found = Nodule.objects.of_study(study).order_by("number")
    assert [(n.label, n.centre_mm, n.diameter_mm) for n in found] == [
        ("N1", (-88.41, 20.24, -103.72), 8.4),
        ("N2", (-21.04, 34.57, -141.88), 13.1),
        ("N3", (-45.79, 59.92, -201.06), 10.2),
        ("N4", (-97.16, 40.12, -219.04), 6.3),
    ]
    truth = ReferenceStandard.objects.order_by("nodule__number")
    assert [
        (one.malignant, one.source, sorted(one.detail["scores"]["malignancy"])) for one in truth
    ] == [
        (None, "panel of 4 radiologists (LIDC)", [2, 3, 3, 3]),
        (True, "panel of 2 radiologists (LIDC)", [4, 5]),
        (None, "panel of 3 radiologists (LIDC)", [3, 3, 4]),
        (False, "panel of 1 radiologist (LIDC)", [1]),
    ]
    x, y, z = found[3].centre_mm
    near = min(
        (pydicom.dcmread(file) for file in unpack("LIDC-IDRI-0063").iterdir()),
        key=lambda one: abs(one.ImagePositionPatient[2] - z),
    )
    left, top, _ = near.ImagePositionPatient
    row, column = (y - top) / near.PixelSpacing[0], (x - left) / near.PixelSpacing[1]
    value = near.pixel_array[round(row), round(column)]
    assert value * near.RescaleSlope + near.RescaleIntercept > 400  # N4 is the calcified one

    before = rows()
    assert import_lidc(study=study, folder=unpack("LIDC-IDRI-0063"), now=NOW).complete
    assert rows() == before


def test_parts_of_a_lidc_series_keep_only_the_nodules_they_show(
    study: Study, unpack: Unpack
) -> None:
    report = import_lidc(study=study, folder=unpack("LIDC-IDRI-0003_partial"), now=NOW)

    assert not report.complete
    assert [n.label for n in Nodule.objects.of_study(study)] == ["N3"]
    assert {p.code for p in report.nodules.refusals} == {"nodule_outside_volume"}
    assert any("it covers only 25 mm of the patient" in line for line in report.lines())


def test_a_series_that_is_not_of_lidc_is_told(study: Study, folder: Path) -> None:
    report = import_lidc(study=study, folder=folder, now=NOW)

    assert not report.complete
    assert f"refused: {SERIES}: is no series of LIDC-IDRI" in report.lines()


# Commands


def call(*arguments: str | Path) -> tuple[list[str], str]:
    out = StringIO()
    try:
        call_command(*map(str, arguments), stdout=out)
    except CommandError as error:
        return out.getvalue().splitlines(), str(error)
    return out.getvalue().splitlines(), ""


def test_check_import_says_the_same_without_importing(
    study: Study, folder: Path, tmp_path: Path
) -> None:
    nodules = a_list(folder, line(), line("N2", 500))

    lines, error = call("check_import", folder, "--nodules", nodules)

    assert error == ""
    assert lines == [
        f"{SERIES} | 50 slices | Explicit VR Little Endian | 64 x 48, 1.000 x 1.000 mm, "
        "z 0.00 to 122.50 mm, every 2.50 mm | can be imported",
        "note: line 2, nodule N1: it is 23.5 mm from the edge of the volume",
        "refused: line 3, nodule N2: (0, 0, 500) mm is 376.2 mm outside",
        "1 series, 0 would be refused; 1 nodule can be imported, 1 refused",
    ]
    assert Case.objects.count() == 0
    assert not (tmp_path / "archive").exists()


def test_check_import_fails_only_when_something_could_not_be_looked_at(
    folder: Path, tmp_path: Path
) -> None:
    assert call("check_import", tmp_path / "nowhere")[1].startswith("there is no folder")
    assert call("check_import", folder, "--nodules", tmp_path / "none.csv")[1].endswith(
        "cannot be opened: No such file or directory"
    )
    (folder / "020.dcm").unlink()
    assert call("check_import", folder)[1] == ""
    (folder / "020.dcm").symlink_to(tmp_path / "nowhere")
    assert "not everything could be looked at" in call("check_import", folder)[1]


def test_import_cases_says_what_it_did(study: Study, folder: Path, tmp_path: Path) -> None:
    nodules = a_list(tmp_path, line())
    command = ("import_cases", folder, "--nodules", nodules, "--study", study.slug)

    first, error = call(*command)
    assert error == ""
    assert "imported as Case 001 with 1 nodule" in first[0]
    assert first[-1] == "1 of 1 series in; the study has 1 nodule"

    again, error = call(*command)
    assert error == ""
    assert "imported before as Case 001" in again[0]

    assert "there is no study 'other'" in call(*command[:-1], "other")[1]
    assert "name either a folder" in call(*command, "--from-archive")[1]
    broken = a_list(tmp_path, line("N2", 900))
    assert "not everything was imported" in call(*command[:3], broken, *command[4:])[1]


def test_import_lidc_says_what_it_did(study: Study, unpack: Unpack) -> None:
    lines, error = call("import_lidc", unpack("LIDC-IDRI-0001"), "--study", study.slug)

    assert error == ""
    assert "imported as Case 001 with 1 nodule" in lines[0]


@pytest.mark.orthanc
def test_series_that_lie_in_an_orthanc_are_imported_from_there(
    study: Study, orthanc: Orthanc, tmp_path: Path, settings: Settings
) -> None:
    other = setting(PatientID="P-2")
    orthanc.upload(
        a_series(tmp_path / "in", slices=50, edit_all=other, study="1.2.3", series="1.2.3.77")
    )
    settings.ARCHIVE_URL, settings.ARCHIVE_TOKEN = orthanc.url, orthanc.token
    here = "P-2,1.2.3,1.2.3.77,N1,0,0,60,,,"
    nodules = a_list(tmp_path, here, line("N2", series="1.2.3"))

    lines, error = call(
        "import_cases", "--from-archive", "--nodules", nodules, "--study", study.slug
    )

    assert "imported as Case 001 with 1 nodule" in lines[0]
    assert "there is no series 1.2.3" in "\n".join(lines)
    assert "not everything was imported" in error
    assert Series.objects.get(case__study=study).slices == 50

    settings.ARCHIVE_URL = "http://127.0.0.1:9/none"
    settings.ARCHIVE_DIR = tmp_path / "empty"
    with pytest.raises(CannotImport, match="does not answer"):
        cases.import_from_archive(study=study, nodules=nodules, now=NOW)
