"""What a coordinator changes of cases and nodules before they are dealt out."""

from pathlib import Path
from typing import Any

import pytest

from reader_study.actions.case_changes import (
    import_nodules,
    move_nodule,
    place_nodule,
    remove_case,
    remove_nodule,
)
from reader_study.actions.cases import import_series
from reader_study.actions.originals import keys
from reader_study.actions.reference import load_reference
from reader_study.actions.verification import verify_study
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.nodules import NoduleList
from reader_study.domain.errors import CaseStands, ImportRefused, StudyFrozen
from reader_study.models import Case, CaseChange, Nodule, Role, Series, Study
from reader_study.models.reference import PanelRead
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import NOW, a_job, a_member, a_study, a_user

pytestmark = pytest.mark.django_db
HEAD = "patient,study,series,nodule,x,y,z\n"
INSIDE = [1.234, -2.0, 15.0]


@pytest.fixture
def study(settings, tmp_path: Path) -> Study:
    """A study with one case of 12 slices, without nodules."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    study = a_study(is_open=False)
    add(study, tmp_path / "ct")
    return study


def add(into: Study, folder: Path, **uids: Any) -> None:
    a_series(folder, **uids)
    nothing = NoduleList([], [], [])
    given: dict[str, Any] = {
        "study": into,
        "findings": look_at(folder),
        "listed": nothing,
        "now": NOW,
    }
    import_series(**given, without_nodules=True)


def by(study: Study) -> dict[str, Any]:
    return {"study": study, "by": a_user(), "now": NOW}


def placed(study: Study, point: object = INSIDE, diameter: object = 6.04) -> Nodule:
    series = Series.objects.get(case__study=study)
    where: dict[str, Any] = {"series_id": series.pk, "point_mm": point, "diameter_mm": diameter}
    return place_nodule(**where, **by(study))


def test_nodules_are_placed_moved_and_removed_with_a_trace(study):
    first, second = placed(study), placed(study, [0, 0, 20], None)
    assert (first.number, first.centre_mm, first.diameter_mm) == (1, (1.23, -2.0, 15.0), 6.0)
    where = {"point_mm": [0, 0, 5], "diameter_mm": 7}
    move_nodule(nodule_id=first.pk, **where, **by(study))
    move_nodule(nodule_id=first.pk, **where, **by(study))  # again: nothing to trace
    remove_nodule(nodule_id=first.pk, **by(study))
    third = placed(study)

    assert list(Nodule.objects.values_list("pk", "number").order_by("number")) == [
        (second.pk, 1),
        (third.pk, 2),
    ]
    changes = CaseChange.objects.all()
    assert [one.said for one in changes] == [
        *("nodule 1 placed", "nodule 2 placed", "nodule 1 moved", "nodule 1 removed"),
        "nodule 2 placed",
    ]
    moved = changes[2].detail
    assert moved["before"]["centre_mm"] == [1.23, -2.0, 15.0]
    assert moved["after"]["centre_mm"] == [0.0, 0.0, 5.0]
    assert verify_study(study).counts["case_change"] == 5


@pytest.mark.parametrize(
    ("point", "diameter"),
    [
        ([0, 0, 500], 5),
        ([0, 0], 5),
        ("here", 5),
        ([0, 0, float("nan")], 5),
        (INSIDE, "large"),
        (INSIDE, -1),
        (INSIDE, True),
    ],
)
def test_what_lies_outside_or_is_no_number_is_no_nodule(study, point, diameter):
    with pytest.raises(ImportRefused):
        placed(study, point, diameter)
    assert not CaseChange.objects.exists()


def test_what_the_truth_or_the_ai_is_about_stays(study):
    known, asked, read = placed(study), placed(study), placed(study)
    load_reference(nodule=known, malignant=True, source="pathology", now=NOW)
    a_job(asked)
    member = a_member(study, Role.TRUTH_PANEL)
    PanelRead.objects.create(
        nodule=read, member=member, verdict="benign", confidence=90, note="", at=NOW
    )
    for nodule in (known, asked, read):
        with pytest.raises(CaseStands):
            remove_nodule(nodule_id=nodule.pk, **by(study))
        where = {"point_mm": [0, 0, 5], "diameter_mm": None}
        with pytest.raises(CaseStands):
            move_nodule(nodule_id=nodule.pk, **where, **by(study))
    with pytest.raises(CaseStands):
        remove_case(case_id=Case.objects.get().pk, **by(study))
    assert Nodule.objects.count() == 3


def test_a_case_that_is_removed_leaves_its_number_to_nobody(study, tmp_path):
    placed(study)
    add(study, tmp_path / "two", study="1.2.7", series="1.2.7.1")
    assert remove_case(case_id=Case.objects.get(pseudonym="Case 001").pk, **by(study)) == "Case 001"
    add(study, tmp_path / "three", study="1.2.8", series="1.2.8.1")
    assert [case.pseudonym for case in Case.objects.all()] == ["Case 002", "Case 003"]
    change = CaseChange.objects.get(kind="case_removed")
    assert change.detail["series"] == [[STUDY, SERIES]]
    assert change.detail["nodules"][0]["label"] == "desk-1"


def test_nothing_changes_once_the_cases_are_dealt_out(study):
    nodule = placed(study)
    study.allocated_at = NOW
    study.save()
    for change in (
        lambda: placed(study),
        lambda: remove_nodule(nodule_id=nodule.pk, **by(study)),
        lambda: remove_case(case_id=Case.objects.get().pk, **by(study)),
        lambda: import_nodules(text=HEAD, name="x", dry_run=True, **by(study)),
    ):
        with pytest.raises(StudyFrozen):
            change()
    assert Nodule.objects.count() == 1


def test_another_studys_nodules_and_cases_are_out_of_reach(study):
    nodule, other = placed(study), a_study(is_open=False)
    with pytest.raises(Nodule.DoesNotExist):
        remove_nodule(nodule_id=nodule.pk, **by(other))
    with pytest.raises(Case.DoesNotExist):
        remove_case(case_id=Case.objects.get().pk, **by(other))
    series = Series.objects.get(case__study=study)
    where = {"series_id": series.pk, "point_mm": INSIDE, "diameter_mm": None}
    with pytest.raises(ImportRefused):
        place_nodule(**where, **by(other))


def test_a_list_is_looked_at_first_and_tells_each_line(study, tmp_path):
    uid = keys().uid
    add(study, tmp_path / "clean", study=uid("1.2.9"), series=uid("1.2.9.1"))
    text = "patient;study;series;nodule;x;y;z;reference\n"
    text += f"P-1;{STUDY};{SERIES};N1;0,5;0;15;malignant\n"
    text += "P-9;1.2.9;1.2.9.1;N1;0;0;15;\n"  # as the original has it
    text += f"P-1;{STUDY};{SERIES};N1;0;0;10;\n"
    text += f"P-1;{STUDY};{SERIES};N2;0;0;999;\n"
    text += f"P-1;{STUDY};{SERIES};N3;zero;0;1;\n"
    given = {"text": text, "name": "list.csv", **by(study)}

    looked = import_nodules(**given, dry_run=True)
    assert Nodule.objects.count() == 0
    done = import_nodules(**given, dry_run=False)

    assert looked == done
    assert done.added == {"Case 001": 1, "Case 002": 1}
    told = {(one.where, one.code) for one in done.problems if one.code != "nodule_near_edge"}
    assert told == {
        ("line 4, nodule N1", "duplicate_label"),
        ("line 5, nodule N2", "nodule_outside_volume"),
        ("line 6", "bad_number"),
    }
    assert {one.x for one in Nodule.objects.all()} == {0.5, 0.0}
    again = import_nodules(**given, dry_run=False)
    assert again.added == {}
    with pytest.raises(ImportRefused, match="lacks the column"):
        import_nodules(text="a,b\n1,2\n", name="list.csv", dry_run=True, **by(study))
