"""What a list of nodules and a folder, or the archive, come to, before anything is written."""

from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from reader_study.dicomweb.archive import Archive
from reader_study.dicomweb.errors import ArchiveError
from reader_study.dicomweb.examinations import Examinations, of_one_patient, place_series
from reader_study.dicomweb.ingest import Findings
from reader_study.dicomweb.metadata import day_of, value_of
from reader_study.dicomweb.nodules import NoduleList, UnreadableList, read_nodules
from reader_study.dicomweb.placing import NoduleReport, place_nodules
from reader_study.dicomweb.problems import Problem
from reader_study.dicomweb.search import Search
from reader_study.dicomweb.uids import is_uid
from reader_study.domain.errors import Refusal
from reader_study.models import Series, Study


class CannotImport(Refusal):
    """The list of nodules cannot be read, or the archive does not answer."""

    code = "cannot_import"


def wanted_of(archive: Archive, listed: NoduleList) -> list[tuple[str, str]]:
    """Return the studies and series that lines name; a study without a series has all of its CT."""
    wanted = [(row.study_uid, row.series_uid) for row in listed.nodules]
    for row in listed.series:
        if row.series_uid:
            wanted.append((row.study_uid, row.series_uid))
        elif is_uid(row.study_uid):
            search = Search({"StudyInstanceUID": row.study_uid, "Modality": "CT"})
            for one in archive.search_series(search):
                wanted.append((row.study_uid, str(value_of(one, "0020000E"))))
    return list(dict.fromkeys(wanted))


def read_list(nodules: Path) -> tuple[NoduleList, list[Problem]]:
    """Read a list of nodules and what is wrong with its lines.

    Raises:
        CannotImport: it cannot be read as a whole.
    """
    try:
        listed = read_nodules(nodules)
    except UnreadableList as error:
        raise CannotImport(str(error)) from error
    return listed, [Problem(one.code, one.detail, f"line {one.line}") for one in listed.bad]


class Plan(NamedTuple):
    """What is to be brought in: nodules by series, further series, and what lines name at all."""

    nodules: NoduleReport
    examinations: Examinations
    named: Collection[str]


def plan_import(
    listed: NoduleList,
    problems: Sequence[Problem],
    findings: Findings,
    study: Study | None,
    archive: Archive,
) -> Plan:
    """Say what the lines of a list come to; without a study, what they would in an empty one."""
    placed = place_nodules(listed.nodules, problems, findings.series)
    examinations = place_series(
        listed.series,
        findings.series,
        placed,
        cases=_days_of_cases(study, listed, archive) if study else {},
        empty_cases=study is None or study.rules.findings.has_marks,
    )
    placed.problems += of_one_patient(findings.series, examinations)
    # Whatever becomes of the lines that name them.
    named = {row.series_uid for row in listed.nodules}
    named |= {row.series_uid for row in listed.series if row.series_uid}
    whole = {row.study_uid for row in listed.series if not row.series_uid}
    named |= {one.series_uid for one in findings.series if one.study_uid in whole}
    return Plan(placed, examinations, named)


def _days_of_cases(study: Study, listed: NoduleList, archive: Archive) -> dict[str, date | None]:
    """Return the studies that are cases, and the dates of those that lines name, by the archive."""
    wanted = {row.prior_of for row in listed.series}
    days: dict[str, date | None] = {}
    for one in Series.objects.filter(case__study=study).current():
        days.setdefault(one.study_uid, None)
        if one.study_uid in wanted and days[one.study_uid] is None:
            try:
                headers = archive.series_metadata(one.study_uid, one.series_uid)
            except ArchiveError:
                continue
            days[one.study_uid] = day_of(str(value_of(headers[0], "00080020") or ""))
    return days
