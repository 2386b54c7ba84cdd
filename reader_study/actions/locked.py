"""Whether anything may still be recorded in a study."""

from reader_study.domain.errors import StudyLocked
from reader_study.models import Study


def must_not_be_locked(study: Study) -> None:
    """Refuse to record more in a study whose database is locked.

    Raises:
        StudyLocked: it is.
    """
    if study.is_locked:
        raise StudyLocked("The database of this study is locked; nothing more is recorded in it.")
