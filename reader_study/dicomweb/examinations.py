"""Which examination of a case a series belongs to: the one that is read, or an earlier one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.nodules import SeriesRow
from reader_study.dicomweb.placing import NoduleReport
from reader_study.dicomweb.problems import Problem


class Prior(NamedTuple):
    """A series as one of an earlier examination of the case whose study is `of`."""

    line: int
    of: str
    days_before: int | None


@dataclass
class Examinations:
    """What the lines about further series come to, by series UID."""

    current: set[str] = field(default_factory=set)
    priors: dict[str, list[Prior]] = field(default_factory=dict)

    @property
    def studies(self) -> set[str]:
        """The cases' studies that have earlier examinations."""
        return {prior.of for priors in self.priors.values() for prior in priors}

    def __contains__(self, series_uid: str) -> bool:
        return series_uid in self.current or series_uid in self.priors


def place_series(
    rows: Iterable[SeriesRow],
    series: Sequence[SeriesReport],
    report: NoduleReport,
    *,
    cases: Mapping[str, date | None],
    empty_cases: bool,
) -> Examinations:
    """Put further series into examinations; what is wrong is noted in `report`.

    Parameters
    ----------
    report : the nodules, which make their examinations cases
    cases : the studies that are cases already, and their dates
    empty_cases : whether an examination without nodules is a case, too
    """
    rows = list(rows)
    with_nodules = {one.study_uid for one in series if one.series_uid in report.accepted}
    read = with_nodules | set(cases)
    if empty_cases:
        priors = {row.study_uid for row in rows if row.prior_of}
        read |= {one.study_uid for one in series if not one.refusals} - priors
    days = dict(cases) | {one.study_uid: one.day for one in series if one.study_uid not in cases}
    placed = Examinations()
    for row in rows:

        def say(code: str, detail: str, row: SeriesRow = row) -> None:
            report.problems.append(Problem(code, detail, f"line {row.line}"))

        of_study = [one for one in series if one.study_uid == row.study_uid]
        found = [one for one in of_study if row.series_uid in ("", one.series_uid)]
        sound = [one for one in found if not one.refusals and one.geometry is not None]
        of = row.prior_of or row.study_uid
        days_before = row.days_before
        if not found:
            what = f"series {row.series_uid[:64]}" if of_study else f"study {row.study_uid[:64]}"
            say("unknown_series", f"there is no {what}")
            continue
        if not sound:
            say("series_refused", "its series is refused")
            continue
        if of not in read:
            says = "prior_of names" if row.prior_of else "it belongs to"
            say("unknown_examination", f"{says} no case of this study and none of this list")
            continue
        if row.prior_of and row.study_uid in read:
            say("prior_is_a_case", "it is a case of its own, and would be read twice")
            continue
        if row.patient and any(one.patient not in ("", row.patient) for one in sound):
            say("other_patient", "the images name another patient")
        if not row.prior_of:
            placed.current.update(one.series_uid for one in sound)
            continue
        now, then = days.get(of), sound[0].day
        apart = (now - then).days if now and then else None
        if days_before is None:
            if apart is not None and apart < 0:
                say("prior_is_later", f"it was made {-apart} days after the one it is to precede")
                continue
            if apart is None:
                say("unknown_interval", "no dates, and no days: readers see that it is earlier")
            days_before = apart
        elif apart is not None and apart != days_before:
            say("other_dates", f"by their dates they are {apart} days apart; days counts")
        for one in sound:
            priors_of_one = placed.priors.setdefault(one.series_uid, [])
            priors_of_one.append(Prior(row.line, of, days_before))
    return placed


def of_one_patient(series: Sequence[SeriesReport], placed: Examinations) -> list[Problem]:
    """Note patients with examinations of which no line says which is the prior of which."""
    studies: dict[str, dict[str, SeriesReport]] = {}
    for one in series:
        if one.patient and not one.refusals:
            studies.setdefault(one.patient, {}).setdefault(one.study_uid, one)
    told = placed.studies | {one.study_uid for one in series if one.series_uid in placed.priors}
    notes = []
    for patient, found in sorted(studies.items()):
        if len(found) > 1 and not told & set(found):
            by_day = sorted(found.values(), key=lambda one: (one.day or date.min, one.study_uid))
            named = ", ".join(f"{one.study_uid} ({one.day or 'no date'})" for one in by_day)
            notes.append(
                Problem(
                    "several_examinations",
                    f"has several examinations: {named}; a line with prior_of makes one the "
                    "prior of another",
                    f"patient {patient}",
                )
            )
    return notes
