"""One study with everything in it, one that is locked, and everybody who may call."""

from pathlib import Path
from typing import Any, NamedTuple

from django.test import Client
from django.utils import timezone

from reader_study.actions.cases import site_archive
from reader_study.actions.conduct import lock_database, open_points
from reader_study.actions.tokens import make_token
from reader_study.domain.reading import Stage
from reader_study.models import (
    ImportFile,
    ImportJob,
    ImportSeries,
    Reading,
    ResultDocument,
    Role,
    User,
)
from tests.dicomweb.series import a_series
from tests.factories import NOW, PASSWORD, a_member, a_prediction, a_reading, a_study, a_user


class World(NamedTuple):
    """A study with objects, who calls, and how to fill an address in."""

    reading: Reading
    locked: str
    job: ImportJob
    values: dict[str, Any]
    clients: dict[str, tuple[Client, dict[str, str]]]
    elsewhere: str
    users: dict[str, User]


def a_world(settings: Any, tmp_path: Path) -> World:
    """Make it; images lie below `tmp_path`."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.STAGING_DIR = tmp_path / "staging"
    # What is counted over several calls is not the matter here.
    settings.ACCOUNT_RATE_LIMITS = settings.MFA_RATE_LIMITS = False
    reading = a_reading(stage=Stage.AIDED)
    study = reading.reader.study
    series = reading.case.series.get()
    a_prediction(series.nodules.get())
    files = a_series(tmp_path / "ct", slices=2, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    locked = a_study()
    users: dict[str, User] = {
        "reader": reading.reader.user,
        "colleague": a_member(study).user,
        "reader elsewhere": a_member(a_study()).user,
        "panel": a_member(study, Role.TRUTH_PANEL).user,
        "investigator": a_member(study, Role.INVESTIGATOR).user,
        "coordinator": a_member(study, Role.COORDINATOR, a_user(password=PASSWORD)).user,
        "coordinator elsewhere": (elsewhere := a_member(a_study(), Role.COORDINATOR)).user,
        "administrator": a_user(is_superuser=True),
    }
    for name in ("investigator", "coordinator"):
        a_member(locked, Role(name), users[name])
    accepted = {point.kind: "accepted" for point in open_points(locked)}
    lock_database(
        study=locked, by=users["coordinator"], statement="Done.", accepted=accepted, now=NOW
    )
    ResultDocument.objects.create(
        study=locked,
        inputs_hash="a" * 64,
        code_hash="b" * 64,
        name="table.csv",
        media_type="text/csv",
        content=b"a",
        computed_at=NOW,
    )
    job = ImportJob.objects.create(
        study=study,
        source="upload",
        origin="ct",
        state="receiving",
        by=users["coordinator"],
        asked_at=NOW,
    )
    file = ImportFile.objects.create(job=job, path="a.dcm", size=3)
    found = ImportSeries.objects.create(
        job=job, study_uid="1.2", series_uid="1.2.3", files=1, state="held"
    )
    clients: dict[str, tuple[Client, dict[str, str]]] = {"nobody": (Client(), {})}
    for role, user in users.items():
        client = Client(raise_request_exception=False)
        client.force_login(user)
        clients[role] = (client, {})
    clients["service"] = caller(settings.SERVICE_TOKEN)
    for scope in ("read", "export", "manage", "import", "truth"):
        clients[f"token {scope}"] = caller(a_word(users["coordinator"], scope))
    clients["token panel"] = caller(a_word(users["panel"], "truth"))
    clients["token service"] = caller(a_word(users["administrator"], "service"))
    everything = ("read", "export", "manage", "import", "truth")
    clients["token elsewhere"] = caller(a_word(elsewhere.user, *everything))
    values = {
        "slug": study.slug,
        "reading_id": reading.pk,
        "pk": job.pk,
        "case_id": reading.case_id,
        "nodule_id": series.nodules.get().pk,
        "file_id": file.pk,
        "series_id": found.pk,
        "session": 1,
        "number": 1,
        "frame": 0,
        "frames": "1",
        "uidb64": "MQ",
        "token": "set-password",
        "name": "table.csv",
    }
    return World(reading, locked.slug, job, values, clients, elsewhere.study.slug, users)


def caller(word: str) -> tuple[Client, dict[str, str]]:
    headers = {"Authorization": f"Bearer {word}"}
    return Client(raise_request_exception=False), headers


def a_word(user: User, *scopes: str) -> str:
    return make_token(user=user, name="t", scopes=scopes, days=9, now=timezone.now())[1]
