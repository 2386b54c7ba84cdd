"""UIDs as a reader sees them."""

from django.conf import settings

from reader_study.dicomweb.metadata import pseudonymous_uid
from reader_study.models import Reading


def pseudonym(reading: Reading, uid: str) -> str:
    """Return the UID that stands for `uid` in `reading`, and in no other."""
    return pseudonymous_uid(f"{settings.SECRET_KEY}:{reading.pk}".encode(), uid)
