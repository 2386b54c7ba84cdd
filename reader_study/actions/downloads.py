"""Files of what was recorded and found, and who was given them."""

import hashlib
import tempfile
from datetime import datetime
from typing import IO, NamedTuple

from reader_study.actions.accesses import note_access
from reader_study.actions.archive import write_archive
from reader_study.actions.results import latest_results, must_be_locked
from reader_study.exports.tables import write_tables
from reader_study.models import Accessed, PersonalToken, ResultDocument, Study, User

IN_MEMORY = 8_000_000  # bytes of a file that are kept off the disk
AT_ONCE = 1 << 20


class Download(NamedTuple):
    """A file at its beginning, and the SHA-256 of its content.

    As long as nothing more is recorded the content is the same again, so that a download that
    broke off can go on.
    """

    file: IO[bytes]
    name: str
    size: int
    sha256: str


def export(
    *, study: Study, by: User, now: datetime, token: PersonalToken | None = None
) -> Download:
    """Make the export of `study`: a ZIP file of CSV tables."""
    note_access(Accessed.EXPORT, user=by, study=study, token=token, now=now)
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the response closes it)
    write_tables(study, file)
    return _download(file, f"{study.slug}-{now:%Y%m%d-%H%M}.zip")


def archive(
    *, study: Study, by: User, now: datetime, token: PersonalToken | None = None
) -> Download:
    """Make the archive of a locked study: all of it, as one ZIP file.

    Raises:
        ResultsSealed: its database is not locked.
    """
    must_be_locked(study)
    note_access(Accessed.ARCHIVE, user=by, study=study, token=token, now=now)
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (the response closes it)
    write_archive(study, file)
    return _download(file, f"{study.slug}-archive.zip")


def results_file(
    *, study: Study, name: str, by: User, now: datetime, token: PersonalToken | None = None
) -> ResultDocument:
    """Return one file of what was computed after the lock.

    Raises:
        ResultsSealed: the study's database is not locked.
        ResultDocument.DoesNotExist: there is no such file.
    """
    must_be_locked(study)
    found = latest_results(study).get(name)
    if found is None:
        raise ResultDocument.DoesNotExist
    note_access(Accessed.RESULTS, user=by, study=study, token=token, now=now)
    return found


def _download(file: IO[bytes], name: str) -> Download:
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while part := file.read(AT_ONCE):
        digest.update(part)
        size += len(part)
    file.seek(0)
    return Download(file, name, size, digest.hexdigest())
