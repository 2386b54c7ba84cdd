"""Bringing cases in: images into the archive, rows into the database."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db import transaction

from reader_study.actions.listing import (
    CannotImport,
    Plan,
    plan_import,
    read_list,
    wanted_of,
)
from reader_study.actions.originals import as_in_study, keys, stored_list
from reader_study.actions.registering import ordering_secret, register, register_priors
from reader_study.dicomweb.archive import Archive, open_archive
from reader_study.dicomweb.errors import ArchiveError, CannotStore, NotInArchive, UndecodablePixels
from reader_study.dicomweb.ingest import Findings, look_at, look_at_series
from reader_study.dicomweb.judging import SeriesReport
from reader_study.dicomweb.lidc import nodules_of
from reader_study.dicomweb.nodules import NoduleList, NoduleRow
from reader_study.dicomweb.placing import NoduleReport
from reader_study.dicomweb.problems import Problem, Verdict
from reader_study.dicomweb.profile import Profile
from reader_study.dicomweb.staging import clean_folder
from reader_study.domain.errors import StudyFrozen
from reader_study.models import Series, Study

Progress = Callable[[str, int, int], None]  # (what is being done, done, in all)


@dataclass
class Outcome:
    """What became of one series: in words, and whether it is in the study now."""

    series: SeriesReport
    said: str
    is_in: bool

    def __str__(self) -> str:
        return self.series.line(self.said)


@dataclass
class ImportReport:
    """What was imported, what was not, and why."""

    findings: Findings
    nodules: NoduleReport
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused, and every file could be opened."""
        refused = any(outcome.series.refusals or not outcome.is_in for outcome in self.outcomes)
        return self.findings.looked_at_everything and not refused and not self.nodules.refusals

    def lines(self) -> list[str]:
        """Say it line by line: files set aside, series, nodules."""
        return [*self.findings.lines(), *map(str, self.outcomes), *nodule_lines(self.nodules)]


def nodule_lines(report: NoduleReport) -> list[str]:
    """Say what is wrong with nodules, a line each."""
    words = {Verdict.REFUSES: "refused", Verdict.WARNS: "note", Verdict.SETS_ASIDE: "set aside"}
    return [f"{words[problem.verdict]}: {problem}" for problem in report.problems]


def site_archive() -> Archive:
    """Open the archive of the settings."""
    return open_archive(
        url=settings.ARCHIVE_URL,
        token=settings.ARCHIVE_TOKEN,
        folder=settings.ARCHIVE_DIR,
        most_bytes=settings.CACHE_GB * 1e9,
    )


def import_cases(
    *,
    study: Study,
    folder: Path,
    nodules: Path,
    now: datetime,
    progress: Progress | None = None,
    profile: Profile | None = None,
) -> ImportReport:
    """Import the series of a folder that a list of nodules names.

    Lines without a nodule bring further series in, of the same examination as a case's nodules
    or of an earlier one. Where readers mark what they find, series that no line names are cases
    without nodules, provided that every line can be used.
    Problems are collected, and what is sound is imported; the same again changes nothing.
    With a `profile`, images are de-identified first, and the list names the originals.

    Raises:
        CannotImport: the list of nodules cannot be read.
        StudyFrozen: the cases are dealt out already, and this would add to them.
    """
    listed, problems = read_list(nodules)
    if profile is not None:
        return _import_deidentified(study, folder, nodules, now, progress, profile)
    with _room_for_slices() as slices:
        read = _about(progress, "reading files")
        findings = look_at(folder, read, besides=nodules, slices=slices)
        archive = site_archive()
        plan = plan_import(listed, problems, findings, study, archive)
        return _bring_in(study, findings, plan, archive, now, progress)


@contextmanager
def _room_for_slices() -> Iterator[Path]:
    """Lend a folder for the slices of files that hold several; it goes when they are stored."""
    settings.STAGING_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=settings.STAGING_DIR) as name:
        yield Path(name)


def _import_deidentified(
    study: Study,
    folder: Path,
    nodules: Path,
    now: datetime,
    progress: Progress | None,
    profile: Profile,
) -> ImportReport:
    listed, problems = read_list(nodules)
    listed = stored_list(listed, set(), keys())
    with _room_for_slices() as clean:
        aside = clean_folder(folder, clean, profile, keys(), nodules, progress)
        found = look_at(clean, _about(progress, "reading files"))
        findings = Findings(found.series, (*aside, *found.set_aside))
        archive = site_archive()
        plan = plan_import(listed, problems, findings, study, archive)
        return _bring_in(study, findings, plan, archive, now, progress)


def import_from_archive(
    *, study: Study, nodules: Path, now: datetime, progress: Progress | None = None
) -> ImportReport:
    """Import series that lie in the archive already: those that a list of nodules names.

    The list may name the originals of what the study has de-identified: so their truth comes in.

    Raises:
        CannotImport: the list of nodules cannot be read, or the archive does not answer.
        StudyFrozen: the cases are dealt out already, and this would add to them.
    """
    listed, problems = read_list(nodules)
    listed = as_in_study(listed, study)
    archive = site_archive()
    found: list[SeriesReport] = []
    aside: list[Problem] = []
    try:
        wanted = wanted_of(archive, listed)
    except ArchiveError as error:
        raise CannotImport(str(error)) from error
    for done, (study_uid, series_uid) in enumerate(wanted):
        try:
            folder = archive.folder(study_uid, series_uid)
        except NotInArchive:
            continue  # its lines are said to be of an unknown series
        except ArchiveError as error:
            raise CannotImport(str(error)) from error
        looked = look_at_series(sorted(folder.glob("*.dcm")), folder)
        found += looked.series
        aside += looked.set_aside
        if progress:
            progress("fetching series", done + 1, len(wanted))
    findings = Findings(tuple(found), tuple(aside))
    plan = plan_import(listed, problems, findings, study, archive)
    return _bring_in(study, findings, plan, archive, now, progress)


def import_series(
    *,
    study: Study,
    findings: Findings,
    listed: NoduleList,
    without_nodules: bool,
    now: datetime,
    progress: Progress | None = None,
) -> ImportReport:
    """Import series that were looked at already, with those lines of a list that are about them.

    `without_nodules` brings in series that no line names, too.

    Raises:
        StudyFrozen: the cases are dealt out already, and this would add to them.
    """
    archive = site_archive()
    about = listed.about({(one.study_uid, one.series_uid) for one in findings.series})
    plan = plan_import(about, [], findings, study, archive)
    return _bring_in(study, findings, plan, archive, now, progress, without_nodules)


def import_lidc(
    *, study: Study, folder: Path, now: datetime, progress: Progress | None = None
) -> ImportReport:
    """Import the LIDC-IDRI series of a folder, with the nodules and scores of its readers.

    Raises:
        StudyFrozen: the cases are dealt out already, and this would add to them.
    """
    findings = look_at(folder, _about(progress, "reading files"))
    rows: list[NoduleRow] = []
    unknown = []
    for series in findings.series:
        known = nodules_of(series)
        if known is None:
            unknown.append(
                Problem("unknown_series", "is no series of LIDC-IDRI", series.series_uid)
            )
        rows += known or []
    archive = site_archive()
    plan = plan_import(NoduleList(rows, [], []), unknown, findings, study, archive)
    return _bring_in(study, findings, plan, archive, now, progress)


def check_import(
    *, folder: Path, nodules: Path | None, progress: Progress | None = None
) -> tuple[Findings, NoduleReport]:
    """Say what an import would do, without doing it.

    Raises:
        CannotImport: the list of nodules cannot be read.
    """
    listed, problems = read_list(nodules) if nodules else (NoduleList([], [], []), [])
    with _room_for_slices() as slices:
        read = _about(progress, "reading files")
        findings = look_at(folder, read, besides=nodules, slices=slices)
    return findings, plan_import(listed, problems, findings, None, site_archive()).nodules


def _about(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return (lambda done, of: progress(what, done, of)) if progress else None


def _bring_in(
    study: Study,
    findings: Findings,
    plan: Plan,
    archive: Archive,
    now: datetime,
    progress: Progress | None,
    without_nodules: bool | None = None,
) -> ImportReport:
    placed, examinations = plan.nodules, plan.examinations
    report = ImportReport(findings, placed)
    may_be_without = without_nodules
    if may_be_without is None:
        # A line that cannot be used may have been the one of a nodule in such a series.
        may_be_without = study.rules.findings.has_marks and not placed.refusals
    wanted = [
        one
        for one in findings.series
        if one.series_uid in placed.accepted
        or one.series_uid in examinations
        or (may_be_without and not one.refusals and one.series_uid not in plan.named)
    ]
    _refuse_if_dealt_out(study, wanted)
    stored = []
    for series in findings.series:
        if series.refusals:
            report.outcomes.append(Outcome(series, "", is_in=False))
        elif series not in wanted:
            said = "not imported: no line that can be used brings it in"
            report.outcomes.append(Outcome(series, said, is_in=False))
        else:
            try:
                what = _about(progress, f"storing {series.series_uid}")
                archive.store(series.study_uid, series.series_uid, series.files, what)
                stored.append(series)
            except (CannotStore, UndecodablePixels) as error:
                report.outcomes.append(Outcome(series, f"not imported: {error}", is_in=False))
    with transaction.atomic():
        # One import at a time numbers the cases.
        study = Study.objects.select_for_update().get(pk=study.pk)
        _refuse_if_dealt_out(study, stored)  # it may have happened while images were stored
        # Cases first: an earlier examination needs the one that it is earlier than.
        in_order = sorted(
            stored,
            key=lambda one: (one.series_uid in examinations.priors, ordering_secret(one.study_uid)),
        )
        for series in in_order:
            if series.series_uid in examinations.priors:
                said = register_priors(study, series, plan)
            else:
                said = register(study, series, placed, now)
            none = "not imported: see its line below"
            report.outcomes.append(Outcome(series, said or none, is_in=bool(said)))
    return report


def _refuse_if_dealt_out(study: Study, wanted: Sequence[SeriesReport]) -> None:
    here = set(
        Series.objects.filter(case__study=study).values_list("series_uid", flat=True).distinct()
    )
    new = [one for one in wanted if one.series_uid not in here]
    if new and Study.objects.get(pk=study.pk).allocated_at is not None:
        raise StudyFrozen(
            f"The cases of this study are dealt out; {len(new)} new series cannot be added."
        )
