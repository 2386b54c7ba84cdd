"""The people of a study: invitations, what the truth panel may not read, the key of pseudonyms."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from reader_study.actions.study import add_member
from reader_study.domain.errors import KeyRefused, MemberRefused, TruthIsKnown, WaiverRefused
from reader_study.models import (
    Case,
    KeyAccess,
    Membership,
    Reading,
    Role,
    Series,
    Study,
    User,
    Waiver,
)

REASON_LIMIT = 1000


def cases_of_the_panel(user: User, study: Study) -> QuerySet[Case]:
    """Return the cases of `study` whose truth `user` helps to find, in whatever study."""
    theirs = Series.objects.filter(
        case__study__members__user=user, case__study__members__role=Role.TRUTH_PANEL
    )
    return Case.objects.filter(
        study=study, series__series_uid__in=theirs.values("series_uid")
    ).distinct()


def cases_known_by(study: Study) -> dict[int, int]:
    """Return of how many cases of `study` each of its users helps to find the truth, by user."""
    cases = dict(Series.objects.filter(case__study=study).values_list("series_uid", "case"))
    theirs = Series.objects.filter(
        series_uid__in=Series.objects.filter(case__study=study).values("series_uid"),
        case__study__members__user__in=study.members.values("user"),
        case__study__members__role=Role.TRUTH_PANEL,
    ).values_list("case__study__members__user", "series_uid")
    known = {(user, cases[uid]) for user, uid in theirs}
    return dict(Counter(user for user, _ in known))


def must_not_know_the_truth(reading: Reading) -> None:
    """Refuse a reading by a member of the truth panel of its case, unless that was waived.

    Raises:
        TruthIsKnown: the reader is one, in this study or in another with the same series.
    """
    reader = reading.reader
    knows = cases_of_the_panel(reader.user, reader.study).filter(pk=reading.case_id).exists()
    if knows and not Waiver.objects.filter(reader=reader).exists():
        raise TruthIsKnown(
            "You belong to the truth panel of this case, so that you cannot read it. "
            "A coordinator can waive that, for a reason that is recorded."
        )


@transaction.atomic
def grant_waiver(*, study: Study, reader_id: int, by: User, reason: str, now: datetime) -> Waiver:
    """Let a reader of `study` read cases although they belong to their truth panel.

    Raises:
        WaiverRefused: there is no such reader, no reason, or nothing to waive.
    """
    reader = Membership.objects.readers().filter(study=study, pk=reader_id).first()
    if reader is None:
        raise WaiverRefused("There is no such reader in this study.")
    reason = _reason(reason, WaiverRefused)
    if Waiver.objects.filter(reader=reader).exists():
        raise WaiverRefused(f"It was waived for {reader.pseudonym} before.")
    if not cases_of_the_panel(reader.user, study).exists():
        raise WaiverRefused(f"{reader.pseudonym} is on the truth panel of none of these cases.")
    return Waiver.objects.create(reader=reader, by=by, reason=reason, at=now)


@transaction.atomic
def invite(*, study: Study, name: str, email: str, role: Role, pseudonym: str) -> Membership:
    """Give somebody a role in `study`, making an account where there is none of that name.

    Raises:
        MemberRefused: the name or the pseudonym cannot be used.
        StudyFrozen: a reader is added after the cases were dealt out, or the user has
            another role.
    """
    name, pseudonym = name.strip(), pseudonym.strip()
    if not name or not pseudonym:
        raise MemberRefused("A user name and a pseudonym are needed.")
    user, is_new = User.objects.get_or_create(username=name, defaults={"email": email.strip()})
    if is_new:
        user.set_unusable_password()
        user.full_clean(exclude=["password"])
        user.save()
    try:
        with transaction.atomic():
            return add_member(study=study, user=user, role=role, pseudonym=pseudonym)
    except IntegrityError:
        raise MemberRefused(f"Another member of this study is called {pseudonym}.") from None


@transaction.atomic
def open_key(*, study: Study, by: User, reason: str, now: datetime) -> list[tuple[str, ...]]:
    """Return who stands behind each pseudonym of `study`, and record that it was asked for.

    Rows of (kind, pseudonym, who, more): of members the user name and the address, of cases
    the UIDs of their examination and series in the archive.

    Raises:
        KeyRefused: there is no reason.
    """
    KeyAccess.objects.create(study=study, by=by, reason=_reason(reason, KeyRefused), at=now)
    return list(_key(study))


def _key(study: Study) -> Iterator[tuple[str, ...]]:
    for member in study.members.select_related("user").order_by("role", "pseudonym"):
        user = member.user
        who = " ".join(filter(None, (user.get_full_name(), f"({user.get_username()})")))
        yield member.role, member.pseudonym, who, user.email
    for series in Series.objects.filter(case__study=study).select_related("case").order_by("pk"):
        kind = "prior of case" if series.prior else "case"
        yield kind, series.case.pseudonym, series.study_uid, series.series_uid


def _reason(text: str, refusal: type[WaiverRefused] | type[KeyRefused]) -> str:
    reason = text.strip()
    if not reason or len(reason) > REASON_LIMIT:
        raise refusal(f"A reason of at most {REASON_LIMIT} characters is needed.")
    return reason
