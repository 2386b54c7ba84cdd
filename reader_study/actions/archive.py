"""The archive of a locked study, from which everything can be made again."""

import tempfile
from pathlib import Path
from typing import IO

from reader_study.actions.results import latest_results, must_be_locked
from reader_study.exports.archive import write_archive_tables
from reader_study.models import ResultDocument, Study
from reader_study.results.archive import pack


def write_archive(study: Study, target: IO[bytes]) -> None:
    """Write the archive of `study` as a ZIP file: its tables, and the results computed last.

    Raises:
        ResultsSealed: the database of the study is not locked.
    """
    must_be_locked(study)
    kept = [each.pk for each in latest_results(study).values()]
    with tempfile.TemporaryDirectory() as name:
        write_archive_tables(study, Path(name))
        documents = ResultDocument.objects.filter(pk__in=kept).order_by("name")
        results = ((each.name, bytes(each.content)) for each in documents.iterator(10))
        pack(Path(name), results, target)
