"""The end of a study: what is still open, and the lock of its database."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, F

from reader_study.actions.deviations import record_deviation
from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.readiness import reference_counts
from reader_study.actions.results import request_results
from reader_study.actions.signature import unsigned_sessions
from reader_study.actions.verification import verify_study
from reader_study.domain.deviation import WORDS, Kind
from reader_study.domain.errors import LockRefused
from reader_study.domain.reading import Stage
from reader_study.models import (
    DatabaseLock,
    Deviation,
    Draft,
    Job,
    JobStatus,
    LockProposal,
    Membership,
    Reading,
    Role,
    Study,
    User,
)

TEXT_LIMIT = 2000


class OpenPoint(NamedTuple):
    """Something that should be done before the lock, in a sentence; `where` says at whom.

    What the protocol itself has a rule for is told, and `needs_reason` no more.
    """

    kind: str
    number: int
    detail: str
    where: list[str]
    needs_reason: bool = True


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
        sessions = Reading.objects.of_study(study).order_by().values_list("reader", "session")
        unsigned = unsigned_sessions(sessions.distinct())
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
    return [*found, *_deviations(study), *_failed(study), *_truth(study)]


def _deviations(study: Study) -> Iterator[OpenPoint]:
    rows = (
        Deviation.objects.filter(study=study, review=None)
        .order_by("kind")
        .values_list("kind")
        .annotate(Count("pk"))
    )
    where = [f"{WORDS[Kind(kind)].lower()}: {number}" for kind, number in rows]
    if where:
        count = sum(number for _, number in rows)
        says = f"{_many(count, 'deviation was', 'deviations were')} not reviewed"
        yield OpenPoint("deviations", count, says, where)


def _failed(study: Study) -> Iterator[OpenPoint]:
    rows = (
        Job.objects.filter(nodule__series__case__study=study, status=JobStatus.FAILED)
        .order_by("model")
        .values_list("model")
        .annotate(Count("pk"))
    )
    where = [f"{model}: {number}" for model, number in rows]
    if where:
        count = sum(number for _, number in rows)
        says = (
            f"{_many(count, 'prediction has', 'predictions have')} failed; readers were told so, as"
            " the protocol says"
        )
        told = study.rules.ai.when_inference_failed == "read_and_tell"
        yield OpenPoint("failed", count, says, where, needs_reason=not told)


def _truth(study: Study) -> Iterator[OpenPoint]:
    if study.rules.truth.complete_before == "never":
        return
    nodules, known = reference_counts(study)
    if known < nodules:
        says = f"{_many(nodules - known, 'nodule has', 'nodules have')} no reference standard"
        yield OpenPoint("truth", nodules - known, says, [])


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

    Where the protocol asks for two persons, another one has proposed it, and `by` may be an
    investigator; what was given as reasons then holds as far as none are given now.

    Raises:
        LockRefused: `by` may not, there is no statement, the study has not begun, nobody else
            has proposed it where two are asked for, or something is open for which no reason is
            given; `open` lists all that is open.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if study.is_locked:
        return study.database_lock
    proposal = None
    if study.rules.conduct.lock_by == "two":
        proposal = proposal_for(study, by)
        if proposal is None:
            raise LockRefused("The protocol asks for two: another coordinator proposes it first.")
        accepted = _reasons(proposal.accepted) | {
            kind: reason for kind, reason in (accepted or {}).items() if reason.strip()
        }
    _must_be_of_the_desk(study, by, confirms=proposal is not None)
    statement = _stated(study, statement)
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
    stays = _accepted(found, accepted or {})
    for point in stays:
        if not point["reason"]:
            continue  # the protocol's own rule says what happens
        record_deviation(
            study=study,
            kind=Kind.OPEN_AT_LOCK,
            now=now,
            open=point["detail"],
            reason=point["reason"],
        )
    lock = DatabaseLock.objects.create(
        study=study,
        by=by,
        at=now,
        statement=statement,
        accepted=stays,
    )
    lock.refresh_from_db()
    request_results(study=study, now=now)
    return lock


@transaction.atomic
def propose_lock(
    *,
    study: Study,
    by: User,
    statement: str,
    accepted: Mapping[str, str] | None = None,
    now: datetime,
) -> LockProposal:
    """Propose the lock of the database, where the protocol asks for two persons.

    Raises:
        LockRefused: it asks for one, `by` is no coordinator, there is no statement, the study
            has not begun, or something is open for which no reason is given.
        StudyLocked: it is locked already.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    must_not_be_locked(study)
    if study.rules.conduct.lock_by != "two":
        raise LockRefused("The protocol asks for one person, who locks at once.")
    _must_be_of_the_desk(study, by, confirms=False)
    return LockProposal.objects.create(
        study=study,
        by=by,
        at=now,
        statement=_stated(study, statement),
        accepted=_accepted(open_points(study), accepted or {}),
    )


def proposal_for(study: Study, user: User) -> LockProposal | None:
    """Return the last proposal that `user` may confirm, which is none of their own."""
    proposals = LockProposal.objects.filter(study=study).exclude(by=user)
    return proposals.select_related("by").last()


def _reasons(accepted: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(point["kind"]): str(point["reason"]) for point in accepted if point["reason"]}


def _must_be_of_the_desk(study: Study, by: User, *, confirms: bool) -> None:
    roles = {Role.COORDINATOR, Role.INVESTIGATOR} if confirms else {Role.COORDINATOR}
    if not Membership.objects.filter(study=study, user=by, role__in=roles).exists():
        raise LockRefused("Only a coordinator of the study locks its database.")


def _stated(study: Study, statement: str) -> str:
    statement = statement.strip()
    if not statement or len(statement) > TEXT_LIMIT:
        raise LockRefused(f"A statement of at most {TEXT_LIMIT} characters is needed.")
    if study.opened_at is None:
        raise LockRefused("The study has not been opened, so that there is nothing to lock.")
    return statement


def _accepted(found: Sequence[OpenPoint], given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what stays open with its reasons, as it is kept.

    Raises:
        LockRefused: a reason is missing, or too long.
    """
    reasons = {kind: reason.strip() for kind, reason in given.items()}
    without = [point for point in found if point.needs_reason and not reasons.get(point.kind)]
    if without:
        told = "; ".join(point.detail for point in without)
        raise LockRefused(
            f"The database cannot be locked yet: {told}. Give a reason for what stays open.",
            open=[point._asdict() for point in found],
        )
    if any(len(reason) > TEXT_LIMIT for reason in reasons.values()):
        raise LockRefused(f"A reason has at most {TEXT_LIMIT} characters.")
    kept = ("kind", "number", "detail", "where")
    return [
        {name: getattr(point, name) for name in kept} | {"reason": reasons.get(point.kind, "")}
        for point in found
    ]
