"""Searching the archive that cases are imported from."""

import re
from typing import Any

from django.conf import settings

from reader_study.dicomweb.archive import open_archive
from reader_study.dicomweb.metadata import value_of
from reader_study.dicomweb.search import Search
from reader_study.dicomweb.upstream import UpstreamArchive
from reader_study.domain.errors import ImportRefused

MOST_STUDIES = 50


def upstream() -> UpstreamArchive:
    """Open the archive that the settings name for imports.

    Raises:
        ImportRefused: they name none.
    """
    archive = open_archive(
        url=settings.IMPORT_URL, token=settings.IMPORT_TOKEN, folder=settings.ARCHIVE_DIR
    )
    if not isinstance(archive, UpstreamArchive):
        raise ImportRefused("There is no archive to import from: IMPORT_URL is not set.")
    return archive


def search_archive(
    *, patient: str = "", days: str = "", modality: str = "CT"
) -> list[dict[str, Any]]:
    """Return the studies that match, with their series: what a coordinator chooses from.

    Parameters
    ----------
    patient : patient ID; many archives take * and ? as wildcards.
    days : a date or a range, as 2020-01-31 or 2020-01-01 to 2020-12-31.
    modality : of the series, as CT.

    Raises:
        ImportRefused: there is no archive, nothing to search for, or a date is none.
        ArchiveError: the archive does not answer.
    """
    archive = upstream()
    filters = {"ModalitiesInStudy": modality}
    if patient:
        filters["PatientID"] = patient[:64]
    if days:
        found = re.findall(r"(\d{4})-?(\d\d)-?(\d\d)", days)
        if not 1 <= len(found) <= 2:
            raise ImportRefused("Write dates as 2020-01-31, or 2020-01-01 to 2020-12-31.")
        filters["StudyDate"] = "-".join("".join(parts) for parts in found)
    if not (patient or days):
        raise ImportRefused("Search by patient, by date, or by both.")
    studies = archive.search_studies(Search(filters, limit=MOST_STUDIES))
    return [_study(archive, study, modality) for study in studies]


def _study(archive: UpstreamArchive, study: dict[str, Any], modality: str) -> dict[str, Any]:
    uid = str(value_of(study, "0020000D"))
    fields = ("SeriesDescription", "NumberOfSeriesRelatedInstances")
    search = Search({"StudyInstanceUID": uid, "Modality": modality}, fields=fields)
    return {
        "patient": value_of(study, "00100020") or "",
        "date": value_of(study, "00080020") or "",
        "uid": uid,
        "series": [
            {
                "uid": str(value_of(one, "0020000E")),
                "description": value_of(one, "0008103E") or "",
                "images": value_of(one, "00201209") or "",
            }
            for one in archive.search_series(search)
        ],
    }
