"""The work of an import, done by the site's worker: series by series, each whole or not at all.

What is done is written down after every series, so that a worker that dies costs the series it
was at; and a long import lets others have their turn: what is left is put on the queue again.
"""

import logging
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from reader_study.actions.archive_search import upstream
from reader_study.actions.cases import Outcome, import_series
from reader_study.actions.imports import ENDED, LEASE, bounds, clean_name, send, staging
from reader_study.actions.originals import keys, stored_list, without_truth
from reader_study.dicomweb.deidentify import Doubt
from reader_study.dicomweb.errors import ArchiveError
from reader_study.dicomweb.ingest import look_at_series
from reader_study.dicomweb.multiframe import slices_of
from reader_study.dicomweb.nodules import NoduleList, parse_nodules
from reader_study.dicomweb.problems import Problem, Verdict
from reader_study.dicomweb.profile import Profile
from reader_study.dicomweb.slices import content_of
from reader_study.dicomweb.staging import (
    CannotBringIn,
    Found,
    Group,
    cleaned,
    files_below,
    folder_below,
    grouped,
    is_zip,
    keep,
    kept,
    must_have_room,
    unpacked,
)
from reader_study.domain.errors import Refusal
from reader_study.models import (
    ImportJob,
    ImportProblem,
    ImportSeries,
    ImportSource,
    ImportState,
    Series,
    SeriesState,
)
from reader_study.models.imports import NAME_LIMIT

TURN_S = 20.0  # then others have theirs
BEAT_S = 1.0

log = logging.getLogger(__name__)


class _Ended(Exception):
    """Somebody cancelled the import, or another worker has it."""


def run_import(*, job_id: int, clock: Callable[[], datetime] = timezone.now) -> None:
    """Do the work of an import, or a part of it; whatever else runs it is waited for."""
    job = _take(job_id, clock())
    if job is None:
        return
    try:
        _Run(job, clock).go()
    except _Ended:
        log.info("import %s was ended", job_id)
        _forget_if_cancelled(job)
    except (CannotBringIn, ArchiveError, Refusal) as error:
        _stop(job, str(error), clock())
    except OSError as error:
        if _forget_if_cancelled(job):
            return  # its files were taken away
        _stop(job, f"The server could not keep a file: {error.strerror or error}.", clock())


@transaction.atomic
def _take(job_id: int, now: datetime) -> ImportJob | None:
    job = ImportJob.objects.select_for_update().select_related("study").get(pk=job_id)
    busy = job.state == ImportState.RUNNING and job.lease_until and job.lease_until > now
    if job.state in (*ENDED, ImportState.RECEIVING) or busy:
        return None
    job.state, job.lease_until = ImportState.RUNNING, now + LEASE
    job.save(update_fields=["state", "lease_until"])
    return job


def _forget_if_cancelled(job: ImportJob) -> bool:
    """Remove what was written after an import was cancelled, and the rest of its files."""
    cancelled = ImportJob.objects.filter(pk=job.pk, state=ImportState.CANCELLED).exists()
    if cancelled:
        shutil.rmtree(staging(job.pk), ignore_errors=True)
    return cancelled


def _stop(job: ImportJob, why: str, now: datetime) -> None:
    ImportJob.objects.filter(pk=job.pk, state=ImportState.RUNNING).update(
        state=ImportState.FAILED, detail=why, ended_at=now, lease_until=None
    )


class _Run:
    """One turn of an import."""

    def __init__(self, job: ImportJob, clock: Callable[[], datetime]) -> None:
        self.job = job
        self.clock = clock
        self.folder = staging(job.pk)
        self.until = time.monotonic() + TURN_S
        self.told = 0.0
        self.profile = None if job.profile is None else Profile.of(job.profile)
        self.keys = keys()

    def go(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        groups = self._groups()
        waiting = ImportSeries.objects.filter(job=self.job, state=SeriesState.WAITING)
        by_uid = {self._stored_as(group.series_uid): group for group in groups}
        listed = self._listed()
        for found in sorted(waiting, key=lambda one: self._turn(one, listed)):
            if time.monotonic() > self.until:
                self._hand_on()
                return
            self._bring_in(found, by_uid[found.series_uid], listed)
        self._end()

    def _turn(self, found: ImportSeries, listed: NoduleList) -> tuple[bool, bool, str]:
        """Return when a series has its turn: nodules make cases, which others are added to.

        Otherwise in an order that tells nothing of that of the folder.
        """
        about = listed.about([(found.study_uid, found.series_uid)])
        is_prior = any(row.prior_of for row in about.series)
        return is_prior, not about.nodules, self.keys.uid(found.series_uid)

    # What is there

    def _groups(self) -> list[Group]:
        path = self.folder / "series.json"
        if path.exists():
            return kept(path)
        files, problems = self._files()
        most = bounds()
        if len(files) > most.files:
            raise CannotBringIn(
                f"{len(files):,} files are more than the {most.files:,} that an import brings."
            )
        groups, bad = grouped(files, self._beat)
        self._tell([*problems, *bad])
        ImportSeries.objects.bulk_create(
            [
                ImportSeries(
                    job=self.job,
                    study_uid=self._stored_as(group.study_uid),
                    series_uid=self._stored_as(group.series_uid),
                    files=len(group.files),
                )
                for group in groups
            ],
            ignore_conflicts=True,
        )
        self.job.of = sum(len(group.files) for group in groups)
        self.job.save(update_fields=["of"])
        keep(path, groups)
        return groups

    def _files(self) -> tuple[list[Found], list[Problem]]:
        if self.job.source == ImportSource.FOLDER:
            listed = list(files_below(folder_below(settings.IMPORT_DIR, self.job.origin)))
        elif self.job.source == ImportSource.ARCHIVE:
            listed = list(self._fetched())
        else:
            sent = self.job.sent.exclude(digest="").order_by("path")
            listed = [Found(self.folder / "files" / one.digest, one.path) for one in sent]
        files: list[Found] = []
        problems: list[Problem] = []
        for number, one in enumerate(listed):
            self._beat("looking at files", number, len(listed))
            if isinstance(one, Problem):
                problems.append(one)
            elif is_zip(one.path):
                into = self.folder / "unpacked" / one.path.name / str(number)
                within, bad = unpacked(one, into, bounds(), self._beat)
                files += within
                problems += bad
            else:
                files.append(one)
        return files, problems

    def _fetched(self) -> list[Found]:
        archive = upstream()
        found: list[Found] = []
        for number, (study_uid, series_uid) in enumerate(self.job.wanted):
            into = self.folder / "fetched" / str(number)
            whole = into / ".whole"
            if not whole.exists():
                shutil.rmtree(into, ignore_errors=True)
                into.mkdir(parents=True)
                archive.retrieve(study_uid, series_uid, into, partial(self._fetch, into))
                whole.touch()
            found += [Found(path, path.name) for path in sorted(into.glob("*.dcm"))]
        return found

    def _fetch(self, into: Path, done: int) -> None:
        """Hear that another image was fetched, and whether there is room for more."""
        self._beat("fetching images", done, 0)
        must_have_room(into, 0)
        if done > bounds().files:
            raise CannotBringIn(f"A series of more than {bounds().files:,} images is too much.")

    def _listed(self) -> NoduleList:
        """Return the lines of the list under the UIDs that are stored."""
        if not self.job.nodules:
            return NoduleList([], [], [])
        listed = parse_nodules(self.job.nodules, "the list of nodules")
        self._tell([Problem(one.code, one.detail, f"line {one.line}") for one in listed.bad])
        here = set(self.job.found.values_list("study_uid", "series_uid"))
        before = Series.objects.filter(case__study=self.job.study)
        pairs = here | set(before.values_list("study_uid", "series_uid"))
        known = {uid for pair in pairs for uid in pair}
        # The desk cannot load the truth that lines may tell.
        keys_used = self.keys if self.profile else None
        listed = without_truth(stored_list(listed, known, keys_used))
        used = listed.about(here)
        lines = {row.line for row in listed.nodules} | {row.line for row in listed.series}
        lines -= {row.line for row in used.nodules} | {row.line for row in used.series}
        self._tell(
            [
                Problem("unknown_series", "no such series was found", f"line {line}")
                for line in sorted(lines)
            ]
        )
        return used

    def _stored_as(self, uid: str) -> str:
        return uid if self.profile is None else self.keys.uid(uid)

    # One series

    def _bring_in(self, found: ImportSeries, group: Group, listed: NoduleList) -> None:
        clean = self.folder / "clean" / str(found.pk)
        files, doubts = self._clean(found, group, clean)
        if doubts and not found.looked:
            found.state, found.doubts = SeriesState.HELD, doubts
            found.said = "its images have to be looked at: they may show who the patient is"
            self._write(found, group)
            return
        findings = look_at_series(files, clean)
        names = {path.name: group.files[int(path.stem[:6])].name for path in files}
        self._tell([_named(one, names) for one in findings.set_aside])
        report = import_series(
            study=self.job.study,
            findings=findings,
            listed=listed,
            without_nodules=self.job.without_nodules,
            now=self.clock(),
            progress=self._beat,
        )
        self._tell(report.nodules.problems)
        if report.outcomes:
            outcome = report.outcomes[0]
            found.said = _said(outcome)
            found.state = SeriesState.IMPORTED if outcome.is_in else SeriesState.REFUSED
            self._tell([_named(one, names) for one in outcome.series.problems])
        else:
            found.said, found.state = "none of its files can be read", SeriesState.REFUSED
        found.series = Series.objects.filter(
            case__study=self.job.study, series_uid=found.series_uid
        ).first()
        self._write(found, group)
        shutil.rmtree(clean, ignore_errors=True)
        if self.job.source != ImportSource.FOLDER:
            for file in group.files:
                file.path.unlink(missing_ok=True)

    def _clean(
        self, found: ImportSeries, group: Group, clean: Path
    ) -> tuple[list[Path], list[list[object]]]:
        """Write the files of a series as they will be stored, and why to look at its images."""
        shutil.rmtree(clean, ignore_errors=True)
        clean.mkdir(parents=True, mode=0o700)
        must_have_room(clean, sum(_size(file.path) for file in group.files))
        files: list[Path] = []
        doubts: dict[str, list[object]] = {}
        for number, file in enumerate(group.files):
            self._beat("de-identifying" if self.profile else "reading", number, len(group.files))
            content = content_of(file.path, file.name)
            if isinstance(content, Problem):
                self._tell([content])
                continue
            made = self._write_slices(found, file, content, (clean, number))
            if isinstance(made, Problem):
                self._tell([made])
                continue
            written, doubted = made
            files += written
            for code, detail in doubted:
                doubts.setdefault(code, [code, detail, []])[2].append(number)  # type: ignore[attr-defined]
        return files, list(doubts.values())

    def _write_slices(
        self, found: ImportSeries, file: Found, content: bytes, place: tuple[Path, int]
    ) -> tuple[list[Path], list[Doubt]] | Problem:
        """Write the slices of a file, mostly one, and return why to look at it before.

        `place`: the folder, and the file's number.
        """
        folder, number = place
        slices = slices_of(content, file.name)
        if isinstance(slices, Problem):
            return slices
        written: list[Path] = []
        problem, doubts = None, list[Doubt]()
        try:
            for part, one in enumerate(slices):
                clean, doubts = cleaned(one, self.profile, self.keys, looked=found.looked)
                written.append(folder / clean_name(number, part))
                written[-1].write_bytes(clean)
                if doubts and one is not content:
                    said = f"{doubts[0].detail}; send it as one file a slice, to be looked at"
                    problem = Problem("burned_in", said, file.name)
                    break
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  damaged bytes raise anything
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            problem = Problem("not_dicom", f"is a damaged DICOM file ({reason})", file.name)
        if problem is None:
            return written, doubts
        for path in written:
            path.unlink(missing_ok=True)
        return problem

    # What is told

    def _write(self, found: ImportSeries, group: Group) -> None:
        found.save(update_fields=["state", "said", "doubts", "series"])
        self.job.done = min(self.job.of, self.job.done + len(group.files))
        self.job.attempts = 0
        ImportJob.objects.filter(pk=self.job.pk).update(done=self.job.done, attempts=0)

    def _tell(self, problems: list[Problem]) -> None:
        ImportProblem.objects.bulk_create(
            [
                ImportProblem(
                    job=self.job,
                    where=one.where.replace("\0", "")[:NAME_LIMIT],
                    code=one.code,
                    detail=one.detail.replace("\0", "")[:NAME_LIMIT],
                )
                for one in problems
            ],
            ignore_conflicts=True,
        )

    def _beat(self, what: str, done: int, of: int) -> None:
        """Say that the worker lives, and hear whether it is still wanted."""
        if time.monotonic() - self.told < BEAT_S:
            return
        self.told = time.monotonic()
        step = f"{what}: {done} of {of}" if of else what
        alive = ImportJob.objects.filter(pk=self.job.pk, state=ImportState.RUNNING).update(
            step=step[:200], lease_until=self.clock() + LEASE
        )
        if not alive:
            raise _Ended

    def _hand_on(self) -> None:
        if ImportJob.objects.filter(pk=self.job.pk, state=ImportState.RUNNING).update(
            state=ImportState.WAITING, lease_until=self.clock() + LEASE
        ):
            send(self.job)

    def _end(self) -> None:
        now = self.clock()
        ended = ImportJob.objects.filter(pk=self.job.pk, state=ImportState.RUNNING).update(
            state=ImportState.DONE, ended_at=now, lease_until=None, step=""
        )
        held = ImportSeries.objects.filter(job=self.job, state=SeriesState.HELD).exists()
        if ended and not held:
            shutil.rmtree(self.folder, ignore_errors=True)


def _said(outcome: Outcome) -> str:
    refusals = "; ".join(map(str, outcome.series.refusals))
    return f"refused: {refusals}" if refusals else outcome.said


def _named(problem: Problem, names: dict[str, str]) -> Problem:
    """Tell a problem by the name a file came with."""
    first, _, rest = problem.where.partition(" ")
    where = names.get(problem.where) or (f"{names[first]} {rest}" if first in names else "")
    for ours, theirs in names.items():
        if not where and ours in problem.where:
            where = problem.where.replace(ours, theirs)
    return Problem(problem.code, problem.detail, where or problem.where)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_warning(problem: ImportProblem) -> bool:
    """Tell whether what it is about was imported all the same."""
    return Problem(problem.code, problem.detail).verdict is Verdict.WARNS
