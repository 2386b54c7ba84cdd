"""What a study needs before readings can begin, whether it is there, and where it is mended."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from reader_study.actions.heartbeat import SILENT_AFTER, last_heard_of
from reader_study.models import (
    BackupMade,
    Case,
    DisplayCheck,
    Job,
    JobStatus,
    Nodule,
    Study,
)

BACKUP_IS_OLD = timedelta(days=7)


class Progress(NamedTuple):
    """Predictions of a study by status."""

    wanted: int
    done: int
    failed: int

    @property
    def ended(self) -> int:
        """How many will not change any more."""
        return self.done + self.failed


def prediction_progress(study: Study) -> Progress:
    """Count the predictions of `study`'s model."""
    jobs = Job.objects.filter(
        nodule__series__case__study=study, model=study.protocol["ai"]["model"]
    )
    counts = jobs.aggregate(
        done=Count("pk", filter=Q(status=JobStatus.DONE)),
        failed=Count("pk", filter=Q(status=JobStatus.FAILED)),
    )
    return Progress(Nodule.objects.of_study(study).count(), counts["done"], counts["failed"])


class Check(NamedTuple):
    """One line of the list: what it is about, how it stands, and what mends it.

    A study cannot open as long as one that is `needed` is not met; the others are advice.
    `page` names the page that mends it, `there` the part of that page, or what mends it in words.
    """

    name: str
    detail: str
    met: bool
    needed: bool = True
    page: str = "study"
    there: str = ""

    @property
    def state(self) -> str:
        """How it stands, in a word."""
        return "met" if self.met else "missing" if self.needed else "advised"


def checklist(study: Study, now: datetime | None = None) -> list[Check]:
    """Return what `study` needs before readings can begin, and whether it is there."""
    now = now or timezone.now()
    return [
        _protocol(study),
        *_cases(study),
        _truth(study),
        *_readers(study),
        _allocation(study),
        *_predictions(study),
        *_displays(study),
        *_site(now),
    ]


def missing(checks: list[Check]) -> list[Check]:
    """Return the lines for which a study cannot open."""
    return [check for check in checks if check.needed and not check.met]


def _protocol(study: Study) -> Check:
    number = study.versions.order_by("-number").values_list("number", flat=True).first()
    said = f"version {number}, " + (
        f"frozen since {study.allocated_at:%Y-%m-%d}" if study.allocated_at else "still a draft"
    )
    planned = study.rules.analysis is not None
    if not planned:
        said += "; it has no analysis plan, so that nothing is pre-specified"
    return Check("Protocol", said, planned, needed=False, page="study-protocol")


def _cases(study: Study) -> list[Check]:
    counts = Case.objects.filter(study=study).aggregate(
        cases=Count("pk", distinct=True),
        training=Count("pk", filter=Q(training=True), distinct=True),
        nodules=Count("series__nodules", distinct=True),
        with_nodules=Count("pk", filter=Q(series__nodules__isnull=False), distinct=True),
    )
    cases, nodules = counts["cases"], counts["nodules"]
    found = [Check("Cases", f"{cases} imported", cases > 0, page="study-imports")]
    bare = cases - counts["with_nodules"]
    says = f"{nodules} placed"
    searched = study.rules.findings.has_marks
    if bare and not searched:
        says += f"; {bare} cases have none, and will not be read"
    found.append(Check("Nodules", says, nodules > 0 or searched, page="study-cases"))
    training = study.rules.design.training
    if training:
        says = f"{counts['training']} of {training.cases} marked"
        met = counts["training"] == training.cases
        found.append(Check("Training cases", says, met, page="study-allocation"))
    return found


def reference_counts(study: Study) -> tuple[int, int]:
    """Return how many nodules `study` has, and how many of them have a reference standard.

    The standard itself is out of reach here: a function of the database counts.
    """
    with connection.cursor() as cursor:
        cursor.execute("select nodules, known from reread_reference_counts(%s)", [study.pk])
        nodules, known = cursor.fetchone()
    return nodules, known


def _truth(study: Study) -> Check:
    nodules, known = reference_counts(study)
    before = study.rules.truth.complete_before
    said = f"{known} of {nodules} nodules have one"
    if before != "never":
        said += f"; the protocol wants all of them before the {_WHEN[before]}"
    return Check(
        "Reference standard",
        said,
        0 < nodules == known,
        needed=before == "opening",
        page="study-truth",
    )


_WHEN = {"opening": "study opens", "lock": "lock"}


def _readers(study: Study) -> list[Check]:
    readers = list(study.members.readers().select_related("user"))
    waiting = [
        each.pseudonym
        for each in readers
        if each.user.last_login is None and not each.user.has_usable_password()
    ]
    found = [Check("Readers", f"{len(readers)} invited", bool(readers), page="study-people")]
    if readers:
        said = f"{len(readers) - len(waiting)} of {len(readers)} have accepted"
        if waiting:
            said += ": not yet " + ", ".join(waiting[:10]) + (" ..." if len(waiting) > 10 else "")
        found.append(Check("Invitations", said, not waiting, needed=False, page="study-people"))
    return found


def _allocation(study: Study) -> Check:
    dealt = study.allocated_at is not None
    said = f"dealt out on {study.allocated_at:%Y-%m-%d}" if dealt else "not dealt out yet"
    return Check("Allocation", said, dealt, page="study-allocation")


def _predictions(study: Study) -> list[Check]:
    rules = study.rules
    progress = prediction_progress(study)
    told = rules.ai.when_inference_failed == "read_and_tell"
    predicted = progress.done + (progress.failed if told else 0)
    detail = f"{progress.done} of {progress.wanted} nodules predicted by {rules.ai.model}"
    if progress.failed:
        detail += f", {progress.failed} failed"
        detail += " (readers are told so after the lock)" if told else ""
    met = predicted >= progress.wanted and (progress.wanted > 0 or rules.findings.has_marks)
    found = [Check("AI", detail, met, page="study-progress", there="machinery")]
    others = (
        Job.objects.filter(nodule__series__case__study=study)
        .exclude(model=rules.ai.model)
        .order_by()
        .values_list("model")
        .annotate(
            done=Count("pk", filter=Q(status=JobStatus.DONE)),
            failed=Count("pk", filter=Q(status=JobStatus.FAILED)),
        )
    )
    for model, done, failed in sorted(others):
        said = f"{done} of {progress.wanted} nodules, {failed} failed"
        whole = done + failed >= progress.wanted
        found.append(Check(f"Model {model}", said, whole, needed=False, page="study-progress"))
    return found


def _displays(study: Study) -> list[Check]:
    if study.rules.images.display is None:
        return []
    readers = study.members.readers().count()
    passed = (
        DisplayCheck.objects.filter(reader__study=study, passed=True)
        .values("reader")
        .distinct()
        .count()
    )
    said = f"{passed} of {readers} readers have passed a check; each passes one before reading"
    return [Check("Displays", said, passed >= readers, needed=False, page="study-conduct")]


def _site(now: datetime) -> list[Check]:
    """What the whole site needs: it is asked for once it is missed, and holds nothing up."""
    found = []
    for kind, name in (("site", "The site's worker"), ("inference", "The worker of the models")):
        heard = last_heard_of(kind)
        said = f"was there at {heard:%Y-%m-%d %H:%M} UTC" if heard else "has not been heard of"
        alive = heard is not None and now - heard < SILENT_AFTER
        there = "" if alive else "whoever runs the site starts it; see the guide to deployment"
        found.append(Check(name, said, alive, needed=False, page="", there=there))
    last = BackupMade.objects.order_by("-at").values_list("at", flat=True).first()
    recent = last is not None and now - last < BACKUP_IS_OLD
    said = f"the last one on {last:%Y-%m-%d}" if last else "none was made yet"
    there = "" if recent else "manage.py backup FOLDER, daily"
    found.append(Check("Backups", said, recent, needed=False, page="", there=there))
    said = "none is sent: an invitation's link is shown once, on the page of people"
    return [*found, Check("Mail", said, met=True, needed=False, page="study-people")]
