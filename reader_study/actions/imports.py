"""Imports as rows: asked for, sent file by file, cancelled, gone on with, looked at.

What a browser sends lies in the staging folder of its import until the worker takes it; a file
that was cut off goes on where it ended, and one that is here is not sent again.
"""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, Sum
from kombu.exceptions import OperationalError

import broker
from reader_study.celery import app
from reader_study.dicomweb.nodules import UnreadableList, parse_nodules
from reader_study.dicomweb.profile import Profile
from reader_study.dicomweb.staging import (
    Bounds,
    CannotBringIn,
    folder_below,
    must_have_room,
)
from reader_study.dicomweb.uids import is_uid
from reader_study.domain.errors import ImportRefused, StudyFrozen
from reader_study.models import (
    CaseChange,
    ImportFile,
    ImportJob,
    ImportSeries,
    ImportSource,
    ImportState,
    SeriesState,
    Study,
    User,
)
from reader_study.models.imports import NAME_LIMIT

RUN = "reader_study.run_import"
# A worker that has said nothing for so long is taken for dead.
LEASE = timedelta(seconds=90)
MAX_ATTEMPTS = 5
FORGOTTEN_AFTER = timedelta(days=14)
MOST_AT_ONCE = 1000  # files that one request may name
NODULES_LIMIT = 5_000_000  # characters of a list

ENDED = (ImportState.DONE, ImportState.FAILED, ImportState.CANCELLED)

log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """One file that a browser has: how much of it is here."""

    id: int
    path: str
    size: int
    received: int


def bounds() -> Bounds:
    """Return the most that one import may bring, by the settings."""
    return Bounds(settings.IMPORT_FILES, int(settings.IMPORT_GB * 1e9))


def staging(job_id: int) -> Path:
    """Return where the files of an import lie, for the site alone to read."""
    return settings.STAGING_DIR / str(job_id)


@transaction.atomic
def begin_import(
    *,
    study: Study,
    source: ImportSource,
    by: User,
    now: datetime,
    profile: Profile | None,
    origin: str = "",
    wanted: Sequence[tuple[str, str]] = (),
    nodules: str = "",
    without_nodules: bool = True,
) -> ImportJob:
    """Ask for an import; of an upload, the files come afterwards.

    Parameters
    ----------
    profile : how images are de-identified; None where they are taken as they are.
    origin : of a folder its name below IMPORT_DIR, otherwise in words what is imported.
    wanted : of an archive the (study UID, series UID) that were chosen.
    nodules : the text of a list of nodules, which may name originals.

    Raises:
        ImportRefused: there is no such folder, nothing was chosen, or the list cannot be read.
        StudyFrozen: the cases of the study are dealt out.
    """
    if study.allocated_at is not None:
        raise StudyFrozen("The cases of this study are dealt out; none can be added.")
    if source == ImportSource.FOLDER:
        try:
            folder_below(settings.IMPORT_DIR, origin)
        except CannotBringIn as error:
            raise ImportRefused(str(error)) from None
    if source == ImportSource.ARCHIVE and not (
        wanted and all(is_uid(uid) for pair in wanted for uid in pair)
    ):
        raise ImportRefused("Choose at least one series.")
    if len(nodules) > NODULES_LIMIT:
        raise ImportRefused("The list of nodules is too long.")
    if nodules:
        try:
            parse_nodules(nodules, "the list of nodules")
        except UnreadableList as error:
            raise ImportRefused(f"{error}.") from None
    receiving = source == ImportSource.UPLOAD
    job = ImportJob.objects.create(
        study=study,
        source=source,
        origin=origin[:NAME_LIMIT],
        wanted=[list(pair) for pair in wanted],
        profile=None if profile is None else profile.as_json(),
        nodules=nodules,
        without_nodules=without_nodules,
        state=ImportState.RECEIVING if receiving else ImportState.WAITING,
        by=by,
        asked_at=now,
        lease_until=None if receiving else now + LEASE,
    )
    if not receiving:
        transaction.on_commit(lambda: send(job), robust=True)
    return job


def send(job: ImportJob) -> None:
    """Put an import on the site's queue; what the broker does not take the next sweep sends."""
    try:
        app.signature(RUN, kwargs={"job_id": job.pk}).set(queue=broker.SITE_QUEUE).delay()
    except OperationalError as error:
        log.error("the broker does not answer, the import waits: %s", error)


@transaction.atomic
def name_files(*, job: ImportJob, files: Sequence[tuple[str, int]]) -> list[Sent]:
    """Say which files (path, size) will be sent; return how much of each is here already.

    Raises:
        ImportRefused: they are more, or larger, than an import may bring.
    """
    job = ImportJob.objects.select_for_update().get(pk=job.pk)
    _must_receive(job)
    if len(files) > MOST_AT_ONCE:
        raise ImportRefused(f"Name {MOST_AT_ONCE} files at a time.")
    sizes: dict[str, int] = {}
    for path, size in files:
        if not path or "\0" in path or len(path) > NAME_LIMIT or size < 0:
            raise ImportRefused(f"{path[:100]!r} cannot be the name of a file.")
        sizes[path] = size
    known = {each.path: each for each in ImportFile.objects.filter(job=job, path__in=sizes)}
    for path, each in known.items():
        if each.size != sizes[path]:
            raise ImportRefused(f"{path} was sent before with another size.")
    new = [ImportFile(job=job, path=p, size=s) for p, s in sizes.items() if p not in known]
    ImportFile.objects.bulk_create(new)
    said = ImportFile.objects.filter(job=job).aggregate(total=Sum("size"))
    count, most = ImportFile.objects.filter(job=job).count(), bounds()
    if count > most.files or (said["total"] or 0) > most.total_bytes:
        raise ImportRefused(
            f"An import brings {most.files:,} files of {most.total_bytes / 1e9:g} GB at most; "
            f"these are {count:,} of {(said['total'] or 0) / 1e9:.1f} GB."
        )
    folder = staging(job.pk)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        must_have_room(folder, sum(each.size for each in new))
    except CannotBringIn as error:
        raise ImportRefused(str(error)) from None
    found = [*known.values(), *new]
    return [Sent(each.pk, each.path, each.size, each.received) for each in found]


def receive(*, job: ImportJob, file_id: int, offset: int, content: bytes) -> Sent:
    """Append a part of a file at `offset`; unless what is here ends there, nothing is done.

    Raises:
        ImportFile.DoesNotExist: nobody said that this file would be sent.
        ImportRefused: it is more than the file holds, or the disk is full.
    """
    with transaction.atomic():
        _must_receive(job)
        file = ImportFile.objects.select_for_update().get(job=job, pk=file_id)
        if offset != file.received or offset + len(content) > file.size:
            return Sent(file.pk, file.path, file.size, file.received)
        parts = staging(job.pk) / "parts"
        parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = parts / str(file.pk)
        try:
            with path.open("r+b" if path.exists() else "w+b") as sink:
                sink.truncate(offset)
                sink.seek(offset)
                sink.write(content)
        except OSError as error:
            raise ImportRefused(
                f"{file.path} could not be kept on the server: {error.strerror}. "
                "Make room there; sending goes on where it stopped."
            ) from error
        file.received = offset + len(content)
        if file.received == file.size:
            file.digest = _take_in(path, staging(job.pk) / "files")
        file.save(update_fields=["received", "digest"])
        return Sent(file.pk, file.path, file.size, file.received)


def _take_in(path: Path, into: Path) -> str:
    """Keep a whole file under the hash of its content; the same content is kept once."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path.replace(into / digest)
    return digest


def _must_receive(job: ImportJob) -> None:
    if job.state != ImportState.RECEIVING:
        raise ImportRefused("This import takes no more files.")


@transaction.atomic
def begin_work(*, job: ImportJob, now: datetime) -> ImportJob:
    """Hand what was sent to the worker; files that did not come whole are left out.

    Raises:
        ImportRefused: nothing was sent, or some of it is still missing.
    """
    job = ImportJob.objects.select_for_update().get(pk=job.pk)
    if job.state != ImportState.RECEIVING:
        return job
    if not job.sent.exists():
        raise ImportRefused("No file was sent.")
    missing = job.sent.filter(Q(received__lt=F("size")) | Q(digest="")).count()
    if missing:
        raise ImportRefused(f"{missing} files are not here yet; send them again.")
    return _hand_over(job, now)


def _hand_over(job: ImportJob, now: datetime) -> ImportJob:
    job.state, job.lease_until, job.detail, job.attempts = ImportState.WAITING, now + LEASE, "", 0
    job.ended_at = None
    job.save(update_fields=["state", "lease_until", "detail", "attempts", "ended_at"])
    transaction.on_commit(lambda: send(job), robust=True)
    return job


@transaction.atomic
def cancel_import(*, job: ImportJob, now: datetime) -> ImportJob:
    """End an import; cases that are in stay, and what was sent is removed.

    Whoever runs it notices at the next file.
    """
    job = ImportJob.objects.select_for_update().get(pk=job.pk)
    if job.state in (ImportState.RECEIVING, ImportState.WAITING, ImportState.RUNNING) or (
        job.state == ImportState.FAILED
    ):
        job.state, job.ended_at, job.lease_until = ImportState.CANCELLED, now, None
        job.save(update_fields=["state", "ended_at", "lease_until"])
        transaction.on_commit(lambda: shutil.rmtree(staging(job.pk), ignore_errors=True))
    return job


@transaction.atomic
def go_on(*, job: ImportJob, now: datetime) -> ImportJob:
    """Take up an import that stopped, where it was.

    Raises:
        ImportRefused: it did not stop.
        StudyFrozen: the cases of the study are dealt out.
    """
    job = ImportJob.objects.select_for_update().select_related("study").get(pk=job.pk)
    if job.state != ImportState.FAILED:
        raise ImportRefused("This import did not stop.")
    if job.study.allocated_at is not None:
        raise StudyFrozen("The cases of this study are dealt out; none can be added.")
    return _hand_over(job, now)


@transaction.atomic
def decide(
    *, job: ImportJob, series_id: int, shows_nobody: bool, by: User, now: datetime
) -> ImportSeries:
    """Say whether the images of a held series show who the patient is; saying it twice is once.

    Raises:
        ImportSeries.DoesNotExist: there is no such series.
        ImportRefused: it was decided otherwise before.
    """
    job = ImportJob.objects.select_for_update().select_related("study").get(pk=job.pk)
    found = ImportSeries.objects.select_for_update().get(job=job, pk=series_id)
    if found.state != SeriesState.HELD:
        if found.looked == shows_nobody:
            return found
        raise ImportRefused("It was decided otherwise before.")
    found.looked = shows_nobody
    found.state = SeriesState.WAITING if shows_nobody else SeriesState.REJECTED
    found.said = "" if shows_nobody else "not imported: its images show who the patient is"
    found.save(update_fields=["looked", "state", "said"])
    CaseChange.objects.create(
        study=job.study,
        kind="images_accepted" if shows_nobody else "images_rejected",
        detail={"import": job.pk, "series": found.series_uid, "doubts": found.doubts},
        by=by,
        at=now,
    )
    if job.state == ImportState.DONE:
        _hand_over(job, now)
    return found


def resend_lost_imports(*, now: datetime) -> int:
    """Send again what no worker has said anything about; after some attempts it has stopped.

    Files that somebody began to send, and never did, are not kept for ever.
    """
    for job in ImportJob.objects.filter(
        state=ImportState.RECEIVING, asked_at__lt=now - FORGOTTEN_AFTER
    ):
        cancel_import(job=job, now=now)
    with transaction.atomic():
        lost = list(
            ImportJob.objects.select_for_update(skip_locked=True).filter(
                state__in=[ImportState.WAITING, ImportState.RUNNING], lease_until__lte=now
            )
        )
        again = []
        for job in lost:
            if job.state == ImportState.RUNNING:  # its worker died; others only wait for their turn
                job.attempts += 1
            if job.attempts > MAX_ATTEMPTS:
                job.state, job.ended_at = ImportState.FAILED, now
                job.detail = f"The worker ended {MAX_ATTEMPTS} times at the same place: {job.step}."
            else:
                job.state, job.lease_until = ImportState.WAITING, now + LEASE
                again.append(job)
            job.save(update_fields=["attempts", "state", "ended_at", "detail", "lease_until"])
    for job in again:
        send(job)
    return len(again)


def held_file(found: ImportSeries, number: int) -> bytes:
    """Return a file of a held series as it would be stored.

    Raises:
        OSError: it is not there.
    """
    if found.state != SeriesState.HELD:
        raise FileNotFoundError("it was decided about this series")
    folder = staging(found.job_id) / "clean" / str(found.pk)
    return (folder / clean_name(number)).read_bytes()


def clean_name(number: int, part: int = 0) -> str:
    """Return the name under which a de-identified slice waits: of file `number`, slice `part`."""
    return f"{number:06}_{part:05}.dcm"
