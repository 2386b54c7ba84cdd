"""The end of a study: what is still open, and the lock of its database."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, F

from reader_study.actions.deviations import record_deviation
from reader_study.actions.results import request_results
from reader_study.actions.signature import unsigned_sessions
from reader_study.actions.verification import verify_study
from reader_study.domain.deviation import Kind
from reader_study.domain.errors import LockRefused
from reader_study.domain.reading import Stage
from reader_study.models import (
    DatabaseLock,
    Draft,
    Job,
    JobStatus,
    Membership,
    Reading,
    Role,
    Study,
    User,
)

TEXT_LIMIT = 2000


class OpenPoint(NamedTuple):
    """Something that should be done before the lock, in a sentence; `where` says at whom."""

    kind: str
    number: int
    detail: str
    where: list[str]


def open_points(study: Study) -> list[OpenPoint]:
    """Return what is open in `study`, in a constant number of queries.

    That its records are as they were recorded takes a pass over all of them, which
    `lock_database` makes.
    """
    found = []
    unfinished = (
        Reading.objects.of_study(study)
        .exclude(stage=Stage.SUBMITTED)
        .filter(skip__isnull=True)
        .order_by()
    )
    by_reader = list(
        unfinished.values_list("reader__pseudonym")
        .annotate(Count("pk"))
        .order_by("reader__pseudonym")
    )
    if by_reader:
        count = sum(number for _, number in by_reader)
        found.append(
            OpenPoint(
                "readings",
                count,
                f"{_many(count, 'reading is', 'readings are')} neither submitted nor skipped",
                [f"{pseudonym}: {number}" for pseudonym, number in by_reader],
            )
        )
    drafts = list(
        Draft.objects.filter(reading__in=unfinished, stage=F("reading__stage"), version__gt=0)
        .values_list("reading__reader__pseudonym")
        .annotate(Count("pk"))
        .order_by("reading__reader__pseudonym")
    )
    if drafts:
        count = sum(number for _, number in drafts)
        found.append(
            OpenPoint(
                "drafts",
                count,
                f"{_many(count, 'answer was', 'answers were')} begun and never locked",
                [f"{pseudonym}: {number}" for pseudonym, number in drafts],
            )
        )
    if study.rules.conduct.signature != "off":
        unsigned = unsigned_sessions(Reading.objects.of_study(study).order_by())
        names = dict(study.members.readers().values_list("pk", "pseudonym"))
        if unsigned:
            found.append(
                OpenPoint(
                    "signatures",
                    len(unsigned),
                    f"{_many(len(unsigned), 'session is', 'sessions are')} not signed",
                    sorted(f"{names[reader]}, session {number}" for reader, number in unsigned),
                )
            )
    waiting = Job.objects.filter(
        nodule__series__case__study=study, status=JobStatus.WAITING
    ).count()
    if waiting:
        says = f"{_many(waiting, 'prediction', 'predictions')} of the AI have not come"
        found.append(OpenPoint("predictions", waiting, says, []))
    return found


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


@transaction.atomic
def lock_database(
    *,
    study: Study,
    by: User,
    statement: str,
    accepted: Mapping[str, str] | None = None,
    now: datetime,
) -> DatabaseLock:
    """End all recording in `study`, for good. Locking again changes nothing.

    `accepted` gives, by the kind of an open point, the reason why it stays open; the reasons
    are kept with the statement.

    Raises:
        LockRefused: `by` is no coordinator, there is no statement, the study has not begun, or
            something is open for which no reason is given; `open` lists all that is open.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if study.is_locked:
        return study.database_lock
    if not Membership.objects.filter(study=study, user=by, role=Role.COORDINATOR).exists():
        raise LockRefused("Only a coordinator of the study locks its database.")
    statement = statement.strip()
    if not statement or len(statement) > TEXT_LIMIT:
        raise LockRefused(f"A statement of at most {TEXT_LIMIT} characters is needed.")
    if study.opened_at is None:
        raise LockRefused("The study has not been opened, so that there is nothing to lock.")
    # Whoever saves holds their reading: from here on nobody does, and what is found stays so.
    list(
        Reading.objects.of_study(study)
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
        .values_list("pk")
    )
    found = open_points(study)
    broken = verify_study(study).broken
    if broken is not None:
        found.append(OpenPoint("verification", 1, f"the records are broken: {broken}", []))
    reasons = {kind: reason.strip() for kind, reason in (accepted or {}).items()}
    without = [point for point in found if not reasons.get(point.kind)]
    if without:
        told = "; ".join(point.detail for point in without)
        raise LockRefused(
            f"The database cannot be locked yet: {told}. Give a reason for what stays open.",
            open=[point._asdict() for point in found],
        )
    if any(len(reason) > TEXT_LIMIT for reason in reasons.values()):
        raise LockRefused(f"A reason has at most {TEXT_LIMIT} characters.")
    for point in found:
        record_deviation(
            study=study,
            kind=Kind.OPEN_AT_LOCK,
            now=now,
            open=point.detail,
            reason=reasons[point.kind],
        )
    lock = DatabaseLock.objects.create(
        study=study,
        by=by,
        at=now,
        statement=statement,
        accepted=[{**point._asdict(), "reason": reasons[point.kind]} for point in found],
    )
    lock.refresh_from_db()
    request_results(study=study, now=now)
    return lock
