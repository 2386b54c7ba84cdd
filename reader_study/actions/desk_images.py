"""The images of a case for those who set its study up, under UIDs that stand for the archive's."""

import json
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from reader_study.actions.accesses import note_access
from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym_at_desk
from reader_study.dicomweb.archive import Archive, Frame
from reader_study.dicomweb.errors import NotInArchive
from reader_study.dicomweb.metadata import for_reader, value_of
from reader_study.models import Accessed, Case, PersonalToken, Series, Study, User


class _Shown(NamedTuple):
    body: bytes  # DICOM JSON
    instances: list[str]  # UIDs in the archive, along the normal


@lru_cache(maxsize=32)
def _shown(archive: Archive, case: Case, study_uid: str, series_uid: str) -> _Shown:
    headers = archive.series_metadata(study_uid, series_uid)
    shown = [
        for_reader(header, number, lambda uid: pseudonym_at_desk(case, uid))
        for number, header in enumerate(headers, start=1)
    ]
    instances = [str(value_of(header, "00080018")) for header in headers]
    return _Shown(json.dumps(shown, separators=(",", ":")).encode(), instances)


class DeskSeries(NamedTuple):
    """A series of a case by its names at the desk."""

    study: Study
    case_id: int
    study_uid: str
    series_uid: str

    def found(self) -> tuple[Series, _Shown]:
        """Return it, and what the archive has of it.

        Raises:
            NotInArchive: the case has no such series, or the archive does not.
            ArchiveUnavailable: the archive does not answer.
        """
        rows = Series.objects.filter(case__study=self.study, case=self.case_id)
        for one in rows.select_related("case__study"):
            names = (one.study_uid, one.series_uid)
            named = tuple(pseudonym_at_desk(one.case, uid) for uid in names)
            if named == (self.study_uid, self.series_uid):
                return one, _shown(site_archive(), Case(pk=one.case_id), *names)
        raise NotInArchive("the case has no such series")


def show_headers(
    *, series: DeskSeries, by: User, now: datetime, token: PersonalToken | None = None
) -> bytes:
    """Return the headers of a series as DICOM JSON, slice after slice along their normal.

    Raises:
        NotInArchive, ArchiveUnavailable: as `DeskSeries.found` does.
    """
    found, shown = series.found()
    # Without the case, which may still be taken out of the study; the log stays.
    note_access(
        Accessed.IMAGES,
        user=by,
        now=now,
        study=series.study,
        series_uid=found.series_uid,
        token=token,
    )
    return shown.body


def show_slice(*, series: DeskSeries, number: int) -> Frame:
    """Return one slice as it is stored, counted from 1 along the normal.

    Raises:
        NotInArchive: it has no slice of this number, or as `DeskSeries.found` does.
        ArchiveUnavailable: the archive does not answer.
    """
    found, shown = series.found()
    if not 1 <= number <= len(shown.instances):
        raise NotInArchive(f"the series has no slice {number}")
    uid = shown.instances[number - 1]
    return site_archive().frame(found.study_uid, found.series_uid, uid)
