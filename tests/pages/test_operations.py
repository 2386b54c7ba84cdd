"""What operators see of a site: readiness, metrics, and logs in which no patient is."""

import io
import json
import logging
import re
import subprocess
import sys
import urllib.request
from datetime import timedelta

import pydicom
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from broker.logs import JsonLines
from reader_study import settings as site_settings
from reader_study.actions import condition
from reader_study.actions.heartbeat import note_alive
from reader_study.domain.reading import Stage
from reader_study.models import Role
from reader_study.tasks import record_prediction
from tests.dicomweb.series import a_series
from tests.factories import (
    PASSWORD,
    a_member,
    a_prediction,
    a_reading,
    a_study,
    a_user,
    answers_of,
)
from tests.server import Server

TOKEN = {"Authorization": "Bearer of metrics"}


# Readiness


@pytest.mark.django_db
@pytest.mark.parametrize("what", ["disk", "migrations"])
def test_a_site_that_cannot_serve_says_what_is_missing(client, settings, monkeypatch, what):
    if what == "disk":
        settings.LEAST_FREE_GB = 1e9
    else:
        monkeypatch.setattr(condition, "migrated", lambda: False)

    told = client.get("/health/ready")

    assert told.status_code == 503
    assert what in told.json()["missing"]


@pytest.mark.django_db
def test_without_its_broker_or_archive_a_site_goes_on_and_says_so(client, settings, tmp_path):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.ARCHIVE_URL = "http://127.0.0.1:9/dicom-web"  # where nobody answers

    told = client.get("/health/ready")

    assert (told.status_code, told.json()["ready"]) == (200, True)
    assert "archive" in told.json()["missing"]
    # The queues are in no test's database unless it needs them.
    assert ("broker" in told.json()["missing"]) == (not condition.queue_lengths())


@pytest.mark.django_db
def test_migrations_that_are_missing_are_noticed_until_they_are_there(monkeypatch):
    condition._migrated.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(condition.MigrationExecutor, "migration_plan", lambda *_: ["0099"])
        assert not condition.migrated()
    assert condition.migrated()


# Metrics


@pytest.mark.django_db
def test_only_prometheus_is_given_metrics(client, settings):
    def asked(**headers):
        return client.get("/metrics", headers=headers).status_code

    assert asked() == asked(**TOKEN) == 404
    settings.METRICS_TOKEN = "of metrics"
    assert (asked(**TOKEN), asked(Authorization="Bearer another"), asked()) == (200, 404, 404)
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = "", ["127.0.0.0/8"]
    assert asked() == 200
    assert asked(**{"X-Forwarded-For": "127.0.0.1"}) == 404  # somebody a proxy speaks for
    settings.METRICS_NETWORKS = ["10.0.0.0/8"]
    assert asked() == 404

    settings.METRICS_TOKEN = "of metrics"
    for member in (a_reading().reader, a_member(a_study(), role=Role.COORDINATOR)):
        client.force_login(member.user)
        assert asked(**TOKEN) == 404


@pytest.mark.django_db
def test_metrics_count_work_by_routes_and_tell_nothing_of_what_it_is_about(client, settings):
    settings.METRICS_TOKEN = "of metrics"
    reading = a_reading(stage=Stage.UNAIDED)
    prediction = a_prediction(reading.case.series.get().nodules.get(), 0.731234567)
    note_alive("inference", timezone.now() - timedelta(seconds=40))
    note_alive("a kind that is none", timezone.now())

    def read():
        said = client.get("/metrics", headers=TOKEN).content.decode()
        lines = [line.rpartition(" ") for line in said.splitlines() if line[0] != "#"]
        return said, {name: float(value) for name, _, value in lines}

    locked = 'reread_answers_saved_total{how="lock"}'
    before = read()[1].get(locked, 0)
    client.force_login(reading.reader.user)
    body = {"answers": answers_of(reading)}
    done = client.post(reverse("api-lock", args=[reading.pk]), body, "application/json")
    client.get("/nowhere/Mustermann")
    client.logout()
    said, found = read()

    assert done.status_code == 200
    assert found[locked] == before + 1
    assert 'reread_request_seconds_count{method="POST",route="api-lock",status="2xx"}' in found
    assert 'reread_request_seconds_count{method="GET",route="none",status="4xx"}' in found
    assert found['reread_predictions{status="done"}'] == 1
    assert found['reread_imports{state="running"}'] == 0
    assert 40 <= found['reread_worker_silent_seconds{kind="inference"}'] < 300
    assert 'kind="a kind' not in said
    secrets = [
        *("0.7312", prediction.bundle_hash, "Mustermann", reading.reader.study.slug),
        *(reading.reader.user.username, reading.case.subject, reading.case.series.get().series_uid),
    ]
    assert not [secret for secret in secrets if secret in said]


@pytest.mark.django_db(transaction=True)
def test_all_processes_of_a_web_server_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", "of metrics")
    monkeypatch.setenv("WEB_PROCESSES", "2")
    server = Server(tmp_path / "web.log", configured=True)
    try:
        server.start("reader_study.settings")
        for _ in range(30):
            urllib.request.urlopen(f"{server.url}/health/live").read()
        asked = urllib.request.Request(f"{server.url}/metrics", headers=TOKEN)
        said = urllib.request.urlopen(asked).read().decode()
    finally:
        server.kill()

    (count,) = re.findall(r'seconds_count\{method="GET",route="health-live"[^}]*\} (\S+)', said)
    assert float(count) >= 30  # whichever of the two answered


# Logs

PATIENT = (
    "Mustermann",
    "Erika",
    "MRN-4711",
    "19520229",
    "Klinikum Musterstadt",
    "1.2.840.99.7.1.5",
)
NAME, GIVEN, NUMBER, BORN, PLACE, ACCESSION = PATIENT


@pytest.fixture
def logged():
    """The site's log as operators get it: every logger, from INFO on."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines(secret="of the tests"))
    root = logging.getLogger()
    level, handlers, root.handlers = root.level, root.handlers, [handler]
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in text.getvalue().splitlines()]
    root.handlers = handlers
    root.setLevel(level)


def a_patient(folder):
    """A series with a patient in every place where one may be, one file of it damaged."""
    for number, path in enumerate(a_series(folder, slices=4)):
        slice_ = pydicom.dcmread(path)
        slice_.PatientName, slice_.PatientID = f"{NAME}^{GIVEN}", NUMBER
        slice_.PatientBirthDate, slice_.InstitutionName, slice_.AccessionNumber = BORN, PLACE, "1"
        slice_.SeriesDescription = f"{NAME} {NUMBER}"
        slice_.save_as(path)
        path.rename(path.with_name(f"{NAME}_{number}.dcm"))
    broken = folder / f"{NAME}_broken.dcm"
    broken.write_bytes(path.with_name(f"{NAME}_3.dcm").read_bytes()[:700])


@pytest.mark.django_db
def test_no_patient_is_in_the_logs(client, logged, tmp_path, settings, monkeypatch):
    """A patient's data are put wherever they may come from, and every line is searched."""
    settings.ARCHIVE_DIR = tmp_path / "archive"
    reading = a_reading(stage=Stage.UNAIDED)
    a_user(username="anna", password=PASSWORD)
    folder = tmp_path / f"{NAME}_{GIVEN}"
    folder.mkdir()
    a_patient(folder)
    nodules = folder / "nodules.csv"
    nodules.write_text(f"series_uid,x,y,z,label,malignant\n{ACCESSION},{NAME},0,0,{NUMBER},1\n")

    # Imports, of files that are sound, damaged, and listed wrongly.
    call_command("check_import", str(folder), stdout=io.StringIO())
    with pytest.raises(CommandError):
        call_command("import_cases", reading.reader.study.slug, str(folder), str(nodules),
                     stdout=io.StringIO(), stderr=io.StringIO())  # fmt: skip
    logging.getLogger("pydicom").warning("Invalid value for VR UI: '%s'", NAME)
    # Tasks with a patient in their message.
    record_prediction.apply(args=[{"status": NAME, "detail": PATIENT}], kwargs={"job_id": 0})
    record_prediction.apply(args=[PATIENT], kwargs={"job_id": NAME})
    # Addresses, queries, headers, names at login, bodies.
    client.raise_request_exception = False
    for path in (f"/nowhere/{NAME}", f"/studies/{NUMBER}/", f"/worklist?q={NAME}",
                 f"/dicomweb/studies/{ACCESSION}/metadata"):  # fmt: skip
        client.get(path, headers={"User-Agent": NAME, "X-Request-ID": f"{NAME}-{NUMBER}/"})
    service = {"Authorization": "Bearer a token of the tests"}
    client.get(f"/dicomweb/studies/{ACCESSION}/series/{ACCESSION}/metadata", headers=service)
    client.get(f"/dicomweb/studies?PatientName={NAME}&limit={GIVEN}", headers=service)
    client.post("/login", {"login": f"{NAME} {GIVEN}", "password": NUMBER})
    client.post("/login", {"login": "anna", "password": NUMBER})
    client.force_login(reading.reader.user)
    lock = reverse("api-lock", args=[reading.pk])
    client.post(lock, {"answers": {"case": {NAME: PATIENT}, "nodules": {}}}, "application/json")
    client.post(lock, f"{{{NAME}", "application/json")
    # A fault of ours whose text quotes the patient, with a cause that does, too.
    where = "reader_study.api.readings.ReadingView.get"

    def fault(*_args, **_more):
        try:
            raise KeyError(f"{NAME}^{GIVEN} {ACCESSION}")
        except KeyError as error:
            raise ValueError(f"no number: {NUMBER} of {PLACE}") from error

    monkeypatch.setattr(where, fault)
    assert client.get(reverse("api-reading", args=[reading.pk])).status_code == 500

    lines = logged()
    text = json.dumps(lines)
    assert not [word for word in PATIENT if word in text]
    # They still say what happened, to whom, and where the fault is.
    requests = [line for line in lines if line["logger"] == "reader_study.pages.observing"]
    assert {"api-lock", "none", "login", "dicomweb-series-metadata"} <= {
        one["route"] for one in requests
    }
    assert any(re.fullmatch("user-[0-9a-f]{12}", one["user"]) for one in requests)
    assert all(re.fullmatch("[0-9a-f]{32}", one["request"]) for one in requests)
    (fault_line,) = (
        line for line in lines if "error" in line and line["logger"] == "django.request"
    )
    assert "builtins.ValueError" in fault_line["error"]
    assert "builtins.KeyError" in fault_line["error"]
    assert any("test_operations.py" in place and "fault" in place for place in fault_line["error"])
    assert any(line["message"].startswith("task reader_study.record_prediction") for line in lines)


def test_uids_become_pseudonyms_that_are_the_same_in_every_line(logged):
    log = logging.getLogger("reader_study.api.dicomweb")
    log.error("series %s is in the study and not in the archive", ACCESSION)
    log.error("%s is damaged, version 2.13.0, from 127.0.0.1", ACCESSION)

    first, second = (line["message"] for line in logged())

    (name,) = re.findall("uid-[0-9a-f]{12}", first)
    assert second == f"{name} is damaged, version 2.13.0, from 127.0.0.1"


# Settings


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("HTTPS", "perhaps", site_settings._switch),
        ("PROXIES", "one", lambda name: site_settings._number(name, 0)),
        ("SESSION_HOURS", "-2", lambda name: site_settings._number(name, 12)),
        ("LOG_FORMAT", "xml", lambda name: site_settings._one_of(name, "line", "json")),
        ("ARCHIVE_URL", "pacs.example.org", lambda n: site_settings._address(n, "https", "http")),
        ("METRICS_NETWORKS", "everywhere", site_settings._networks),
        ("DATABASE_URL", "mysql://u:pass-word@h/d", lambda n: site_settings._database(n, "x")),
    ],
)
def test_a_setting_that_makes_no_sense_stops_the_start_in_plain_words(
    monkeypatch, name, value, read
):
    monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=f"environment variable {name} .*: say ") as said:
        read(name)

    assert "pass-word" not in str(said.value)


def test_the_server_does_not_start_without_what_it_needs():
    done = subprocess.run(
        [sys.executable, "-c", "import reader_study.settings"],
        env={"SECRET_KEY": "x", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode
    assert "the environment variable SERVICE_TOKEN is missing: the word by which" in done.stderr
