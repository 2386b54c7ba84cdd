"""A whole study, rehearsed: simulated readers at the site's own API, from allocation to export.

Everything happens in one transaction that is taken back, in a study of its own with made-up
cases: a study that is being read is never touched. The site's clock is moved on, so that
washouts pass; only the process of the rehearsal sees that.
"""

import csv
import io
import secrets
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from scipy.special import ndtr

from reader_study.actions.archive import write_archive
from reader_study.actions.computation import compute_results
from reader_study.actions.conduct import lock_database
from reader_study.actions.prediction import record_prediction
from reader_study.actions.reference import load_reference
from reader_study.actions.study import add_member, allocate_readings, create_study
from reader_study.actions.verification import verify_study
from reader_study.domain.answers import computed_category
from reader_study.domain.design import TRAINING, conditions
from reader_study.domain.errors import LockRefused
from reader_study.domain.protocol import Protocol
from reader_study.domain.questionnaire import Question
from reader_study.exports.tables import write_tables
from reader_study.management.blinding_hidden import marked_result
from reader_study.models import Case, Job, Membership, Nodule, Reading, Role, Series, Study, User
from reader_study.statistics.power import simulate

PASSWORD_LENGTH = 24
# How far apart malignant and benign cases look, in standard deviations: AUC about 0.76 and 0.84.
UNAIDED, AIDED = 1.0, 1.4
# A reading that is not open yet is tried again when the site says that it opens, or after this.
PATIENCE = timedelta(minutes=30)
TRIES = 100
LINES = 3


class Rehearsal(NamedTuple):
    """What came of it: `days` by the study's clock, `seconds` by that of this machine."""

    readings: int
    answers: int
    signatures: int
    days: int
    calls: int
    seconds: float
    records: int
    broken: str
    lines: list[str]  # of readings.csv: its header and the first rows


class RehearsalFailed(Exception):
    """The site refused something that a reader does; the text says what."""


def rehearse(
    protocol: Protocol,
    *,
    readers: int,
    cases: int,
    seed: int,
    now: datetime,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
    archive: Path | None = None,
) -> Rehearsal:
    """Conduct a study of `protocol` with simulated readers, and take everything back.

    With `archive` its database is locked too, its results are computed, and all of it is written
    to that ZIP file.

    Ratings are drawn from the model of Roe and Metz (`statistics.power.simulate`); half of the
    cases are malignant. `cases` are those of the study itself; training cases come on top.

    Raises:
        AllocationImpossible, StudyNotOpen: the cases cannot be dealt out.
        RehearsalFailed: the site refused a reader.
    """
    honest = timezone.now
    with transaction.atomic():
        try:
            conducted = _Conducted(protocol, readers, cases, seed, now, progress)
            came = conducted.to_its_end()
            if archive is not None:
                conducted.lock_and_archive(archive)
            return came
        finally:
            timezone.now = honest
            transaction.set_rollback(True)


class _Conducted:
    def __init__(
        self,
        protocol: Protocol,
        readers: int,
        cases: int,
        seed: int,
        now: datetime,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.protocol, self.progress = protocol, progress
        self.clock = self.began = now
        self.calls = 0
        named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
        self.client = Client(HTTP_HOST=named[0] if named else "localhost")
        self.password = secrets.token_urlsafe(PASSWORD_LENGTH)
        timezone.now = lambda: self.clock
        rng = np.random.default_rng(seed)
        self.rng = rng
        every = conditions(protocol.design)
        apart = tuple(AIDED if each.shows else UNAIDED for each in every)
        self.places = {(each.arm, each.stage.value): n for n, each in enumerate(every)}
        self.latent, malignant = simulate(rng, apart, readers, cases // 2, cases - cases // 2)
        self.study = self._set_up(readers, malignant.tolist())

    def _set_up(self, readers: int, malignant: Sequence[bool]) -> Study:
        study = create_study(
            slug=f"rehearsal-{secrets.token_hex(6)}",
            document=self.protocol.model_dump(mode="json"),
            now=self.clock,
        )
        training = self.protocol.design.training.cases if self.protocol.design.training else 0
        for number, positive in enumerate([*malignant, *[False] * training], start=1):
            nodule = _case(study, number, number > len(malignant))
            load_reference(nodule=nodule, malignant=positive, source="simulated", now=self.clock)
        for number in range(1, readers + 1):
            user = User.objects.create_user(
                username=f"{study.slug}-{number}", password=self.password
            )
            pseudonym = f"R{number:02}"
            add_member(study=study, user=user, role=Role.READER, pseudonym=pseudonym)
        allocate_readings(study=study, now=self.clock)
        for nodule in Nodule.objects.of_study(study):
            job = Job.objects.create(
                nodule=nodule,
                model=self.protocol.ai.model,
                asked_at=self.clock,
                retry_at=self.clock + timedelta(days=1),
            )
            record_prediction(
                job_id=job.pk, message=marked_result(study, "simulated"), now=self.clock
            )
        study.refresh_from_db()
        study.opened_at = self.clock
        study.save(update_fields=["opened_at"])
        return study

    def to_its_end(self) -> Rehearsal:
        """Let every reader read everything, and export it."""
        began = time.perf_counter()
        readings = list(
            Reading.objects.of_study(self.study)
            .select_related("reader__user", "case")
            .order_by("session", "reader", "position")
        )
        order = {
            name: number
            for number, name in enumerate(
                Case.objects.filter(study=self.study, training=False)
                .order_by("pseudonym")
                .values_list("pseudonym", flat=True)
            )
        }
        members = sorted({each.reader_id for each in readings})
        signatures = answers = 0
        for number, reading in enumerate(readings):
            self.progress("readings", number, len(readings))
            place = members.index(reading.reader_id), order.get(reading.case.pseudonym, 0)
            answers += self._read(reading, place)
            following = readings[number + 1] if number + 1 < len(readings) else None
            ends = following is None or (following.reader_id, following.session) != (
                reading.reader_id,
                reading.session,
            )
            if ends and self.protocol.conduct.signature != "off" and reading.session != TRAINING:
                signatures += self._sign(reading.reader, reading.session)
        self.progress("readings", len(readings), len(readings))
        seconds = time.perf_counter() - began
        checked = verify_study(self.study)
        return Rehearsal(
            len(readings),
            answers,
            signatures,
            (self.clock - self.began).days + 1,
            self.calls,
            seconds,
            checked.length,
            str(checked.broken or ""),
            self._export(),
        )

    def lock_and_archive(self, archive: Path) -> None:
        """Lock the database, compute the results, and write the archive."""
        coordinator = User.objects.create_user(username=f"{self.study.slug}-coordinator")
        add_member(
            study=self.study, user=coordinator, role=Role.COORDINATOR, pseudonym="Coordinator"
        )
        says = "A rehearsal: every reader was simulated."
        try:
            lock_database(
                study=self.study,
                by=coordinator,
                statement=says,
                accepted={"deviations": says},
                now=self.clock,
            )
        except LockRefused as refusal:
            raise RehearsalFailed(refusal.detail) from None
        self.study.refresh_from_db()
        self.progress("results", 0, 1)
        compute_results(study=self.study, now=self.clock)
        with archive.open("wb") as file:
            write_archive(self.study, file)

    def _call(self, reading: Reading, what: str, method: str = "post", **data: Any) -> Any:
        self.calls += 1
        address = reverse(f"api-{what}", args=[reading.pk])
        return getattr(self.client, method)(address, data, content_type="application/json")

    def _must(self, response: Any, what: str) -> Any:
        if not 200 <= response.status_code < 300:
            said = response.content.decode(errors="replace")[:300]
            raise RehearsalFailed(f"{what} was answered {response.status_code}: {said}")
        return response.json()

    def _read(self, reading: Reading, place: tuple[int, int]) -> int:
        """Do one reading; return how many answers it took."""
        self.client.force_login(reading.reader.user)
        response = self._call(reading, "open")
        for _ in range(TRIES):
            if response.status_code == 200:
                break
            told = response.json().get("not_before")
            opens = datetime.fromisoformat(told) if told else self.clock
            self.clock = max(opens, self.clock + PATIENCE)
            self.client.force_login(reading.reader.user)
            response = self._call(reading, "open")
        shown = self._must(response, "opening a reading")
        answers = 0
        while shown["stage"] != "submitted":
            stage = shown["stage"]
            latent = self.latent[(self.places[reading.arm, stage], *place)]
            filled = self._answers(reading, shown, float(latent))
            self.clock += timedelta(seconds=60)
            version = shown["draft"]["version"]
            key = str(uuid4())
            draft = {"stage": stage, "version": version, "answers": filled, "key": key}
            saved = self._must(self._call(reading, "draft", "put", **draft), "saving a draft")
            if shown["shows"]:
                self._must(self._call(reading, "ai", "get"), "asking for the AI")
            self.clock += timedelta(seconds=30)
            step = "lock" if stage == "unaided" else "submit"
            sent = {"answers": filled, "version": saved["version"], "key": str(uuid4())}
            shown = self._must(self._call(reading, step, **sent), f"the step {step}")
            answers += 1
        return answers

    def _sign(self, member: Membership, session: int) -> int:
        self.calls += 1
        self.client.force_login(member.user)
        address = reverse("sign", args=[self.study.slug, session])
        response = self.client.post(address, {"name": member.pseudonym, "password": self.password})
        if response.status_code != 302:
            raise RehearsalFailed(f"signing a session was answered {response.status_code}")
        return 1

    # What a reader answers

    def _answers(self, reading: Reading, shown: Mapping[str, Any], latent: float) -> dict[str, Any]:
        form = self.protocol.questionnaire
        nodules = [str(each["id"]) for each in shown["nodules"]]
        filled: dict[str, Any] = {
            "case": self._form(form.case, latent),
            "nodules": {nodule: self._form(form.nodule, latent) for nodule in nodules},
        }
        if not self.protocol.findings.has_marks:
            return filled
        # Marks stay where the unaided answer has them.
        locked = (shown["answers"]["unaided"] or {}).get("marks")
        if locked is not None or latent > 0:
            places = [
                {"id": mark["id"], "series": mark["series"], "point_mm": mark["point_mm"]}
                for mark in locked or [_mark(reading)]
            ]
            questions = (*form.nodule, *form.mark)
            filled["marks"] = [
                {**place, "answers": self._form(questions, latent)} for place in places
            ]
        else:
            filled["no_finding"] = True
        return filled

    def _form(self, questions: Sequence[Question], latent: float) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for question in questions:
            answers[question.name] = {"value": self._value(question, latent)}
        for question in questions:
            if question.computed:
                category = computed_category(question.computed, answers)
                if category is not None:
                    answers[question.name] = {"value": category.value}
        return answers

    def _value(self, question: Question, latent: float) -> Any:
        share = float(ndtr((latent - UNAIDED / 2) / 1.2))
        match question.kind:
            case "single_choice":
                options = [option.value for option in question.options]
                if _is_rated(self.protocol, question.name):
                    return options[min(int(share * len(options)), len(options) - 1)]
                return options[int(self.rng.integers(len(options)))]
            case "multiple_choice":
                return [question.options[int(self.rng.integers(len(question.options)))].value]
            case "text":
                return "simulated"
        if question.scale is None:
            return round(4 + 20 * share, 1)
        low, high, step = question.scale.min, question.scale.max, question.scale.step
        value = low + round(share * (high - low) / step) * step
        return min(round(value, 6), high)

    def _export(self) -> list[str]:
        file = io.BytesIO()
        write_tables(self.study, file)
        with zipfile.ZipFile(file) as archive:
            text = io.TextIOWrapper(archive.open("readings.csv"), encoding="utf-8", newline="")
            rows = csv.reader(text)
            lines = []
            for _, row in zip(range(LINES + 1), rows, strict=False):
                out = io.StringIO()
                csv.writer(out, lineterminator="").writerow(row)
                lines.append(out.getvalue())
        return lines


def _is_rated(protocol: Protocol, name: str) -> bool:
    plan = protocol.analysis
    return plan is not None and any(each.question == name for each in plan.endpoints)


def _case(study: Study, number: int, training: bool) -> Nodule:
    case = Case.objects.create(
        study=study, pseudonym=f"C{number:04}", subject=f"S{number:04}", training=training
    )
    uid = f"2.25.{secrets.randbits(96)}"
    series = Series.objects.create(
        case=case,
        study_uid=uid,
        series_uid=f"{uid}.1",
        frame_of_reference_uid=f"{uid}.2",
        slices=60,
    )
    return Nodule.objects.create(series=series, number=1, label="N1", x=10.0, y=-20.0, z=30.5)


def _mark(reading: Reading) -> dict[str, Any]:
    nodule = Nodule.objects.filter(series__case=reading.case_id)[0]
    return {
        "id": str(uuid4()),
        "series": nodule.series_id,
        "point_mm": [nodule.x, nodule.y, nodule.z],
    }
