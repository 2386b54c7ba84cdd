"""Real series, unpacked once a session; an Orthanc of our own."""

import base64
import json
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import requests

from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive

DATA = Path(__file__).parents[2] / "shared" / "data"


Unpack = Callable[[str], Path]


@pytest.fixture(scope="session")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Unpack:
    """Return what unpacks a series of LIDC-IDRI, once a session, into a folder."""
    archives = DATA / "lidc_idri_dicom"
    if not archives.is_dir():
        pytest.skip(f"no LIDC-IDRI series in {archives}")
    folder = tmp_path_factory.mktemp("lidc")

    def series(name: str) -> Path:
        """`LIDC-IDRI-0001` and `-0063` are complete, `-0002_partial` and `-0003_partial` not."""
        if not (folder / name).is_dir():
            with tarfile.open(archives / f"{name}.tar.xz") as tar:
                # The argument `filter` is newer than Debian 12's Python.
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(folder)
        return folder / name

    return series


@pytest.fixture(scope="session")
def lidc(unpack: Unpack) -> Path:
    """Return a folder with the two complete series of LIDC-IDRI."""
    unpack("LIDC-IDRI-0001")
    return unpack("LIDC-IDRI-0063").parent


@pytest.fixture(scope="session")
def lidc_archive(unpack: Unpack, tmp_path_factory: pytest.TempPathFactory) -> LocalArchive:
    """Return an archive that holds LIDC-IDRI-0063."""
    archive = LocalArchive(tmp_path_factory.mktemp("archive"))
    for found in look_at(unpack("LIDC-IDRI-0063")).series:
        archive.store(found.study_uid, found.series_uid, found.files)
    return archive


@pytest.fixture(scope="session")
def nema() -> Path:
    """Return a folder with two CT images in seven transfer syntaxes each."""
    folder = DATA / "dicom_test_samples" / "nema_compsamples"
    if not folder.is_dir():
        pytest.skip(f"no NEMA samples in {DATA}")
    return folder


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Orthanc"]:
    """Start an empty Orthanc on 127.0.0.1, and stop it by its process id."""
    started = start_orthanc(tmp_path_factory.mktemp("orthanc"))
    if started is None:
        pytest.skip("no Orthanc here (apt-get install orthanc orthanc-dicomweb)")
    process, server = started
    try:
        yield server
    finally:
        process.kill()  # nothing of it is kept, and a polite end takes seconds
        process.wait(timeout=20)


def start_orthanc(folder: Path) -> "tuple[subprocess.Popen[bytes], Orthanc] | None":
    """Start an empty Orthanc that keeps what it has in `folder`; None where there is none."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    plugin = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
    if program is None or not plugin.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = {
        "Name": "Reread tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "HttpCompressionEnabled": False,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"reread": "orthanc"},
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    server = Orthanc(f"http://127.0.0.1:{port}")
    for _ in range(600):
        if process.poll() is not None:
            break
        if server.answers():
            return process, server
        time.sleep(0.05)
    process.kill()
    raise AssertionError((folder / "log").read_text()[-2000:])


class Orthanc:
    """A running Orthanc."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"{address}/dicom-web"
        self.token = "Basic " + base64.b64encode(b"reread:orthanc").decode()
        self._session = requests.Session()
        self._session.headers["Authorization"] = self.token

    def answers(self) -> bool:
        """Tell whether it has started."""
        try:
            return self._session.get(f"{self.address}/system", timeout=1).ok
        except requests.RequestException:
            return False

    def upload(self, files: Iterable[Path]) -> None:
        """Put DICOM files into it."""
        for file in files:
            answer = self._session.post(f"{self.address}/instances", data=file.read_bytes())
            answer.raise_for_status()
