"""Setting a study up: protocol, members, allocation, opening."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet

from reader_study.actions.locked import must_not_be_locked
from reader_study.actions.protocol import first_version
from reader_study.actions.readiness import checklist, missing
from reader_study.actions.reference import truth_of_cases
from reader_study.domain.allocation import Case as ToDeal
from reader_study.domain.allocation import Place, deal
from reader_study.domain.errors import StudyFrozen, StudyNotOpen
from reader_study.domain.protocol import parse_protocol, protocol_hash
from reader_study.models import (
    Case,
    Membership,
    Reading,
    Role,
    Study,
    User,
)


@transaction.atomic
def create_study(
    *,
    slug: str,
    document: Mapping[str, Any],
    now: datetime,
    source: str = "",
    by: User | None = None,
) -> Study:
    """Create the study of a protocol; the same protocol again is the same study.

    `source` is the text that `document` was read from.

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
    if created:
        first_version(study=study, source=source, by=by, now=now)
    elif study.protocol_hash != digest:
        raise StudyFrozen(f"The study {slug!r} exists with another protocol.")
    return study


def may_create_studies(user: User) -> bool:
    """Tell whether `user` is an administrator, or coordinates a study and reads in none."""
    roles = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    return Role.READER not in roles and (user.is_superuser or Role.COORDINATOR in roles)


@transaction.atomic
def create_with_desk(
    *, slug: str, document: Mapping[str, Any], source: str, by: User, now: datetime
) -> Study:
    """Create a study that `by` coordinates.

    Raises:
        ProtocolInvalid: the protocol cannot be run.
        StudyFrozen: there is a study of this name already.
    """
    if Study.objects.filter(slug=slug).exists():
        raise StudyFrozen(f"There is a study {slug!r} already.")
    study = create_study(slug=slug, document=document, source=source, by=by, now=now)
    add_member(study=study, user=by, role=Role.COORDINATOR, pseudonym="Desk")
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
def mark_training(*, study: Study, cases: Collection[str]) -> int:
    """Set `cases`, by their pseudonyms, apart for training; return how many there are now.

    Raises:
        StudyFrozen: the cases are dealt out.
        StudyNotOpen: one of them is not in the study.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    known = Case.objects.filter(study=study, pseudonym__in=cases)
    missing = sorted(set(cases) - {case.pseudonym for case in known})
    if missing:
        raise StudyNotOpen(f"The study has no case {missing[0]}.")
    if study.allocated_at is not None and known.filter(training=False).exists():
        raise StudyFrozen("The cases are dealt out; none can become a training case.")
    known.update(training=True)
    return Case.objects.filter(study=study, training=True).count()


@transaction.atomic
def allocate_readings(*, study: Study, now: datetime) -> int:
    """Deal the cases out, once; return the number of readings.

    Raises:
        StudyNotOpen: there are no cases, no readers, or not the training cases it needs.
        AllocationImpossible: the plan cannot be made of these.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    readings = Reading.objects.of_study(study)
    if study.allocated_at is not None:
        return readings.count()
    readers = {member.pseudonym: member for member in study.members.readers()}
    cases = {case.pseudonym: case for case in cases_to_read(study)}
    places = deal_out(study, sorted(readers), list(cases.values()))
    Reading.objects.bulk_create(
        [
            Reading(
                reader=readers[place.reader],
                case=cases[place.case],
                session=place.session,
                position=place.position,
                arm=place.arm,
                repeat=place.repeat,
            )
            for place in places
        ],
        batch_size=5000,
    )
    study.allocated_at = now
    study.save(update_fields=["allocated_at"])
    return len(places)


def cases_to_read(study: Study) -> QuerySet[Case]:
    """Return the cases that have something to be rated, in the order of their pseudonyms.

    Where readers mark what they find, that is every case with images: in many there is nothing.
    """
    counted = "series" if study.rules.findings.has_marks else "series__nodules"
    return (
        Case.objects.filter(study=study)
        .annotate(to_rate=Count(counted))
        .filter(to_rate__gt=0)
        .order_by("pseudonym")
    )


def deal_out(study: Study, readers: Sequence[str], cases: Sequence[Case]) -> list[Place]:
    """Make the plan of `study`; the reference standard is looked at here only.

    Raises:
        StudyNotOpen: there are no cases, no readers, or not the training cases it needs.
        AllocationImpossible: the plan cannot be made of these.
    """
    rules = study.rules
    training = [case.pseudonym for case in cases if case.training]
    studied = [case for case in cases if not case.training]
    if not readers or not studied:
        raise StudyNotOpen("A study needs at least one reader and one case with a nodule.")
    wanted = rules.design.training.cases if rules.design.training else 0
    if len(training) != wanted:
        raise StudyNotOpen(
            f"The protocol has {wanted} training cases, and {len(training)} are marked as such."
        )
    limits = rules.allocation.restrictions
    parts = rules.design.case_sets > 1 or rules.design.counterbalance == "readers_and_cases"
    looks = parts or (limits is not None and limits.max_positives_in_a_row is not None)
    truth = truth_of_cases(study) if looks else {}
    return deal(
        rules.design,
        rules.allocation,
        readers,
        [ToDeal(case.pseudonym, case.subject, truth.get(case.pk)) for case in studied],
        training,
    )


@transaction.atomic
def open_study(*, study: Study, now: datetime) -> Study:
    """Let readings begin; opening twice changes nothing.

    Raises:
        StudyNotOpen: something it needs is missing; the text says what.
        StudyLocked: its database is locked.
    """
    study = Study.objects.select_for_update().get(pk=study.pk)
    must_not_be_locked(study)
    if study.opened_at is None:
        wanted = [f"{check.name}: {check.detail}" for check in missing(checklist(study, now))]
        if wanted:
            raise StudyNotOpen("The study cannot open yet. " + "; ".join(wanted) + ".")
        study.opened_at = now
        study.save(update_fields=["opened_at"])
    return study


def open_if_ready(*, study: Study, now: datetime) -> bool:
    """Open a study whose protocol says it opens by itself, once nothing is missing."""
    if study.opened_at is not None:
        return True
    if study.rules.opens != "when_ready" or missing(checklist(study, now)):
        return False
    open_study(study=study, now=now)
    return True
