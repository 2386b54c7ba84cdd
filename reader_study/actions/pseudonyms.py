"""UIDs as a reader sees them."""

import hmac

from django.conf import settings

from reader_study.dicomweb.metadata import pseudonymous_uid
from reader_study.models import Case, Membership, Nodule, Reading


def pseudonym(reading: Reading, uid: str) -> str:
    """Return the UID that stands for `uid` in `reading`, and in no other."""
    return pseudonymous_uid(f"{settings.SECRET_KEY}:{reading.pk}".encode(), uid)


def series_key(uid: str) -> str:
    """Return the name under which a proxy keeps the images of a series; no reader sees it."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"frames:{uid}".encode(), "sha256").hex()[:32]


def pseudonym_at_desk(case: Case, uid: str) -> str:
    """Return the UID that stands for `uid` where a coordinator looks at the images of `case`."""
    return pseudonymous_uid(f"{settings.SECRET_KEY}:desk:{case.pk}".encode(), uid)


def panel_pseudonym(member: Membership, nodule: Nodule, uid: str) -> str:
    """Return the UID that stands for `uid` where `member` of a truth panel reads `nodule`."""
    key = f"{settings.SECRET_KEY}:panel:{member.pk}:{nodule.pk}"
    return pseudonymous_uid(key.encode(), uid)
