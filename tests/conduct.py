"""Whole studies conducted over the site's own API, by simulated readers on a clock of their own."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.test import Client
from django.urls import reverse

from reader_study.actions.study import allocate_readings
from reader_study.models import Job, Nodule, Reading, Study
from tests.factories import NOW, a_case, a_member, a_prediction, a_study


def a_study_to_conduct(readers: int, cases: int, training: int = 0, **changes: Any) -> Study:
    """A study that is dealt out and open, with every prediction."""
    study = a_study(is_open=False, **changes)
    for number in range(cases):
        case = a_case(study)
        case.training = number < training
        case.save()
    for _ in range(readers):
        a_member(study)
    allocate_readings(study=study, now=NOW)
    for nodule in Nodule.objects.of_study(study):
        if not Job.objects.filter(nodule=nodule).exists():
            a_prediction(nodule)
    study.refresh_from_db()
    study.opened_at = NOW
    study.save()
    return study


class Conductor:
    """Simulated readers at the site's API; `clock` is what the site takes as the time."""

    def __init__(self, client: Client, clock: dict[str, datetime]) -> None:
        self.client, self.clock = client, clock
        self.seen: list[tuple[Reading, str, bool, set[str]]] = []

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.clock["now"] += timedelta(**time)

    def call(self, reading: Reading, what: str, method: str = "post", **data: Any) -> Any:
        """Call the API as the reader of `reading`."""
        self.client.force_login(reading.reader.user)
        address = reverse(f"api-{what}", args=[reading.pk])
        return getattr(self.client, method)(address, data, content_type="application/json")

    def read(self, reading: Reading, answers: dict[str, Any]) -> list[str]:
        """Do one reading from its opening to its submission; return its stages.

        What of the AI could be had at each stage is kept in `seen`.
        """
        shown = self.call(reading, "open").json()
        stages = []
        while shown["stage"] != "submitted":
            stage = shown["stage"]
            stages.append(stage)
            self.look(reading, stage)
            self.wait(minutes=1)
            # As the reading room does: lock without AI, submit with it.
            what = "lock" if stage == "unaided" else "submit"
            response = self.call(reading, what, answers=answers)
            assert response.status_code == 200, response.content
            shown = response.json()
        assert stages == shown["path"]
        self.look(reading, "submitted")
        return stages

    def look(self, reading: Reading, stage: str) -> None:
        """Ask for the AI, and keep what came."""
        ai = self.call(reading, "ai", "get")
        items = set()
        if ai.status_code == 200:
            for of_nodule in ai.json()["nodules"].values():
                items |= set(of_nodule) - {"status", "detail"}
        self.seen.append((reading, stage, ai.status_code == 200, items))

    def readings(self, study: Study, session: int) -> Iterator[Reading]:
        """The readings of a session, in the order of each reader's worklist."""
        yield from (
            Reading.objects.of_study(study)
            .filter(session=session)
            .select_related("reader__user", "case")
            .order_by("reader", "position")
        )
