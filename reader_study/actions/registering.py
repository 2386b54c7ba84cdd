"""The rows of what came in: cases, series, nodules, and their truth."""

import hmac
from datetime import datetime
from typing import Any

from django.conf import settings

from reader_study.actions.listing import Plan
from reader_study.actions.reference import load_reference
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import NoduleRow
from reader_study.dicomweb.placing import NoduleReport
from reader_study.dicomweb.problems import Problem, counted
from reader_study.models import Case, CaseChange, Nodule, Series, Study

# Coordinates written to a file and read again may differ in the last place.
SAME_PLACE_MM = 1e-3


def register(study: Study, found: SeriesReport, placed: NoduleReport, now: datetime) -> str:
    """Write the rows of a series and say what was done."""
    series = Series.objects.filter(case__study=study, series_uid=found.series_uid).current().first()
    is_new = series is None
    if series is None:
        series = _create_series(_case_of(study, found), found)
    added = add_nodules(study, series, placed, now)
    name = series.case.pseudonym
    nodules = counted(added, "nodule")
    if is_new:
        return f"imported as {name} with {nodules}"
    return f"imported before as {name}" + (f", now with {nodules} more" if added else "")


def add_nodules(study: Study, series: Series, placed: NoduleReport, now: datetime) -> int:
    """Add to a series the nodules that were placed in it; return how many are new."""
    # From the head downwards: the order of a list might tell which ones matter.
    rows = sorted(placed.accepted.get(series.series_uid, ()), key=lambda row: -row.centre_mm[2])
    return sum([_add_nodule(study, series, row, placed, now) for row in rows])


def _create_series(case: Case, found: SeriesReport, **of_prior: Any) -> Series:
    return Series.objects.create(
        case=case,
        study_uid=found.study_uid,
        series_uid=found.series_uid,
        frame_of_reference_uid=found.frame_of_reference_uid,
        slices=len(found.files),
        geometry=found.geometry and found.geometry.volume(),
        kernel=found.kernel,
        **of_prior,
    )


def register_priors(study: Study, found: SeriesReport, plan: Plan) -> str:
    """Write a series as one of earlier examinations, once for each case, and say what was done.

    Nothing is said where nothing could be done; the problems are among those of the lines.
    """
    said = []
    for prior in plan.examinations.priors[found.series_uid]:
        where = f"line {prior.line}"
        series = Series.objects.filter(case__study=study, series_uid=found.series_uid)
        case = Case.objects.filter(
            study=study, series__study_uid=prior.of, series__prior=False
        ).first()
        before = series.filter(case=case).first()
        problem = None
        if case is None:
            problem = ("unknown_examination", "the examination it is to precede did not come in")
        elif before is None and study.allocated_at is not None:
            problem = ("study_dealt_out", "the cases are dealt out; no series can be added")
        elif before is not None and (before.prior, before.days_before) != (True, prior.days_before):
            problem = ("imported_otherwise", "it was imported before with another interval")
        if problem is not None:
            plan.nodules.problems.append(Problem(*problem, where))
        elif before is None:
            assert case is not None  # as above
            _create_series(case, found, prior=True, days_before=prior.days_before)
            said.append(f"imported as a prior of {case.pseudonym}{_interval(prior.days_before)}")
        else:
            said.append(f"imported before as a prior of {before.case.pseudonym}")
    return "; ".join(said)


def _interval(days: int | None) -> str:
    return "" if days is None else f", {counted(days, 'day')} earlier"


def _case_of(study: Study, found: SeriesReport) -> Case:
    """Return the case of an examination; cases are numbered as they come."""
    case = Case.objects.filter(
        study=study, series__study_uid=found.study_uid, series__prior=False
    ).first()
    if case is not None:
        return case
    # No number comes twice, also not that of a case that was taken out.
    removed = CaseChange.objects.filter(study=study, kind="case_removed").count()
    number = Case.objects.filter(study=study).count() + removed + 1
    return Case.objects.create(
        study=study,
        pseudonym=f"Case {number:03}",
        subject=ordering_secret(found.patient or found.study_uid)[:16],
    )


def ordering_secret(text: str) -> str:
    """Return a word that stands for `text`, and an order that tells nothing of it."""
    return hmac.digest(f"{settings.SECRET_KEY}:subject".encode(), text.encode(), "sha256").hex()


def _add_nodule(
    study: Study, series: Series, row: NoduleRow, placed: NoduleReport, now: datetime
) -> bool:
    """Write a nodule and its reference standard; return whether it is new."""

    def refuse(code: str, detail: str) -> None:
        placed.problems.append(Problem(code, detail, f"line {row.line}, nodule {row.label}"))

    nodule = Nodule.objects.filter(series=series, label=row.label).first()
    is_new = nodule is None
    if nodule is None:
        if study.allocated_at is not None:
            refuse("study_dealt_out", "the cases are dealt out; no nodule can be added")
            return False
        x, y, z = row.centre_mm
        nodule = Nodule.objects.create(
            series=series,
            number=Nodule.objects.filter(series__case=series.case_id).count() + 1,
            label=row.label,
            x=x,
            y=y,
            z=z,
            diameter_mm=row.diameter_mm,
        )
    elif _differs(nodule, row):
        refuse("imported_otherwise", "it was imported before with another place or diameter")
        return False
    if row.malignant is not None or row.reference_detail:
        try:
            load_reference(
                nodule=nodule,
                malignant=row.malignant,
                source=row.reference_source or "list of nodules",
                now=now,
                detail=dict(row.reference_detail),
            )
        except ValueError as error:
            refuse("imported_otherwise", str(error))
    return is_new


def _differs(nodule: Nodule, row: NoduleRow) -> bool:
    apart = max(abs(a - b) for a, b in zip(nodule.centre_mm, row.centre_mm, strict=True))
    one, other = nodule.diameter_mm or 0.0, row.diameter_mm or 0.0
    return apart > SAME_PLACE_MM or abs(one - other) > SAME_PLACE_MM
