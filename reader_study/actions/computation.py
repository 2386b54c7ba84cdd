"""Computing what a study found, and keeping it.

Apart from `actions.results`, since it brings along all that computes and draws.
"""

import logging
import tempfile
from datetime import datetime
from pathlib import Path

from django.db import DatabaseError, transaction

from reader_study.actions.results import PATIENCE, end, must_be_locked
from reader_study.exports.archive import write_archive_tables
from reader_study.models import ResultDocument, ResultsJob, Study
from reader_study.results.archive import sha256
from reader_study.results.make import Made, make, media_type

log = logging.getLogger(__name__)


def compute_results(*, study: Study, now: datetime) -> list[ResultDocument]:
    """Compute and keep the results of `study`; what the same program made before stays.

    Raises:
        ResultsSealed: the database of the study is not locked.
    """
    must_be_locked(study)
    jobs = ResultsJob.objects.filter(study=study)
    if not jobs.exists():
        ResultsJob.objects.create(study=study, asked_at=now, retry_at=now + PATIENCE)

    # Nobody else is sent the job for as long as this may take.
    jobs.update(retry_at=now + PATIENCE)

    def progress(step: str, done: int, of: int) -> None:
        jobs.update(step=step, done=done, of=of)

    with tempfile.TemporaryDirectory() as name:
        tables, work = Path(name) / "tables", Path(name) / "work"
        work.mkdir()
        progress("writing the tables", 0, 1)
        try:
            write_archive_tables(study, tables)
            made = make(tables, work, progress)
        except (ValueError, DatabaseError) as error:
            log.exception("the results of %s could not be computed", study.slug)
            end(study.pk, now, str(error))
            raise
    return _store(study, made, now)


@transaction.atomic
def _store(study: Study, made: Made, now: datetime) -> list[ResultDocument]:
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    known = ResultDocument.objects.filter(
        study=study, inputs_hash=made.inputs_hash, code_hash=made.code_hash
    )
    if not known.exists():
        ResultDocument.objects.bulk_create(
            [
                ResultDocument(
                    study=study,
                    inputs_hash=made.inputs_hash,
                    code_hash=made.code_hash,
                    name=name,
                    media_type=media_type(name),
                    content=content,
                    content_hash=sha256(content),
                    computed_at=now,
                )
                for name, content in made.files.items()
            ]
        )
    end(study.pk, now)
    return list(known.order_by("name"))
