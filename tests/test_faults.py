"""Nothing that was acknowledged is lost, and nothing is there twice, whatever is killed meanwhile.

The sizes are small here; KILLS=40 (each of the two twenty times) SAVES=1000 RACES=1000 are those
of a thorough run.
"""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django.db import connection

import broker
from launcher.postgres import EmbeddedPostgres
from reader_study.actions.reading import lock_unaided
from reader_study.actions.verification import verify_study
from reader_study.domain.errors import AnswerLocked
from reader_study.domain.reading import Stage
from reader_study.models import Answer
from tests.factories import NOW, a_member, a_reading, a_study, answers_of

CHECKOUT = Path(__file__).resolve().parent.parent
RACES = int(os.environ.get("RACES", "20"))
KILLS = int(os.environ.get("KILLS", "4"))
SAVES = int(os.environ.get("SAVES", "120"))
CLIENTS = 8
TOKEN = "c" * 32
LIMIT_S = 60 + SAVES + 20 * KILLS


@pytest.mark.django_db(transaction=True)
def test_of_two_locks_at_once_one_wins_always():
    study = a_study()
    reader = a_member(study)

    def race(reading):
        both = threading.Barrier(2)

        def lock(malignancy):
            try:
                both.wait()
                lock_unaided(
                    reader=reader.user,
                    reading_id=reading.pk,
                    answers=answers_of(reading, malignancy=malignancy),
                    now=NOW,
                )
            except AnswerLocked:
                return None
            else:
                return malignancy
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            won = [each for each in pool.map(lock, (10, 90)) if each is not None]
        nodule = next(iter(answers_of(reading)["nodules"]))
        stored = Answer.objects.get(reading=reading).answers["nodules"][nodule]["malignancy"]
        return len(won) == 1 and stored == {"value": won[0]}

    readings = [a_reading(stage=Stage.UNAIDED, reader=reader) for _ in range(RACES)]

    assert all(race(reading) for reading in readings)
    assert verify_study(study).broken is None


# Run in a process of its own, on the database that is going to be killed.
PREPARE = """
import json, sys, django
django.setup()
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from reader_study.domain.reading import Stage
from tests.factories import a_member, a_reading, a_study, answers_of
study, said = a_study(), []
for _ in range(int(sys.argv[1])):
    member = a_member(study)
    session = SessionStore()
    session["_auth_user_id"] = str(member.user.pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = member.user.get_session_auth_hash()
    session.save()
    readings = [a_reading(stage=Stage.UNAIDED, reader=member) for _ in range(int(sys.argv[2]))]
    said.append([session.session_key, [[r.pk, answers_of(r)] for r in readings]])
print(json.dumps([study.slug, said]))
"""


class Site:
    """A web server and a PostgreSQL that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "pg", folder / "run")
        self.postgres.start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {**os.environ, "DATABASE_URL": self.postgres.url("reread")}
        self.manage("migrate", "--verbosity", "0")

    def manage(self, *words):
        command = [sys.executable, str(CHECKOUT / "manage.py"), *words]
        return self._run(*command)

    def prepare(self, readers, readings):
        done = self._run(sys.executable, "-c", PREPARE, str(readers), str(readings))
        return json.loads(done.stdout.splitlines()[-1])

    def _run(self, *command):
        more = {"DJANGO_SETTINGS_MODULE": "reader_study.settings"}
        environment = {**self.environment, **more}
        done = subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def start_web(self):
        with (self.folder / "web.log").open("ab") as log:
            self.web = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "reader_study.wsgi"),
                    *("--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread"),
                    *("--workers", "2", "--threads", "8", "--no-control-socket"),
                ],
                cwd=CHECKOUT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_web(self):
        os.killpg(self.web.pid, signal.SIGKILL)
        self.web.wait()

    def kill_postgres(self):
        os.kill(self.postgres.pid, signal.SIGKILL)
        self.postgres.stop()
        self.postgres.start()

    def stop(self):
        self.kill_web()
        self.postgres.stop()


class Client:
    """A reader's browser: it says the same again until it is acknowledged."""

    def __init__(self, port, session):
        self.port = port
        self.headers = {
            "Cookie": f"sessionid={session}; csrftoken={TOKEN}",
            "X-CSRFToken": TOKEN,
            "Content-Type": "application/json",
        }
        self.repeated = self.said = 0

    def say(self, method, path, body):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                link.request(method, path, json.dumps(body), self.headers)
                answer = link.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                content, status = b"", 0
            else:
                status = answer.status
            finally:
                link.close()
            if status == 200:
                self.said += 1
                return json.loads(content)
            assert status == 0 or status >= 500, (status, content)
            self.repeated += 1
            time.sleep(0.05)
        raise AssertionError(f"not acknowledged within {LIMIT_S} s: {method} {path}")


DRAFTS = 9


def read(client, reading, answers, chance):
    """Save nine drafts and lock; return what the server acknowledged last."""
    nodule = answers["nodules"][next(iter(answers["nodules"]))]
    for version in range(DRAFTS):
        nodule["malignancy"] = {"value": (version * 10 + chance.randrange(10)) % 100}
        body = {"stage": "unaided", "version": version, "answers": answers}
        saved = client.say("PUT", f"/api/readings/{reading}/draft", body)
        # A save that was stored and not acknowledged is said again, and is stored once.
        assert saved["version"] == version + 1
    locked = client.say("POST", f"/api/readings/{reading}/lock", {"answers": answers})
    assert locked["stage"] == "aided"
    return nodule["malignancy"]["value"]


def test_killing_web_server_and_database_loses_no_acknowledged_answer_and_doubles_none(tmp_path):
    site = Site(tmp_path)
    each = -(-SAVES // (DRAFTS + 1) // CLIENTS)
    slug, readers = site.prepare(CLIENTS, each)
    site.start_web()
    acknowledged = {}
    clients = []
    killed = {"web server": 0, "PostgreSQL": 0}

    def work(reader):
        session, readings = reader
        client = Client(site.port, session)
        clients.append(client)
        for reading, answers in readings:
            acknowledged[reading] = read(client, reading, answers, random.Random(reading))

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            working = [pool.submit(work, reader) for reader in readers]
            # At even steps of the work, the web server and PostgreSQL in turn.
            total = CLIENTS * each * (DRAFTS + 1)
            for kill in range(KILLS):
                due = total * (kill + 1) // (KILLS + 2)
                while sum(client.said for client in clients) < due:
                    assert not all(one.done() for one in working), [w.exception() for w in working]
                    time.sleep(0.01)
                if kill % 2 == 0:
                    site.kill_web()
                    site.start_web()
                    killed["web server"] += 1
                else:
                    site.kill_postgres()
                    killed["PostgreSQL"] += 1
            for one in working:
                one.result()
        said = site.manage("verify", slug).stdout
        with psycopg.connect(broker.libpq_dsn(site.environment["DATABASE_URL"])) as database:
            stored = database.execute(
                "select a.reading_id, r.value from reader_study_answer a "
                "join reader_study_rating r on r.answer_id = a.id "
                "where r.question = 'malignancy'"
            ).fetchall()
            versions = database.execute(
                "select distinct version from reader_study_draft where stage = 'unaided'"
            ).fetchall()
    finally:
        site.stop()

    assert sorted(stored) == sorted(acknowledged.items())
    assert len(acknowledged) == CLIENTS * each
    assert versions == [(DRAFTS,)]
    assert f"{len(acknowledged)} answer" in said
    repeated = sum(client.repeated for client in clients)
    acknowledged_in_all = sum(client.said for client in clients)
    sys.stdout.write(
        f"killed while {CLIENTS} readers saved {acknowledged_in_all} times: "
        f"{killed}; {repeated} saves said again, none lost and none doubled; {said}"
    )
    assert sum(killed.values()) == KILLS
    assert KILLS == 0 or repeated > 0
