"""What a study is made of, changed until the cases are dealt out; every change is traced."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from reader_study.actions.originals import as_in_study, without_truth
from reader_study.actions.registering import add_nodules
from reader_study.dicomweb.geometry import Geometry
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import UnreadableList, parse_nodules
from reader_study.dicomweb.placing import place_nodules
from reader_study.dicomweb.problems import Problem
from reader_study.domain.errors import CaseStands, ImportRefused, StudyFrozen
from reader_study.domain.measuring import Volume, is_point
from reader_study.models import Case, CaseChange, Nodule, Series, Study, User

MOST_NODULES = 30  # of one case
DIAMETER_MM = (0.1, 200.0)


@transaction.atomic
def remove_case(*, study: Study, case_id: int, by: User, now: datetime) -> str:
    """Take a case out of the study; its images stay in the archive. Return its pseudonym.

    Raises:
        Case.DoesNotExist: there is no such case.
        StudyFrozen: the cases are dealt out.
        CaseStands: the truth of a nodule is known, or the AI was asked about it.
    """
    study = _may_change(study)
    case = Case.objects.get(study=study, pk=case_id)
    series = list(case.series.all())
    nodules = Nodule.objects.filter(series__in=series)
    detail = {
        "series": [[one.study_uid, one.series_uid] for one in series],
        "nodules": [_said(nodule) for nodule in nodules],
    }
    _trace(study, "case_removed", case, by, now, detail)
    try:
        _delete(
            (
                "delete from reader_study_nodule where series_id in "
                "(select id from reader_study_series where case_id = %s)"
            ),
            (
                "update reader_study_importseries set series_id = null where series_id in "
                "(select id from reader_study_series where case_id = %s)"
            ),
            "delete from reader_study_series where case_id = %s",
            "delete from reader_study_case where id = %s",
            of=case.pk,
        )
    except IntegrityError:
        raise CaseStands(
            f"{case.pseudonym} cannot be removed: the truth of a nodule is known already, or "
            "the panel or the AI was asked about it."
        ) from None
    return case.pseudonym


@transaction.atomic
def place_nodule(
    *,
    study: Study,
    series_id: int,
    point_mm: object,
    diameter_mm: object,
    by: User,
    now: datetime,
) -> Nodule:
    """Place a nodule at a point of a series, LPS millimetres; `diameter_mm` may be None.

    Raises:
        ImportRefused: the point lies outside of the images, or a number is none.
        StudyFrozen: the cases are dealt out.
    """
    study = _may_change(study)
    series = Series.objects.filter(case__study=study, pk=series_id).current().first()
    if series is None:
        raise ImportRefused("There is no such series in this study.")
    point, diameter = _place(series, point_mm), _diameter(diameter_mm)
    of_case = Nodule.objects.filter(series__case=series.case_id)
    if of_case.count() >= MOST_NODULES:
        raise ImportRefused(f"A case has {MOST_NODULES} nodules at most.")
    labels = set(Nodule.objects.filter(series=series).values_list("label", flat=True))
    number = 1 + (of_case.aggregate(last=Max("number"))["last"] or 0)
    nodule = Nodule.objects.create(
        series=series,
        number=number,
        label=next(f"desk-{n}" for n in range(number, number + 1000) if f"desk-{n}" not in labels),
        x=point[0],
        y=point[1],
        z=point[2],
        diameter_mm=diameter,
    )
    _trace(study, "nodule_placed", series.case, by, now, {"after": _said(nodule)})
    return nodule


@transaction.atomic
def move_nodule(
    *,
    study: Study,
    nodule_id: int,
    point_mm: object,
    diameter_mm: object,
    by: User,
    now: datetime,
) -> Nodule:
    """Place a nodule elsewhere, or give it another diameter.

    Raises:
        Nodule.DoesNotExist: there is no such nodule.
        ImportRefused: the point lies outside of the images, or a number is none.
        StudyFrozen: the cases are dealt out.
        CaseStands: its truth is known, or the AI was asked about it.
    """
    study = _may_change(study)
    nodule = Nodule.objects.of_study(study).select_related("series__case").get(pk=nodule_id)
    before = _said(nodule)
    nodule.x, nodule.y, nodule.z = _place(nodule.series, point_mm)
    nodule.diameter_mm = _diameter(diameter_mm)
    if _said(nodule) == before:
        return nodule
    _unless_it_stands(nodule, lambda: nodule.save(update_fields=["x", "y", "z", "diameter_mm"]))
    detail = {"before": before, "after": _said(nodule)}
    _trace(study, "nodule_moved", nodule.series.case, by, now, detail)
    return nodule


@transaction.atomic
def remove_nodule(*, study: Study, nodule_id: int, by: User, now: datetime) -> None:
    """Take a nodule away; those after it move up.

    Raises:
        Nodule.DoesNotExist: there is no such nodule.
        StudyFrozen: the cases are dealt out.
        CaseStands: its truth is known, or the AI was asked about it.
    """
    study = _may_change(study)
    nodule = Nodule.objects.of_study(study).select_related("series__case").get(pk=nodule_id)
    before = _said(nodule)
    delete = "delete from reader_study_nodule where id = %s"
    _unless_it_stands(nodule, lambda: _delete(delete, of=nodule.pk))
    left = list(Nodule.objects.filter(series__case=nodule.series.case_id).order_by("number"))
    for number, one in enumerate(left, start=1):
        one.number = number
    Nodule.objects.bulk_update(left, ["number"])
    _trace(study, "nodule_removed", nodule.series.case, by, now, {"before": before})


class Listed(NamedTuple):
    """What a list of nodules came to, or would."""

    added: Mapping[str, int]  # nodules by the case's pseudonym
    problems: list[Problem]


def import_nodules(
    *, study: Study, text: str, name: str, by: User, now: datetime, dry_run: bool
) -> Listed:
    """Add the nodules of a list to cases that are in the study; bad lines are reported.

    Lines may name series by their original UIDs or as they are stored. The reference standard
    is not taken from here: the web server has no right to it.

    Raises:
        ImportRefused: the list cannot be read as a whole.
        StudyFrozen: the cases are dealt out.
    """
    try:
        listed = parse_nodules(text, name)
    except UnreadableList as error:
        raise ImportRefused(f"{error}.") from None
    with transaction.atomic():
        study = _may_change(study)
        here = list(Series.objects.filter(case__study=study).current().select_related("case"))
        rows = without_truth(as_in_study(listed, study)).nodules
        problems = [Problem(one.code, one.detail, f"line {one.line}") for one in listed.bad]
        problems += [
            Problem("unknown_series", "series come in by an import, not here", f"line {row.line}")
            for row in listed.series
        ]
        placed = place_nodules(rows, problems, [_report(one) for one in here])
        added: dict[str, int] = {}
        for series in here:
            if series.series_uid in placed.accepted:
                new = add_nodules(study, series, placed, now)
                if new:
                    added[series.case.pseudonym] = added.get(series.case.pseudonym, 0) + new
        if added:
            CaseChange.objects.create(
                study=study, kind="nodules_listed", detail={"added": added}, by=by, at=now
            )
        transaction.set_rollback(dry_run)
    placed.problems.sort(key=lambda one: _line(one.where))
    return Listed(added, placed.problems)


def _line(where: str) -> int:
    words = where.replace(",", " ").split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _report(series: Series) -> SeriesReport:
    """Say of a series of the study what an import says of one it finds."""
    return SeriesReport(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        patient="",
        frame_of_reference_uid=series.frame_of_reference_uid,
        files=(),
        transfer_syntaxes=(),
        geometry=_geometry(series.volume) if series.volume else None,
        problems=(),
    )


def _geometry(volume: Volume) -> Geometry:
    along_row, along_column, onward = (np.asarray(axis) for axis in volume.axes)
    column_mm, row_mm, slice_mm = volume.steps_mm
    columns, rows, slices = volume.counts
    first, normal = np.asarray(volume.first), np.asarray(volume.normals[2])
    return Geometry(
        *(rows, columns, slices, row_mm, column_mm, slice_mm),
        *(first, along_row, along_column, normal, onward, volume.places_mm),
    )


def _may_change(study: Study) -> Study:
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.allocated_at is not None:
        raise StudyFrozen("The cases of this study are dealt out; they stay as they are.")
    return study


def _place(series: Series, point: object) -> tuple[float, float, float]:
    if not isinstance(point, list) or not is_point(point):
        raise ImportRefused("A point has three numbers, in millimetres.")
    if series.volume is not None and not series.volume.holds(point):
        raise ImportRefused("The point lies outside of the images.")
    x, y, z = (round(float(value), 2) for value in point)
    return x, y, z


def _diameter(value: object) -> float | None:
    if value is None or value == "":
        return None
    low, high = DIAMETER_MM
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return round(float(value), 1)
    raise ImportRefused(f"A diameter is a number from {low:g} to {high:g} mm.")


def _delete(*statements: str, of: int) -> None:
    """Delete rows, or none of them where others speak of one.

    Django would look for those first, also in the tables of the truth, to which the site has no
    right; the database knows.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, [of])
        cursor.execute("set constraints all immediate")
        cursor.execute("set constraints all deferred")


def _unless_it_stands(nodule: Nodule, change: Any) -> None:
    """Change a nodule unless the database refuses."""
    try:
        with transaction.atomic():
            change()
    except IntegrityError:
        raise CaseStands(
            f"Nodule {nodule.number} stays as it is: its truth is known already, or the panel "
            "or the AI was asked about it."
        ) from None


def _said(nodule: Nodule) -> dict[str, Any]:
    return {
        "number": nodule.number,
        "label": nodule.label,
        "centre_mm": list(nodule.centre_mm),
        "diameter_mm": nodule.diameter_mm,
    }


def _trace(
    study: Study, kind: str, case: Case, by: User, now: datetime, detail: dict[str, Any]
) -> None:
    CaseChange.objects.create(
        study=study, kind=kind, case=case.pseudonym, detail=detail, by=by, at=now
    )
