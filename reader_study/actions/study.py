"""Setting a study up: protocol, members, allocation, opening."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Q

from reader_study.domain.allocation import allocate
from reader_study.domain.errors import StudyFrozen, StudyNotOpen
from reader_study.domain.protocol import parse_protocol, protocol_hash
from reader_study.models import (
    Case,
    Job,
    JobStatus,
    Membership,
    Nodule,
    Reading,
    Role,
    Study,
    User,
)


def create_study(*, slug: str, document: Mapping[str, Any], now: datetime) -> Study:
    """Create the study of a protocol; the same protocol again is the same study.

    Raises:
        ProtocolInvalid: the protocol cannot be run.
        StudyFrozen: there is another study of this name.
    """
    protocol = parse_protocol(document)
    digest = protocol_hash(protocol)
    study, created = Study.objects.get_or_create(
        slug=slug,
        defaults={
            "title": protocol.title,
            "protocol": protocol.model_dump(mode="json"),
            "protocol_hash": digest,
            "created_at": now,
        },
    )
    if not created and study.protocol_hash != digest:
        raise StudyFrozen(f"The study {slug!r} exists with another protocol.")
    return study


def add_member(*, study: Study, user: User, role: Role, pseudonym: str) -> Membership:
    """Give `user` a role in `study`; saying it again changes nothing.

    Raises:
        StudyFrozen: a reader is added after the cases were dealt out, or the user has
            another role.
    """
    found = Membership.objects.filter(study=study, user=user).first()
    if found is not None:
        if found.role != role:
            raise StudyFrozen(f"{user.get_username()} is already {found.role} of this study.")
        return found
    if role == Role.READER and study.allocated_at is not None:
        raise StudyFrozen("The cases are dealt out; a new reader would have none.")
    return Membership.objects.create(study=study, user=user, role=role, pseudonym=pseudonym)


@transaction.atomic
def allocate_readings(*, study: Study, now: datetime) -> int:
    """Deal the cases out, once; return the number of readings.

    Raises:
        StudyNotOpen: there are no cases, or no readers.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    readings = Reading.objects.of_study(study)
    if study.allocated_at is not None:
        return readings.count()
    readers = {member.pseudonym: member for member in study.members.readers()}
    cases = {
        case.pseudonym: case
        for case in Case.objects.filter(study=study)
        .annotate(nodules=Count("series__nodules"))
        .filter(nodules__gt=0)
    }
    if not readers or not cases:
        raise StudyNotOpen("A study needs at least one reader and one case with a nodule.")
    places = allocate(sorted(readers), sorted(cases), study.rules.allocation.seed)
    Reading.objects.bulk_create(
        Reading(reader=readers[p.reader], case=cases[p.case], position=p.position) for p in places
    )
    study.allocated_at = now
    study.save(update_fields=["allocated_at"])
    return len(places)


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
    """One line of the list of what a study needs before it can open."""

    name: str
    detail: str
    met: bool


def checklist(study: Study) -> list[Check]:
    """Return what `study` needs before readings can begin, and whether it is there."""
    readers = study.members.readers().count()
    cases = Case.objects.filter(study=study).count()
    progress = prediction_progress(study)
    told = study.rules.ai.when_inference_failed == "read_and_tell"
    predicted = progress.done + (progress.failed if told else 0)
    detail = f"{progress.done} of {progress.wanted} nodules predicted"
    if progress.failed:
        detail += f", {progress.failed} failed"
        detail += " (readers are told so after the lock)" if told else ""
    return [
        Check("Cases", f"{cases} imported, {progress.wanted} nodules", progress.wanted > 0),
        Check("Readers", f"{readers} invited", readers > 0),
        Check(
            "Allocation",
            "dealt out" if study.allocated_at else "not dealt out yet",
            study.allocated_at is not None,
        ),
        Check("AI", detail, progress.wanted > 0 and predicted >= progress.wanted),
    ]


@transaction.atomic
def open_study(*, study: Study, now: datetime) -> Study:
    """Let readings begin; opening twice changes nothing.

    Raises:
        StudyNotOpen: something it needs is missing; the text says what.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.opened_at is None:
        missing = [f"{check.name}: {check.detail}" for check in checklist(study) if not check.met]
        if missing:
            raise StudyNotOpen("The study cannot open yet. " + "; ".join(missing) + ".")
        study.opened_at = now
        study.save(update_fields=["opened_at"])
    return study


def open_if_ready(*, study: Study, now: datetime) -> bool:
    """Open a study whose protocol says it opens by itself, once nothing is missing."""
    if study.opened_at is not None:
        return True
    if study.rules.opens != "when_ready" or not all(check.met for check in checklist(study)):
        return False
    open_study(study=study, now=now)
    return True
