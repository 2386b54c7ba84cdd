"""What the site's worker notes down of readings, and what the desk is shown of their progress."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    Aggregate,
    BooleanField,
    Count,
    ExpressionWrapper,
    F,
    FloatField,
    Max,
    Min,
    Q,
    QuerySet,
)

from reader_study.actions.heartbeat import last_heard_of
from reader_study.domain.clock import time_spent
from reader_study.domain.conduct import Quality
from reader_study.domain.deviation import WORDS, Kind
from reader_study.domain.monitoring import (
    LOOKED_BACK,
    Oddity,
    SessionStand,
    forecast_end,
    hours_left,
    in_words,
    longest_pause_s,
    pace_per_week,
    ratings_hash,
)
from reader_study.domain.reading import Stage
from reader_study.exports.events import IDLE_AFTER_S, happened
from reader_study.models import (
    Answer,
    Deviation,
    Event,
    Job,
    JobStatus,
    Reading,
    ReadingPace,
    Study,
)

# Kinds of questions of which a reader may give the same answers time after time.
RATED = {"single_choice", "multiple_choice", "scale"}
AT_ONCE = 500
ODD_SHOWN = 50


@transaction.atomic
def note_paces(limit: int = AT_ONCE) -> int:
    """Note how readings went that were submitted since; return how many there were."""
    waiting = list(
        Reading.objects.filter(stage=Stage.SUBMITTED)
        .filter(Q(pace=None) | ~Q(pace__submitted_at=F("submitted_at")))
        .select_related("version", "reader__study")
        .order_by("submitted_at", "pk")[:limit]
    )
    events: dict[int, list[Event]] = {}
    for event in Event.objects.timed().filter(reading__in=waiting).order_by("pk"):
        events.setdefault(event.reading_id, []).append(event)
    # The last stage comes last: its answer is the final one.
    answers = {
        answer.reading_id: answer.answers
        for answer in Answer.objects.filter(reading__in=waiting).order_by("locked_at", "pk")
    }
    before = _last_hashes({each.reader_id for each in waiting})
    rated: dict[int | None, set[str]] = {}
    found = []
    for reading in waiting:
        if reading.version_id not in rated:
            form = reading.rules.questionnaire
            asked = (*form.nodule, *form.mark)
            rated[reading.version_id] = {q.name for q in asked if q.kind in RATED}
        told = [happened(event) for event in events.get(reading.pk, ())]
        said = ratings_hash(answers.get(reading.pk, {}), rated[reading.version_id])
        last, in_a_row = before.get(reading.reader_id, ("", 0))
        in_a_row = in_a_row + 1 if said and said == last else 1
        before[reading.reader_id] = (said, in_a_row)
        assert reading.submitted_at is not None  # as the filter has it
        found.append(
            ReadingPace(
                reading=reading,
                submitted_at=reading.submitted_at,
                active_s=sum(
                    spent.active_s for spent in time_spent(told, idle_after_s=IDLE_AFTER_S).values()
                ),
                longest_pause_s=longest_pause_s(told),
                ratings_hash=said,
                same_in_a_row=in_a_row,
            )
        )
    ReadingPace.objects.bulk_create(
        found,
        update_conflicts=True,
        unique_fields=["reading"],
        update_fields=[
            *("submitted_at", "active_s", "longest_pause_s", "ratings_hash", "same_in_a_row"),
        ],
    )
    return len(found)


def _last_hashes(readers: Iterable[int]) -> dict[int, tuple[str, int]]:
    """Return with which ratings each reader ended last, and how often in a row."""
    rows = (
        ReadingPace.objects.filter(reading__reader__in=readers)
        .order_by("reading__reader", "-submitted_at", "-pk")
        .distinct("reading__reader")
        .values_list("reading__reader", "ratings_hash", "same_in_a_row")
    )
    return {reader: (said, in_a_row) for reader, said, in_a_row in rows}


# What the desk is shown


class _Median(Aggregate):
    template = "percentile_cont(0.5) within group (order by %(expressions)s)"
    output_field = FloatField()


class SessionProgress(NamedTuple):
    """How far one reader is in one session; `odd` counts readings by what looks odd."""

    session: int
    of: int
    submitted: int
    skipped: int
    under_way: int
    odd: dict[Oddity, int]
    last_ended_at: datetime | None

    @property
    def left(self) -> int:
        """How many have not ended."""
        return self.of - self.submitted - self.skipped


class ReaderProgress(NamedTuple):
    """How far a reader is, by pseudonym, and when they will be done at their pace.

    `median_s` is the active time of one of their readings; `deviations` counts theirs.
    """

    reader: str
    sessions: list[SessionProgress]
    median_s: float | None
    per_week: float | None
    hours_left: float | None
    ends_at: datetime | None
    deviations: int

    @property
    def of(self) -> int:
        """How many readings they have."""
        return sum(each.of for each in self.sessions)

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return self.of - self.left

    @property
    def left(self) -> int:
        """How many of them have not."""
        return sum(each.left for each in self.sessions)

    @property
    def odd(self) -> int:
        """How often something looks odd."""
        return sum(sum(each.odd.values()) for each in self.sessions)


class OddReading(NamedTuple):
    """One reading that looks odd, and how, in words."""

    reader: str
    session: int
    position: int
    submitted_at: datetime
    why: list[str]


class Machinery(NamedTuple):
    """How the workers are: what waits for the AI, what it said last, what failed."""

    waiting: int
    oldest_waiting_since: datetime | None
    done: int
    failed: int
    last_ended_at: datetime | None
    site_worker_at: datetime | None
    inference_worker_at: datetime | None


class StudyProgress(NamedTuple):
    """How far a study is; nothing of it tells how accurate anybody is."""

    readers: list[ReaderProgress]
    of: int
    submitted: int
    skipped: int
    ends_at: datetime | None
    deviations: list[tuple[str, int]]
    odd: list[OddReading]
    limits: list[str]
    machinery: Machinery

    @property
    def ended(self) -> int:
        """How many readings have ended."""
        return self.submitted + self.skipped


def progress_of(study: Study, now: datetime) -> StudyProgress:
    """Return how far `study` is, in a number of queries that does not depend on its size."""
    rules = study.rules
    sessions = _sessions(study, rules.conduct.quality)
    paces = _paces(study, now)
    all_median = _of_study(study).aggregate(median=_Median("active_s"))["median"]
    deviations = list(
        Deviation.objects.filter(study=study)
        .order_by()
        .values_list("reader", "kind")
        .annotate(Count("pk"))
    )
    readers = []
    for pk, pseudonym in study.members.readers().values_list("pk", "pseudonym"):
        own = sessions.get(pk, [])
        pace = paces.get(pk, _Pace(0, None, 0, None))
        per_week = pace_per_week(pace.recent, pace.first_at, now)
        left = sum(each.left for each in own)
        stands = [SessionStand(each.left, each.last_ended_at) for each in own]
        readers.append(
            ReaderProgress(
                pseudonym,
                own,
                pace.median_s,
                per_week,
                hours_left(left, pace.number, pace.median_s, all_median),
                forecast_end(stands, per_week, rules.design.washout, now) if own else None,
                sum(number for reader, _, number in deviations if reader == pk),
            )
        )
    kinds: dict[str, int] = {}
    for _, kind, number in deviations:
        kinds[kind] = kinds.get(kind, 0) + number
    ends = [each.ends_at for each in readers if each.of]
    known = [end for end in ends if end is not None]
    every = [each for reader in readers for each in reader.sessions]
    return StudyProgress(
        readers=readers,
        of=sum(each.of for each in every),
        submitted=sum(each.submitted for each in every),
        skipped=sum(each.skipped for each in every),
        # Of a study whose slowest reader is not known nothing is foretold.
        ends_at=max(known) if known and len(known) == len(ends) else None,
        deviations=sorted((WORDS[Kind(kind)], number) for kind, number in kinds.items()),
        odd=_odd_readings(study, rules.conduct.quality),
        limits=[in_words(each, rules.conduct.quality) for each in Oddity],
        machinery=machinery_of(study),
    )


def _oddities(limits: Quality, pace: str = "") -> dict[Oddity, Q]:
    """The conditions under which a reading, reached by `pace`, looks odd."""
    return {
        Oddity.TOO_FAST: Q(**{f"{pace}active_s__lt": limits.min_active_seconds}),
        Oddity.SAME_ANSWERS: Q(**{f"{pace}same_in_a_row__gte": limits.same_answers_in_a_row}),
        Oddity.LONG_PAUSE: Q(**{f"{pace}longest_pause_s__gte": limits.pause_minutes * 60}),
    }


def _sessions(study: Study, limits: Quality) -> dict[int, list[SessionProgress]]:
    odd = _oddities(limits, "pace__")
    rows: Any = (
        Reading.objects.filter(reader__study=study)
        .order_by()
        .values("reader", "session")
        .annotate(
            of=Count("pk"),
            submitted=Count("pk", filter=Q(stage=Stage.SUBMITTED)),
            skipped=Count("skip", filter=~Q(stage=Stage.SUBMITTED)),
            under_way=Count(
                "pk", filter=~Q(stage__in=(Stage.ASSIGNED, Stage.SUBMITTED)) & Q(skip=None)
            ),
            last=Max("submitted_at"),
            last_skip=Max("skip__at"),
            **{each.value: Count("pk", filter=condition) for each, condition in odd.items()},
        )
    )
    found: dict[int, list[SessionProgress]] = {}
    for row in rows:
        ended = [at for at in (row["last"], row["last_skip"]) if at]
        found.setdefault(row["reader"], []).append(
            SessionProgress(
                row["session"],
                row["of"],
                row["submitted"],
                row["skipped"],
                row["under_way"],
                {each: row[each.value] for each in odd},
                max(ended, default=None),
            )
        )
    for sessions in found.values():
        sessions.sort()
    return found


class _Pace(NamedTuple):
    number: int
    median_s: float | None
    recent: int
    first_at: datetime | None


def _of_study(study: Study) -> QuerySet[ReadingPace]:
    return ReadingPace.objects.filter(reading__reader__study=study)


def _paces(study: Study, now: datetime) -> dict[int, _Pace]:
    rows = (
        _of_study(study)
        .order_by()
        .values_list("reading__reader")
        .annotate(
            count=Count("pk"),
            median=_Median("active_s"),
            recent=Count("pk", filter=Q(submitted_at__gt=now - LOOKED_BACK)),
            first=Min("submitted_at"),
        )
    )
    return {reader: _Pace(*row) for reader, *row in rows}


def _odd_readings(study: Study, limits: Quality) -> list[OddReading]:
    conditions = _oddities(limits)
    odd = Q()
    for condition in conditions.values():
        odd |= condition
    rows = (
        _of_study(study)
        .filter(odd)
        .annotate(
            **{
                each.value: ExpressionWrapper(condition, BooleanField())
                for each, condition in conditions.items()
            }
        )
        .order_by("-submitted_at")
        .values(
            *("reading__reader__pseudonym", "reading__session", "reading__position"),
            *("submitted_at", *(each.value for each in conditions)),
        )[:ODD_SHOWN]
    )
    return [
        OddReading(
            row["reading__reader__pseudonym"],
            row["reading__session"],
            row["reading__position"],
            row["submitted_at"],
            [in_words(each, limits) for each in conditions if row[each.value]],
        )
        for row in rows
    ]


def machinery_of(study: Study) -> Machinery:
    """Return how the workers are, as far as it concerns `study`."""
    jobs = Job.objects.filter(nodule__series__case__study=study)
    counts = jobs.aggregate(
        waiting=Count("pk", filter=Q(status=JobStatus.WAITING)),
        since=Min("asked_at", filter=Q(status=JobStatus.WAITING)),
        done=Count("pk", filter=Q(status=JobStatus.DONE)),
        failed=Count("pk", filter=Q(status=JobStatus.FAILED)),
        last=Max("ended_at"),
    )
    return Machinery(
        counts["waiting"],
        counts["since"],
        counts["done"],
        counts["failed"],
        counts["last"],
        last_heard_of("site"),
        last_heard_of("inference"),
    )
