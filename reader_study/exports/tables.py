"""What was recorded, as tidy tables: readings, predictions, what events tell, and a dictionary."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import IO, Any, NamedTuple

from reader_study.domain.design import conditions
from reader_study.domain.protocol import Protocol
from reader_study.domain.questionnaire import Question
from reader_study.exports.columns import ROWS_AT_ONCE, Column, cell, text_of, time_of
from reader_study.exports.conduct import (
    DEVIATIONS,
    DISPLAY_CHECKS,
    SIGNATURES,
    UNLOCKS,
    deviation_rows,
    display_check_rows,
    signature_rows,
    unlock_rows,
)
from reader_study.exports.dwell_maps import DWELL_MAPS, dwell_map_rows
from reader_study.exports.events import (
    EXPOSURES,
    IDLE_AFTER_S,
    MALIGNANCY,
    TIMES,
    UNTIMED,
    exposure_rows,
    time_rows,
    untimed_rows,
)
from reader_study.exports.marks import MARKS, MEASUREMENTS, mark_rows, measurement_rows
from reader_study.exports.seen import DWELL, SEEN, dwell_rows, seen_rows
from reader_study.models import (
    Answer,
    DatabaseLock,
    EarlyOpening,
    Job,
    Prediction,
    ProtocolVersion,
    Rating,
    Skip,
    Study,
)
from reader_study.models.reading import replaced

READINGS = (
    Column("study", "text", "the study's name in addresses"),
    Column("protocol_hash", "sha256", "the protocol under which the answer was locked"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session, from 1; 0: training"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("arm", "text", "the way of reading, as the protocol names it"),
    Column("repeat", "boolean", "true: the reader had read the case before, and was not told"),
    Column(
        "nodule", "integer", "the nodule's number in its case; empty: on the case, or on a mark"
    ),
    Column("nodule_id", "integer", "the nodule in the whole study; empty likewise"),
    Column("mark", "integer", "the reader's mark, as in marks.csv; empty: not about a mark"),
    Column("mark_id", "text", "the mark's identifier; empty likewise"),
    Column("stage", "text", "unaided: before the lock, without AI; aided: with AI in view"),
    Column("shown", "text", "AI artefacts the protocol shows in this stage, separated by |"),
    Column("question", "text", "the question's name in the protocol"),
    Column("value", "text", "the answer; several options are separated by |"),
    Column("cannot_assess", "boolean", "true: the reader said it cannot be assessed"),
    Column("opened_at", "time, UTC", "when the reading was first opened"),
    Column("locked_at", "time, UTC", "when this stage's answer was locked"),
    Column("revision", "integer", "1, and one more each time the answer was reopened"),
    Column("current", "boolean", "true: the answer that counts; false: replaced by a later one"),
    Column("ai_value", "text", "the likeliest category of the AI for the same semantic feature"),
    Column("ai_probability", "number, 0 to 1", "the probability of ai_value, or of malignancy"),
    Column("model", "text", "the model's name and version"),
    Column("bundle_hash", "sha256", "the prediction bundle ai_value comes from"),
)

PREDICTIONS = (
    Column("study", "text", "the study's name in addresses"),
    Column("case", "text", "the case's pseudonym"),
    Column("nodule", "integer", "the nodule's number in its case"),
    Column("nodule_id", "integer", "the nodule in the whole study"),
    Column("model", "text", "the model's name and version"),
    Column("status", "text", "done, failed or waiting"),
    Column("problem", "text", "why there is no prediction"),
    Column("target", "text", "malignancy, or the name of a semantic feature"),
    Column("category", "text", "a category of the feature; malignant for malignancy"),
    Column("probability", "number, 0 to 1", "the probability, calibrated for malignancy"),
    Column("probability_raw", "number, 0 to 1", "malignancy before calibration"),
    Column("model_hash", "sha256", "the model's card and weights"),
    Column("code_hash", "sha256", "the worker's code"),
    Column("input_hash", "sha256", "the nine planes the model was given"),
    Column("bundle_hash", "sha256", "the whole prediction bundle"),
    Column("stored_at", "time, UTC", "when it was stored"),
)

EARLY_OPENINGS = (
    Column("study", "text", "the study's name in addresses"),
    Column("reader", "text", "the reader's pseudonym"),
    Column("case", "text", "the case's pseudonym"),
    Column("session", "integer", "the session of the reading"),
    Column("position", "integer", "order on the reader's worklist in this session, from 1"),
    Column("reason", "text", "why the coordinator let it begin before its time"),
    Column("at", "time, UTC", "when"),
)

SKIPS = (
    *EARLY_OPENINGS[:5],
    Column("stage", "text", "how far the reading had come"),
    Column("reason", "text", "why the reader could not do it"),
    Column("at", "time, UTC", "when"),
)


class _Of(NamedTuple):
    """An answer and its reading, as far as each of its ratings tells of them again."""

    pk: int
    protocol_hash: str
    reader: str
    case: str
    session: int
    position: int
    arm: str
    repeat: bool
    stage: str
    opened_at: datetime | None
    locked_at: datetime
    revision: int
    replaced: bool


def reading_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row per reader, case, nodule, stage and question; memory does not grow."""
    protocol = study.rules
    shown = {
        (each.arm, each.stage.value): "|".join(each.shows) for each in conditions(protocol.design)
    }
    predictions = _predictions(study)
    ai = cache(lambda nodule, question: _of_the_ai(predictions.get(nodule), question))
    answers = (
        Answer.objects.filter(reading__reader__study=study)
        .annotate(replaced=replaced())
        .order_by("reading__reader__pseudonym", "reading__session", "reading__position", "pk")
        .values_list(
            *("pk", "protocol_hash", "reading__reader__pseudonym", "reading__case__pseudonym"),
            *("reading__session", "reading__position", "reading__arm", "reading__repeat"),
            *("stage", "reading__opened_at", "locked_at", "revision", "replaced"),
        )
        .iterator(ROWS_AT_ONCE)
    )
    for some in iter(lambda: [_Of(*row) for row in islice(answers, ROWS_AT_ONCE)], []):
        ratings = _ratings(some)
        for of in some:
            start = [study.slug, of.protocol_hash, of.reader, of.case, of.session, of.position]
            start += [of.arm, text_of(of.repeat)]
            shows = shown.get((of.arm, of.stage), "")
            end = [time_of(of.opened_at), time_of(of.locked_at), of.revision]
            end.append(text_of(not of.replaced))
            for nodule, number, mark, key, question, value, cannot_assess in ratings.get(of.pk, ()):
                yield [
                    *(*start, number, nodule, mark, str(key) if key else None),
                    *(of.stage, shows, question, text_of(value), text_of(cannot_assess)),
                    *end,
                    *ai(nodule, question),
                ]


def _ratings(answers: Sequence[_Of]) -> dict[int, list[tuple[Any, ...]]]:
    """Return the ratings of each answer, in their order."""
    rows = (
        Rating.objects.filter(answer__in=[each.pk for each in answers])
        .order_by("answer_id", "pk")
        .values_list(
            *("answer_id", "nodule_id", "nodule__number", "mark__number", "mark__key"),
            *("question", "value", "cannot_assess"),
        )
    )
    found: dict[int, list[tuple[Any, ...]]] = {}
    for answer, *rating in rows.iterator(ROWS_AT_ONCE):
        found.setdefault(answer, []).append(tuple(rating))
    return found


def _of_the_ai(prediction: Prediction | None, question: str) -> list[Any]:
    if prediction is None:
        return [None] * 4
    semantic = prediction.bundle["semantic"]
    if question == MALIGNANCY:
        value, probability = None, prediction.probability
    elif question in semantic:
        value = max(semantic[question], key=semantic[question].__getitem__)
        probability = semantic[question][value]
    else:
        return [None] * 4
    return [value, probability, str(prediction.model_version), prediction.bundle_hash]


def _predictions(study: Study) -> dict[int | None, Prediction]:
    found = Prediction.objects.filter(
        job__nodule__series__case__study=study, job__model=study.rules.ai.model
    ).select_related("model_version", "job")
    return {prediction.job.nodule_id: prediction for prediction in found}


def prediction_rows(study: Study) -> Iterator[list[Any]]:
    """Yield a row per nodule, target and category; a nodule without a prediction has one."""
    jobs = (
        Job.objects.filter(nodule__series__case__study=study)
        .select_related("nodule__series__case", "prediction__model_version")
        .order_by("nodule__series__case__pseudonym", "nodule__number", "model")
    )
    for job in jobs.iterator(ROWS_AT_ONCE):
        nodule = job.nodule
        start = [study.slug, nodule.series.case.pseudonym, nodule.number, nodule.pk]
        prediction = getattr(job, "prediction", None)
        if prediction is None:
            yield [*start, job.model, job.status, job.detail, *[None] * 9]
            continue
        version = prediction.model_version
        hashes = [version.hash, version.code_hash, prediction.input_hash, prediction.bundle_hash]
        end = [*hashes, time_of(prediction.stored_at)]
        start += [str(version), job.status, ""]
        raw = prediction.probability_raw
        yield [*start, MALIGNANCY, "malignant", prediction.probability, raw, *end]
        for feature, categories in prediction.bundle["semantic"].items():
            for category, probability in categories.items():
                yield [*start, feature, category, probability, None, *end]


def early_opening_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the readings a coordinator let begin before their session or washout."""
    found = (
        EarlyOpening.objects.filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by("at", "pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        reading = each.reading
        place = [reading.reader.pseudonym, reading.case.pseudonym, reading.session]
        yield [study.slug, *place, reading.position, each.reason, time_of(each.at)]


def skip_rows(study: Study) -> Iterator[list[Any]]:
    """Yield the readings that their readers could not do."""
    found = (
        Skip.objects.filter(reading__reader__study=study)
        .select_related("reading__reader", "reading__case")
        .order_by("at", "pk")
    )
    for each in found.iterator(ROWS_AT_ONCE):
        reading = each.reading
        place = [reading.reader.pseudonym, reading.case.pseudonym, reading.session]
        end = [reading.stage, each.reason, time_of(each.at)]
        yield [study.slug, *place, reading.position, *end]


def database_lock(study: Study) -> dict[str, Any] | None:
    """Return when, by whom and with what words the database of `study` was locked, if it was."""
    lock = DatabaseLock.objects.filter(study=study).first()
    if lock is None:
        return None
    return {
        "at": time_of(lock.at),
        "by": study.members.get(user=lock.by_id).pseudonym,
        "statement": lock.statement,
        "accepted": lock.accepted,
        "records": lock.records,
        "head": lock.head,
    }


def _protocols(study: Study) -> list[Protocol]:
    """Return the protocol in force and those before it, the latest first."""
    versions = ProtocolVersion.objects.filter(study=study).order_by("-number")
    return [version.rules for version in versions]


def _versions(study: Study) -> Iterator[dict[str, Any]]:
    """Yield each version of the protocol, as the export tells of it."""
    names = dict(study.members.values_list("user", "pseudonym"))
    for version in ProtocolVersion.objects.filter(study=study):
        yield {
            "number": version.number,
            "hash": version.hash,
            "at": time_of(version.at),
            "by": names.get(version.by_id, "") if version.by_id else "",
            "phase": version.phase,
            "reason": version.reason,
            "protocol": version.protocol,
        }


def dictionary_rows(protocols: Sequence[Protocol]) -> Iterator[list[Any]]:
    """Yield what every column means, then what every question asks and allows.

    `protocols` are the versions, the latest first; a question that was changed is told of as
    often.
    """
    tables = {
        "readings": READINGS,
        "predictions": PREDICTIONS,
        "times": TIMES,
        "seen": SEEN,
        "dwell": DWELL,
        "dwell_maps": DWELL_MAPS,
        "exposures": EXPOSURES,
        "untimed_events": UNTIMED,
        "marks": MARKS,
        "measurements": MEASUREMENTS,
        "early_openings": EARLY_OPENINGS,
        "skips": SKIPS,
        "signatures": SIGNATURES,
        "unlocks": UNLOCKS,
        "display_checks": DISPLAY_CHECKS,
        "deviations": DEVIATIONS,
    }
    for table, columns in tables.items():
        for column in columns:
            yield [table, column.name, column.kind, column.meaning, "", ""]
    for about in ("case", "nodule", "mark"):
        rows = [
            tuple(_question_row(about, question))
            for protocol in protocols
            for question in getattr(protocol.questionnaire, about)
        ]
        yield from map(list, dict.fromkeys(rows))


def _question_row(about: str, question: Question) -> Iterator[str]:
    allowed = "|".join(f"{option.value}={option.label}" for option in question.options)
    if scale := question.scale:
        allowed = f"{scale.min:g}={scale.low}|{scale.max:g}={scale.high}"
    yield f"question on the {about}"
    yield question.name
    yield question.kind
    yield " ".join(filter(None, [question.label, question.help]))
    yield allowed
    yield question.unit or ""


def write_tables(
    study: Study, target: IO[bytes], *, idle_after_s: float = IDLE_AFTER_S
) -> dict[str, int]:
    """Write the export of `study` as a ZIP archive to `target`; return the rows by file.

    A reader is taken as active for `idle_after_s` after each sign of activity.
    """
    counts = {}
    header = ["table", "name", "kind", "meaning", "allowed", "unit"]
    tables = {
        "readings.csv": ([c.name for c in READINGS], reading_rows(study)),
        "predictions.csv": ([c.name for c in PREDICTIONS], prediction_rows(study)),
        "times.csv": ([c.name for c in TIMES], time_rows(study, idle_after_s)),
        "seen.csv": ([c.name for c in SEEN], seen_rows(study, idle_after_s)),
        "dwell.csv": ([c.name for c in DWELL], dwell_rows(study, idle_after_s)),
        "dwell_maps.csv": ([c.name for c in DWELL_MAPS], dwell_map_rows(study, idle_after_s)),
        "exposures.csv": ([c.name for c in EXPOSURES], exposure_rows(study)),
        "untimed_events.csv": ([c.name for c in UNTIMED], untimed_rows(study)),
        "marks.csv": ([c.name for c in MARKS], mark_rows(study)),
        "measurements.csv": ([c.name for c in MEASUREMENTS], measurement_rows(study)),
        "early_openings.csv": ([c.name for c in EARLY_OPENINGS], early_opening_rows(study)),
        "skips.csv": ([c.name for c in SKIPS], skip_rows(study)),
        "signatures.csv": ([c.name for c in SIGNATURES], signature_rows(study)),
        "display_checks.csv": ([c.name for c in DISPLAY_CHECKS], display_check_rows(study)),
        "unlocks.csv": ([c.name for c in UNLOCKS], unlock_rows(study)),
        "deviations.csv": ([c.name for c in DEVIATIONS], deviation_rows(study)),
        "data_dictionary.csv": (header, dictionary_rows(_protocols(study))),
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (columns, rows) in tables.items():
            with archive.open(member(name), "w") as raw:
                counts[name] = write_csv(raw, columns, rows)
        protocol = {
            "protocol_hash": study.protocol_hash,
            "protocol": study.protocol,
            "versions": list(_versions(study)),
        }
        archive.writestr(
            member("protocol.json"), json.dumps(protocol, indent=2, ensure_ascii=False)
        )
        if lock := database_lock(study):
            archive.writestr(
                member("database_lock.json"), json.dumps(lock, indent=2, ensure_ascii=False)
            )
    return counts


def member(name: str) -> zipfile.ZipInfo:
    """A file of a ZIP archive without a date, so that the same content is the same archive."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def write_csv(raw: IO[bytes], columns: list[str], rows: Iterator[list[Any]]) -> int:
    """Write rows as CSV (RFC 4180, UTF-8) to `raw`; return how many there were.

    No cell is a formula to a spreadsheet (`columns.cell`).
    """
    count = 0
    with io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(columns)
        for count, row in enumerate(rows, start=1):  # noqa: B007
            writer.writerow([cell(value) for value in row])
    return count
