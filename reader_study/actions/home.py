"""The studies of somebody who does not read: how far each is, and what waits for them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Count, Q, QuerySet

from reader_study.domain.reading import Stage
from reader_study.models import (
    Case,
    Deviation,
    Job,
    JobStatus,
    LockProposal,
    Membership,
    Reading,
    Role,
    Study,
    User,
)


class Desk(NamedTuple):
    """One study as its member sees it: how it stands in words, and what waits for them.

    `role` is empty for an administrator, who looks on.
    """

    study: Study
    role: str
    state: str
    of: int
    ended: int
    needs: list[str]


def desks_of(user: User) -> list[Desk]:
    """Return the studies that `user` has a part in besides reading, the newest first.

    The number of queries does not depend on how many there are.
    """
    members = Membership.objects.filter(user=user)
    roles = dict(members.values_list("study", "role"))
    studies = Study.objects.select_related("database_lock").order_by("-created_at", "-pk")
    if not user.is_superuser:
        studies = studies.filter(pk__in=roles)
    found = [each for each in studies if roles.get(each.pk) != Role.READER]
    counts = _Counts(found, user)
    return [_desk(study, roles.get(study.pk, ""), counts) for study in found]


class _Counts:
    def __init__(self, studies: Iterable[Study], user: User) -> None:
        of = [study.pk for study in studies]
        readings = Reading.objects.filter(reader__study__in=of)
        ended = Q(stage=Stage.SUBMITTED) | Q(skip__isnull=False)
        self.readings = _by(readings, "reader__study")
        self.ended = _by(readings.filter(ended), "reader__study")
        self.cases = _by(Case.objects.filter(study__in=of), "study")
        readers = Membership.objects.readers().filter(study__in=of)
        self.readers = _by(readers, "study")
        self.deviations = _by(Deviation.objects.filter(study__in=of, review=None), "study")
        failed = Job.objects.filter(nodule__series__case__study__in=of, status=JobStatus.FAILED)
        self.failed = _by(failed, "nodule__series__case__study")
        self.proposals = _by(LockProposal.objects.filter(study__in=of).exclude(by=user), "study")


def _by(rows: QuerySet[Any], study: str) -> dict[int, int]:
    return dict(rows.order_by().values_list(study).annotate(Count("pk", distinct=True)))


def _desk(study: Study, role: str, counts: _Counts) -> Desk:
    of, ended = counts.readings.get(study.pk, 0), counts.ended.get(study.pk, 0)
    state = "locked" if study.is_locked else "open" if study.opened_at else "dealt out"
    if study.allocated_at is None:
        state = "draft"
    needs = []
    if role == Role.COORDINATOR:
        needs = list(_needs(study, of, ended, counts))
    if role in (Role.COORDINATOR, Role.INVESTIGATOR):
        if study.is_locked:
            needs.append("look at the results")
        elif counts.proposals.get(study.pk) and study.rules.conduct.lock_by == "two":
            needs.append("confirm the lock of the database")
    if role == Role.TRUTH_PANEL and not study.is_locked:
        needs.append("read for the truth panel")
    return Desk(study, role, state, of, ended, needs)


def _needs(study: Study, of: int, ended: int, counts: _Counts) -> Iterable[str]:
    if study.is_locked:
        return
    if study.allocated_at is None:
        if not counts.cases.get(study.pk):
            yield "import cases"
        if not counts.readers.get(study.pk):
            yield "invite readers"
        if counts.cases.get(study.pk) and counts.readers.get(study.pk):
            yield "deal the cases out"
    elif study.opened_at is None:
        yield "open it"
    elif of == ended:
        yield "lock its database"
    if number := counts.failed.get(study.pk):
        yield f"look at {number} failed prediction{'s' if number > 1 else ''}"
    if number := counts.deviations.get(study.pk):
        yield f"review {number} deviation{'s' if number > 1 else ''}"
