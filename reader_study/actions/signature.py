"""Signing a session."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from reader_study.actions.locked import must_not_be_locked
from reader_study.domain.design import TRAINING
from reader_study.domain.errors import SignatureRefused
from reader_study.domain.reading import Stage
from reader_study.models import Membership, Reading, SessionSignature, Skip, User
from reader_study.models.signature import digests, valid_signatures

NAME_LIMIT = 200


def unsigned_sessions(sessions: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return which `sessions`, by reader and number, are not signed as they are; no training."""
    wanted = {(reader, session) for reader, session in sessions if session != TRAINING}
    return wanted - valid_signatures({reader for reader, _ in wanted}).keys()


@transaction.atomic
def sign_session(
    *, member: Membership, session: int, by: User, name: str, now: datetime
) -> SessionSignature:
    """Sign a session that has ended; signing again what is signed changes nothing.

    The caller has asked `by` for the password.

    Raises:
        Reading.DoesNotExist: `by` is not this reader, or has no such session.
        StudyLocked: the study's database is locked.
        SignatureRefused: nothing is to be signed, a reading has not ended, or there is no name.
    """
    readings = list(
        Reading.objects.of(by)
        .filter(reader=member, session=session)
        .select_related("reader__study__database_lock")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    if not readings:
        raise Reading.DoesNotExist
    study = readings[0].reader.study
    must_not_be_locked(study)
    conduct = study.rules.conduct
    if conduct.signature == "off" or session == TRAINING:
        raise SignatureRefused("The protocol of this study asks for no signature here.")
    skipped = set(Skip.objects.filter(reading__in=readings).values_list("reading", flat=True))
    if any(each.stage != Stage.SUBMITTED and each.pk not in skipped for each in readings):
        raise SignatureRefused("Some cases of this session are neither submitted nor skipped.")
    name = " ".join(name.split())
    if not name or len(name) > NAME_LIMIT:
        raise SignatureRefused(f"Your full name is needed, of at most {NAME_LIMIT} characters.")
    signed = valid_signatures([member.pk]).get((member.pk, session))
    if signed is not None:
        return signed
    return SessionSignature.objects.create(
        reader=member,
        session=session,
        name=name,
        meaning=conduct.meaning,
        digest=digests([member.pk])[member.pk, session],
        at=now,
    )
