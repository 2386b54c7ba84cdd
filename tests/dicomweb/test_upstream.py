"""An Orthanc as the archive."""

import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from reader_study.dicomweb.archive import open_archive
from reader_study.dicomweb.errors import ArchiveUnavailable, NotInArchive
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.search import Search
from reader_study.dicomweb.upstream import UpstreamArchive
from tests.dicomweb.series import SERIES, SLICES, STUDY, a_series, noise
from tests.images import Orthanc, Unpack

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def small(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Orthanc:
    """Return the Orthanc with a small series in it, half of it compressed."""
    files = a_series(tmp_path_factory.mktemp("small"))
    for file in files[::2]:
        dataset = pydicom.dcmread(file)
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        dataset.save_as(file)
    orthanc.upload(files)
    return orthanc


def opened(server: Orthanc, folder: Path) -> UpstreamArchive:
    archive = open_archive(url=server.url, token=server.token, folder=folder)
    assert isinstance(archive, UpstreamArchive)
    return archive


def test_a_lidc_series_read_through_orthanc_has_the_same_pixels(
    orthanc: Orthanc, unpack: Unpack, tmp_path: Path
) -> None:
    files = sorted((unpack("LIDC-IDRI-0063")).iterdir())
    orthanc.upload(files)
    (found,) = look_at(unpack("LIDC-IDRI-0063")).series
    archive = opened(orthanc, tmp_path)

    headers = archive.series_metadata(found.study_uid, found.series_uid)

    assert len(headers) == 133
    places = [header["00200032"]["Value"][2] for header in headers]
    assert places == sorted(places)
    for header, file in zip(headers, found.files, strict=True):
        source = pydicom.dcmread(file)
        assert header["00080018"]["Value"] == [source.SOPInstanceUID]
        frame = archive.frame(found.study_uid, found.series_uid, source.SOPInstanceUID)
        assert frame.decoded() == source.PixelData


def test_searches_are_passed_on(small: Orthanc, tmp_path: Path) -> None:
    archive = opened(small, tmp_path)

    assert [
        s["0020000D"]["Value"] for s in archive.search_studies(Search({"PatientID": "P-1"}))
    ] == [[STUDY]]
    assert archive.search_studies(Search({"PatientID": "nobody"})) == []
    (series,) = archive.search_series(Search({"StudyInstanceUID": STUDY}))
    assert series["0020000E"]["Value"] == [SERIES]
    assert "00081190" not in series  # the address of the server
    within = Search({"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}, limit=5)
    assert len(archive.search_instances(within)) == 5


def test_a_series_is_fetched_once_however_many_ask(small: Orthanc, tmp_path: Path) -> None:
    archive = opened(small, tmp_path)

    def read(number: int) -> bool:
        frame = archive.frame(STUDY, SERIES, f"{SERIES}.{number + 1}")
        return frame.decoded() == noise(number).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(SLICES)))
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_what_was_fetched_is_there_without_the_server(small: Orthanc, tmp_path: Path) -> None:
    opened(small, tmp_path).fetch(STUDY, SERIES)
    gone = UpstreamArchive("http://127.0.0.1:9/dicom-web", {}, tmp_path)

    frame = gone.frame(STUDY, SERIES, f"{SERIES}.1")

    np.testing.assert_array_equal(np.frombuffer(frame.decoded(), "<i2"), noise(0).ravel())


def test_what_the_server_does_not_have_is_not_in_the_archive(
    small: Orthanc, tmp_path: Path
) -> None:
    archive = opened(small, tmp_path)

    for uids in (("1.2.3", "1.2.4"), ("../..", SERIES), (STUDY, "1.2.4")):
        with pytest.raises(NotInArchive):
            archive.series_metadata(*uids)
    with pytest.raises(NotInArchive):
        archive.frame(STUDY, SERIES, "1.2.3")


def test_a_refused_token_is_said_to_be_one(orthanc: Orthanc, tmp_path: Path) -> None:
    archive = UpstreamArchive(orthanc.url, {"Authorization": "Bearer wrong"}, tmp_path)

    with pytest.raises(ArchiveUnavailable, match=r"answers 401 .* check ARCHIVE_TOKEN"):
        archive.search_studies()


def test_a_server_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        archive = UpstreamArchive(f"http://127.0.0.1:{free.getsockname()[1]}/d", {}, tmp_path)

        with pytest.raises(ArchiveUnavailable, match="does not answer; check ARCHIVE_URL"):
            archive.search_studies()
        with pytest.raises(ArchiveUnavailable, match="does not answer"):
            archive.frame(STUDY, SERIES, f"{SERIES}.1")


def test_a_server_that_is_no_archive_is_said_to_be_unreadable(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        archive = UpstreamArchive(f"http://127.0.0.1:{server.server_port}", {}, tmp_path)
        try:
            with pytest.raises(ArchiveUnavailable):
                archive.search_studies()
            with pytest.raises(ArchiveUnavailable):
                archive.series_metadata(STUDY, SERIES)
        finally:
            server.shutdown()


def test_a_full_disk_while_fetching_leaves_nothing(
    small: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reader_study.dicomweb.local._write_durably", full)

    with pytest.raises(ArchiveUnavailable, match="is full"):
        opened(small, tmp_path).fetch(STUDY, SERIES)
    assert not list(tmp_path.rglob("*.dcm"))
    shutil.rmtree(tmp_path)
