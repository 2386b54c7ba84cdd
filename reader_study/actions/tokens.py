"""Personal access tokens: made once, shown once, used by programs, revoked."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, QuerySet, Value, When

from reader_study.actions.access import has_a_desk
from reader_study.domain.errors import TokenRefused, TooManyCalls
from reader_study.models import PersonalToken, Scope, User

# So that a person, or a scanner of secrets, knows what it is.
PREFIX = "reread_"
LONGEST_DAYS = 365
AT_ONCE = 20
CALLS_A_MINUTE = 600
IMAGES_A_MINUTE = 60_000  # a service fetches a series frame by frame


def tokens_of(user: User, now: datetime) -> QuerySet[PersonalToken]:
    """Return the tokens of `user` that can be used."""
    return PersonalToken.objects.filter(user=user, revoked_at=None, expires_at__gt=now)


@transaction.atomic
def make_token(
    *, user: User, name: str, scopes: Collection[str], days: int, now: datetime
) -> tuple[PersonalToken, str]:
    """Make a token and return it with its word, which is known to nobody afterwards.

    Raises:
        TokenRefused: `user` only reads, there are too many already, or what was asked for is
            no name, no scope or no time that a token can have.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    name, wanted = name.strip(), sorted(set(scopes))
    if not has_a_desk(user):
        raise TokenRefused("Tokens are for those who conduct studies; a reader has no use for one.")
    if not name or len(name) > 80:
        raise TokenRefused("A name of at most 80 characters is needed, to know the token by.")
    if not wanted or not set(wanted) <= set(Scope.values):
        raise TokenRefused(f"Choose what it may do: {', '.join(Scope.values)}.")
    if Scope.SERVICE in wanted and not user.is_superuser:
        raise TokenRefused(
            "Only an administrator can make a token for a service: it reads the whole archive."
        )
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenRefused(f"A token lasts from 1 to {LONGEST_DAYS} days.")
    if tokens_of(user, now).count() >= AT_ONCE:
        raise TokenRefused(f"You have {AT_ONCE} tokens already. Revoke one of them first.")
    word = PREFIX + secrets.token_urlsafe(32)
    token = PersonalToken.objects.create(
        user=user,
        name=name,
        digest=_digest(word),
        scopes=wanted,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    return token, word


def revoke_token(*, user: User, token_id: int, now: datetime) -> None:
    """Make one of `user`'s tokens useless, for good; again changes nothing."""
    PersonalToken.objects.filter(user=user, pk=token_id, revoked_at=None).update(revoked_at=now)


def use_token(word: str, now: datetime, at_most: int = CALLS_A_MINUTE) -> PersonalToken | None:
    """Return the token of `word` and note that it was used; None if it cannot be.

    Raises:
        TooManyCalls: there were more than `at_most` calls in this minute.
    """
    token = (
        PersonalToken.objects.select_related("user")
        .filter(digest=_digest(word), revoked_at=None, expires_at__gt=now)
        .filter(user__is_active=True)
        .first()
    )
    if token is None:
        return None
    minute = now.replace(second=0, microsecond=0)
    PersonalToken.objects.filter(pk=token.pk).update(
        last_used_at=now,
        minute=minute,
        calls=Case(When(minute=minute, then=F("calls") + 1), default=Value(1)),
    )
    token.refresh_from_db(fields=["calls"])
    if token.calls > at_most:
        raise TooManyCalls(
            f"This token was used {at_most} times within a minute. Wait for the next one."
        )
    return token


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
