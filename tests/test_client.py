"""The Python client against a live server and a real worker: from a study to its export."""

import socket
import threading
import zipfile
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from reader_study.actions.tokens import make_token
from reader_study.domain.reading import Stage
from reader_study.models import Nodule, PersonalToken, Role
from reread_client import Client, Refused, Unreachable
from tests.dicomweb.series import SERIES, STUDY, a_series
from tests.factories import DEMONSTRATION, a_case, a_member, a_reading, a_study, a_user
from tests.stack import Workers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def word():
    """The token of somebody who coordinates a study already."""
    user = a_user()
    a_member(a_study(), role=Role.COORDINATOR, user=user)
    scopes = ("read", "export", "manage", "import", "truth")
    return make_token(user=user, name="t", scopes=scopes, days=1, now=timezone.now())[1]


@pytest.fixture
def workers(live_server, tmp_path):
    """The queues, and whoever works at them; their connections end with the test."""
    there = Workers(live_server.url, tmp_path)
    yield there
    there.stop()


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


def test_a_study_goes_from_its_protocol_to_an_import_and_back(live_server, word, workers, tmp_path):
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
        job = desk.upload("pilot", tmp_path / "ct", nodules=nodules)
        done = desk.wait_for_import("pilot", job.id, every_s=0.2)
        of_the_desk(desk)
        assert desk.allocate("pilot", every_s=0.2)["readings"] == 1
        assert desk.progress("pilot").of == 1
        assert (done.state, done.detail) == ("done", "")
        assert any(each.startswith("AI:") for each in desk.checklist("pilot").missing)
    nodule = Nodule.objects.get(series__case__study__slug="pilot")
    assert nodule.series.series_uid != SERIES  # de-identified, since nothing else was said


def of_the_desk(desk: Client) -> None:
    """Look at the case that came in, change its nodules, and load a truth."""
    (case,), (nodule,) = desk.cases("pilot"), desk.nodules("pilot")
    assert (case.nodules, nodule.centre_mm, nodule.case) == (1, (0, 0, 15), case.case)
    more = desk.place_nodule("pilot", nodule.series, (1, 1, 9), diameter_mm=5)
    assert desk.move_nodule("pilot", more.id, (2, 2, 9)).diameter_mm is None
    desk.remove_nodule("pilot", more.id)
    with pytest.raises(Refused, match="nothing here"):
        desk.remove_nodule("pilot", more.id)
    header = "patient,study,series,nodule,x,y,z\n"
    listed = desk.import_nodules("pilot", f"{header}P-1,9,9.9,N9,0,0,0\n", dry_run=True)
    assert (listed.added, len(listed.problems)) == ({}, 1)
    truths = f"case,nodule,truth,source\n{case.case},1,benign,follow-up\n"
    assert desk.load_truths("pilot", truths, every_s=0.2)["new"] == 1
    assert (desk.truth_room("pilot").known, desk.truth_room("pilot").rules) == (1, None)


@pytest.mark.orthanc
def test_an_archive_is_searched_and_a_panel_reads(
    live_server, settings, word, workers, orthanc, tmp_path
):
    settings.ARCHIVE_DIR = tmp_path / "archive"
    settings.IMPORT_URL, settings.IMPORT_TOKEN = orthanc.url, orthanc.token
    uid = "1.2.826.0.1.3680043.8.498.78"
    orthanc.upload(a_series(tmp_path / "ct", study=uid, series=f"{uid}.1"))
    study = a_study(is_open=False, truth={"panel": {"reads": 1}})
    nodule = a_case(study).series.get().nodules.get()
    panellist = a_member(study, Role.TRUTH_PANEL).user
    a_member(study, Role.COORDINATOR, PersonalToken.objects.get().user)
    with Client(live_server.url, token=word) as desk:
        there = desk.search_archive(study.slug, patient="P-1", days="2020-01-01 to 2020-12-31")
        found = next(each for each in there if each.uid == uid)
        assert list(found.series) == [f"{uid}.1"]
        assert desk.search_archive(study.slug, patient="nobody") == []
        job = desk.import_from_archive(study.slug, [(found.uid, *found.series)])
        assert (job.source, job.state) == ("archive", "waiting")
        assert desk.import_folders(study.slug) == []
    _, mine = make_token(user=panellist, name="t", scopes=["truth"], days=1, now=timezone.now())
    with Client(live_server.url, token=mine) as panel:
        (waits,) = panel.panel_list(study.slug)
        assert (waits.id, waits.read_at) == (nodule.pk, None)
        assert panel.panel_nodule(study.slug, waits.id).said == []
        read = panel.read_for_panel(study.slug, waits.id, "benign", confidence=80)
        assert read.read_at is not None
        with pytest.raises(Refused, match="before"):
            panel.read_for_panel(study.slug, waits.id, "malignant", confidence=80)


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
