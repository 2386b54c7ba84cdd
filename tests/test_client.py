"""The Python client against a live server and a real worker: from a study to its export."""

import socket
import threading
import zipfile
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from reader_study.actions.tokens import make_token
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, Role
from reread_client import Client, Refused, Unreachable
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import DEMONSTRATION, a_member, a_reading, a_study, a_user
from tests.stack import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def word():
    """The token of somebody who coordinates a study already."""
    user = a_user()
    a_member(a_study(), role=Role.COORDINATOR, user=user)
    scopes = ("read", "export", "manage", "import")
    return make_token(user=user, name="t", scopes=scopes, days=1, now=timezone.now())[1]


class BreaksOff:
    """A proxy that closes the line after so many bytes of an answer, a few times."""

    def __init__(self, port: int, after: int, times: int) -> None:
        self._to, self._after, self.left = port, after, times
        self.ranges: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(line,), daemon=True).start()

    def _pass_on(self, line: socket.socket) -> None:
        with line, socket.create_connection(("127.0.0.1", self._to)) as site:
            asked = line.recv(65536)
            self.ranges += [each for each in asked.split(b"\r\n") if each.startswith(b"Range")]
            site.sendall(asked.replace(b"keep-alive", b"close"))
            sent = 0
            while content := site.recv(256):
                line.sendall(content)
                sent += len(content)
                if self.left and sent > self._after:
                    self.left -= 1
                    break

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


def test_a_study_goes_from_its_protocol_to_an_import_and_back(live_server, word, tmp_path):
    workers = Workers(live_server.url, tmp_path)
    a_series(tmp_path / "ct")
    nodules = f"patient,study,series,nodule,x,y,z\nP-1,{STUDY},{SERIES},N1,0,0,15\n"
    with Client(live_server.url, token=word) as desk:
        before = datetime.now(UTC)
        study = desk.create_study("pilot", protocol=DEMONSTRATION.read_text())
        assert (study.name, study.opened_at) == ("pilot", None)
        assert study.created_at >= before
        assert {each.name for each in desk.studies()} >= {"pilot"}
        assert desk.dry_run("pilot").made_up
        with pytest.raises(Refused) as refused:
            desk.amend_protocol("pilot", "titel: x")
        assert refused.value.code == "protocol_invalid"
        assert refused.value.problems[0]["line"] == 1

        invited = desk.invite("pilot", name="rita", role="reader", pseudonym="R01")
        assert invited.link is not None
        assert "/account/invitation/" in invited.link
        assert {each.pseudonym for each in desk.people("pilot")} == {"Desk", "R01"}

        workers.start_site()
        try:
            job = desk.upload("pilot", tmp_path / "ct", nodules=nodules)
            done = desk.wait_for_import("pilot", job.id, every_s=0.2)
            assert desk.allocate("pilot", every_s=0.2)["readings"] == 1
            assert desk.progress("pilot").of == 1
        finally:
            workers.stop()
        assert (done.state, done.detail) == ("done", "")
        assert any(each.startswith("AI:") for each in desk.checklist("pilot").missing)
    nodule = Nodule.objects.get(series__case__study__slug="pilot")
    assert nodule.series.series_uid != SERIES  # de-identified, since nothing else was said


def test_a_download_that_breaks_off_goes_on_where_it_was(live_server, tmp_path):
    reading = a_reading(stage=Stage.SUBMITTED)
    study, user = reading.reader.study, a_user()
    a_member(study, role=Role.COORDINATOR, user=user)
    _, word = make_token(user=user, name="t", scopes=["export"], days=1, now=timezone.now())
    line = BreaksOff(live_server.thread.port, after=3000, times=2)
    try:
        with Client(line.url, token=word, timeout_s=20) as desk:
            target = desk.download_export(study.slug, tmp_path / "export.zip")
            with pytest.raises(Refused, match="lacks the scope read"):
                desk.study(study.slug)
    finally:
        line.close()

    assert "readings.csv" in zipfile.ZipFile(target).namelist()
    assert line.left == 0
    assert len(line.ranges) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]
    with Client(line.url, token=word, attempts=1) as desk, pytest.raises(Unreachable):
        desk.studies()
