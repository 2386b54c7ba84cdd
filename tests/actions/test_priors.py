"""Earlier examinations of a case's patient, and further series of its own examination."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from reader_study.actions.cases import ImportReport, check_import, import_cases
from reader_study.actions.images import series_of
from reader_study.actions.listing import read_list
from reader_study.actions.reading import save_draft
from reader_study.domain.errors import AnswersInvalid
from reader_study.domain.reading import Stage
from reader_study.models import Case, Nodule, Reading, Series, Study
from tests.dicomweb.series import SERIES, STUDY, a_series, setting
from tests.factories import NOW, a_mark, a_reading, a_study, free_response

pytestmark = pytest.mark.django_db

HEADER = "patient,study,series,nodule,x,y,z,prior_of,days\n"
NODULE = f"P-1,{STUDY},{SERIES},N1,0,0,60,,"
EARLIER = f"{STUDY}.7"
PRIOR = f"P-1,{EARLIER},{EARLIER}.1,,,,,{STUDY},"


@pytest.fixture(autouse=True)
def _own_archive(settings: Settings, tmp_path: Path) -> None:
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.ARCHIVE_URL = ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One patient on 31 January 2020, in two kernels, and on 2 December 2018."""
    into = tmp_path / "in"
    lung = setting(ConvolutionKernel="LUNG")
    a_series(into / "now", slices=50)
    a_series(into / "sharp", slices=50, series=f"{SERIES}.2", edit_all=lung)
    then = setting(StudyDate="20181202", FrameOfReferenceUID=f"{EARLIER}.9")
    a_series(into / "then", slices=50, study=EARLIER, series=f"{EARLIER}.1", edit_all=then)
    return into


def bring_in(study: Study, folder: Path, *lines: str) -> ImportReport:
    nodules = folder.parent / "nodules.csv"
    nodules.write_text(HEADER + "\n".join(lines) + "\n")
    return import_cases(study=study, folder=folder, nodules=nodules, now=NOW)


def known(study: Study) -> list[tuple[Any, ...]]:
    found = Series.objects.filter(case__study=study).by_examination()
    return list(found.values_list("case__pseudonym", "series_uid", "prior", "days_before"))


def test_a_line_without_a_nodule_brings_a_prior_or_another_series_of_the_case_in(
    folder: Path,
) -> None:
    study = a_study(is_open=False)

    report = bring_in(study, folder, PRIOR, NODULE, f"P-1,{STUDY},{SERIES}.2,,,,,,")

    assert report.complete, report.lines()
    assert known(study) == [
        ("Case 001", SERIES, False, None),
        ("Case 001", f"{SERIES}.2", False, None),
        ("Case 001", f"{EARLIER}.1", True, 425),  # by the dates in the headers
    ]
    assert Nodule.objects.get().series.series_uid == SERIES
    assert list(Series.objects.order_by("pk").values_list("kernel", flat=True)) == ["", "LUNG", ""]
    said = "\n".join(report.lines())
    assert "imported as a prior of Case 001, 425 days earlier" in said

    again = bring_in(study, folder, PRIOR, NODULE)
    assert again.nodules.refusals == []
    assert len(known(study)) == 3
    assert "imported before as a prior of Case 001" in "\n".join(again.lines())


def test_a_prior_comes_to_a_case_that_is_there_and_days_can_be_said(folder: Path) -> None:
    study = a_study(is_open=False)
    bring_in(study, folder, NODULE)

    # The current examination is looked up in the archive; its line may be left out.
    report = bring_in(study, folder / "then", f"P-1,{EARLIER},,,,,,{STUDY},400")

    assert known(study)[-1] == ("Case 001", f"{EARLIER}.1", True, 400)
    assert [problem.code for problem in report.nodules.problems] == ["other_dates"]
    assert "425 days apart" in report.nodules.problems[0].detail


def test_where_readers_search_a_prior_is_no_case_of_its_own(folder: Path) -> None:
    study = a_study(is_open=False, **free_response())

    report = bring_in(study, folder, PRIOR)

    assert report.complete, report.lines()
    assert Case.objects.filter(study=study).count() == 1
    assert [row[2:] for row in known(study)] == [(False, None), (False, None), (True, 425)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([NODULE, f"P-1,{EARLIER},{EARLIER}.1,N1,0,0,60,{STUDY},"], "nodule_in_prior"),
        ([NODULE, f"{PRIOR}soon"], "bad_days"),
        ([NODULE, f"P-1,{STUDY},{SERIES}.2,,,,,,12"], "bad_days"),
        ([NODULE, f"P-1,{EARLIER},{EARLIER}.5,,,,,{STUDY},"], "unknown_series"),
        ([NODULE, f"P-1,{EARLIER},,,,,,1.2.3,"], "unknown_examination"),
        ([NODULE, f"P-1,{EARLIER},,,,,,,"], "unknown_examination"),
        ([NODULE, f"P-1,{EARLIER},,,,,,{EARLIER},"], "unknown_examination"),
        ([NODULE, f"P-1,{EARLIER},{EARLIER}.1,N1,0,0,60,,", PRIOR], "prior_is_a_case"),
        (
            [f"P-1,{EARLIER},{EARLIER}.1,N1,0,0,60,,", f"P-1,{STUDY},,,,,,{EARLIER},"],
            "prior_is_later",
        ),
    ],
)
def test_what_cannot_be_a_prior_is_told_and_the_case_comes_in_without(
    lines: list[str], code: str, folder: Path
) -> None:
    study = a_study(is_open=False)

    report = bring_in(study, folder, *lines)

    assert [problem.code for problem in report.nodules.refusals] == [code]
    assert Nodule.objects.of_study(study).exists()
    assert not any(prior for _, _, prior, _ in known(study))


def test_two_examinations_of_one_patient_are_pointed_out_until_a_line_says_what_they_are(
    folder: Path, tmp_path: Path
) -> None:
    nodules = tmp_path / "nodules.csv"
    nodules.write_text(HEADER + NODULE + "\n")
    _, silent = check_import(folder=folder, nodules=nodules)
    nodules.write_text(HEADER + NODULE + "\n" + PRIOR + "\n")
    _, told = check_import(folder=folder, nodules=nodules)

    assert [str(problem) for problem in silent.problems if problem.code != "nodule_near_edge"] == [
        f"patient P-1: has several examinations: {EARLIER} (2018-12-02), {STUDY} (2020-01-31); "
        "a line with prior_of makes one the prior of another"
    ]
    assert "several_examinations" not in {problem.code for problem in told.problems}


def test_dealt_out_cases_take_no_prior_any_more(folder: Path) -> None:
    study = a_study(is_open=False)
    bring_in(study, folder, NODULE)
    # Another case has it already, so that it is no new series of the study.
    other = f"{STUDY}.8"
    a_series(folder / "other", slices=50, study=other, series=f"{other}.1")
    more = f"P-1,{other},{other}.1,N1,0,0,60,,"
    bring_in(study, folder, NODULE, more, f"P-1,{EARLIER},{EARLIER}.1,,,,,{other},")
    Study.objects.filter(pk=study.pk).update(allocated_at=NOW)

    report = bring_in(study, folder, NODULE, more, PRIOR)

    assert [problem.code for problem in report.nodules.refusals] == ["study_dealt_out"]
    assert sum(prior for _, _, prior, _ in known(study)) == 1


# What a reading shows, and takes


def keep(reading: Reading, answers: dict[str, Any], version: int) -> None:
    save_draft(
        reader=reading.reader.user,
        reading_id=reading.pk,
        stage=Stage.UNAIDED,
        version=version,
        answers=answers,
        now=NOW,
    )


def with_prior(reading: Reading) -> Series:
    return Series.objects.create(
        case=reading.case,
        study_uid="1.2.3",
        series_uid="1.2.3.4",
        frame_of_reference_uid="1.2.3.5",
        slices=60,
        prior=True,
        days_before=425,
    )


def test_a_reading_shows_the_series_with_nodules_first_and_the_latest_prior_before_others() -> None:
    reading = a_reading(stage=Stage.UNAIDED)
    (first,) = reading.case.series.all()
    with_prior(reading)

    def another(uid: str, **fields: Any) -> Series:
        own = {"study_uid": first.study_uid, "frame_of_reference_uid": "1.2", "slices": 1}
        return Series.objects.create(case=reading.case, series_uid=uid, **own, **fields)

    another("1.2.3.6", prior=True, days_before=90)
    another("1.2.3.7", prior=True)
    another("1.2.3.8")
    Nodule.objects.update(series=another("1.2.3.9"))

    # Of the current ones without nodules, the first that came in.
    assert [one.series_uid for one in series_of(reading)] == [
        *("1.2.3.9", first.series_uid, "1.2.3.8"),
        *("1.2.3.6", "1.2.3.4", "1.2.3.7"),
    ]


def test_where_readers_search_the_order_of_series_tells_nothing_of_nodules() -> None:
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(**free_response()))
    (first,) = reading.case.series.all()
    other = Series.objects.create(
        case=reading.case,
        study_uid=first.study_uid,
        series_uid="1.2.3.9",
        frame_of_reference_uid="1.2",
        slices=1,
    )
    Nodule.objects.update(series=other)

    assert [one.pk for one in series_of(reading)] == [first.pk, other.pk]


@pytest.mark.parametrize("hidden_by", ["images", "arm"])
def test_a_protocol_hides_priors_from_a_study_or_an_arm(hidden_by: str) -> None:
    changes: dict[str, Any] = {"images": {"priors": "hidden"}}
    if hidden_by == "arm":
        unaided = [{"stage": "unaided"}]
        arms = [
            {"name": "alone", "stages": unaided, "priors": "hidden"},
            {"name": "compared", "stages": unaided},
        ]
        changes = {"design": {"kind": "crossover", "arms": arms, "washout_days": 0}}
    reading = a_reading(study=a_study(**changes))
    prior = with_prior(reading)

    reading.arm = "alone" if hidden_by == "arm" else reading.arm
    assert prior not in series_of(reading)
    if hidden_by == "arm":
        reading.arm = "compared"
        assert prior in series_of(reading)


def test_what_is_rated_lies_in_the_current_examination() -> None:
    reading = a_reading(stage=Stage.UNAIDED, study=a_study(**free_response()))
    prior = with_prior(reading)
    line = {
        "id": "5b0f3f86-2a53-4b0f-9c3c-6b6a9a0f9a31",
        "kind": "length",
        "plane": "axial",
        "series": prior.pk,
        "nodule": None,
        "points_mm": [[0, 0, 0], [3, 4, 0]],
    }
    mark = a_mark(reading)

    nothing: dict[str, Any] = {"case": {}, "nodules": {}}
    keep(reading, {**nothing, "marks": [mark], "measurements": [line]}, version=0)
    for wrong in (
        {"marks": [{**mark, "series": prior.pk}]},
        {"marks": [mark], "measurements": [{**line, "nodule": mark["id"]}]},
    ):
        with pytest.raises(AnswersInvalid) as refused:
            keep(reading, {**nothing, **wrong}, version=1)
        assert "earlier" in refused.value.more["problems"][0]["detail"]


def test_a_list_says_of_a_line_whether_it_is_a_nodule_or_a_series(tmp_path: Path) -> None:
    path = tmp_path / "nodules.csv"
    path.write_text(HEADER + "\n".join([NODULE, PRIOR + "30", "P-1,,,,,,,,"]) + "\n")

    listed, problems = read_list(path)

    assert [row.label for row in listed.nodules] == ["N1"]
    assert [(row.prior_of, row.days_before) for row in listed.series] == [(STUDY, 30)]
    assert [problem.code for problem in problems] == ["bad_label"]
