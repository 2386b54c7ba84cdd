"""The archive over HTTP."""

import json
import os
import time
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from django.conf import settings as site
from django.test import Client, override_settings
from django.urls import reverse
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from reader_study.actions.cases import site_archive
from reader_study.actions.pseudonyms import pseudonym
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive
from reader_study.dicomweb.pixels import EXPLICIT_LE, JPEG_LS, PixelFormat, decode_frame
from reader_study.dicomweb.shelf import Shelf
from reader_study.domain.reading import Stage
from reader_study.models import Reading, Series
from tests.dicomweb.series import SERIES, SLICES, STUDY, a_series, noise
from tests.factories import a_reading, a_study, a_user
from tests.images import Unpack

BEARER = {"Authorization": f"Bearer {site.SERVICE_TOKEN}"}


@pytest.fixture(scope="module")
def archive_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of an archive with one small series."""
    folder = tmp_path_factory.mktemp("archive")
    with override_settings(ARCHIVE_DIR=folder, ARCHIVE_URL=""):
        files = a_series(tmp_path_factory.mktemp("in"))
        site_archive().store(STUDY, SERIES, files)
        yield folder


@pytest.fixture(scope="module")
def server(archive_folder: Path) -> Iterator[str]:
    """Start the site; no database is at hand, so none may be needed."""
    running = LiveServer("127.0.0.1")
    yield f"{running.url}/dicomweb"
    running.stop()


@pytest.fixture
def service(server: str) -> DICOMwebClient:
    """Return the client from PyPI, as it is."""
    return DICOMwebClient(server, headers=BEARER)


# dicomweb-client


def test_dicomweb_client_finds_studies_series_and_instances(service: DICOMwebClient) -> None:
    (study,) = service.search_for_studies(search_filters={"PatientID": "P-1"})
    (series,) = service.search_for_series(STUDY)
    instances = service.search_for_instances(STUDY, SERIES)

    assert study["0020000D"]["Value"] == [STUDY]
    assert study["00201206"]["Value"] == [1]
    assert series["0020000E"]["Value"] == [SERIES]
    assert series["00201209"]["Value"] == [SLICES]
    assert len(instances) == SLICES
    assert [len(service.search_for_instances()), len(service.search_for_instances(STUDY))] == [
        SLICES,
        SLICES,
    ]
    assert len(service.search_for_series()) == 1
    assert service.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert len(service.search_for_instances(limit=5, offset=10)) == SLICES - 10
    assert len(service.search_for_instances(STUDY, SERIES, get_remaining=True)) == SLICES
    assert len(service.search_for_studies(fields=["PatientName", "00100020"])) == 1


def test_a_found_series_says_where_it_is(server: str) -> None:
    (series,) = get(server, f"studies/{STUDY}/series").json()

    address = series["00081190"]["Value"][0]
    assert address == f"{server}/studies/{STUDY}/series/{SERIES}"
    assert requests.get(address, headers=BEARER, timeout=10).ok


def test_dicomweb_client_reads_metadata_at_every_level(service: DICOMwebClient) -> None:
    headers = service.retrieve_series_metadata(STUDY, SERIES)

    assert service.retrieve_study_metadata(STUDY) == headers
    assert service.retrieve_instance_metadata(STUDY, SERIES, f"{SERIES}.3") == headers[2]
    places = [pydicom.Dataset.from_json(h).ImagePositionPatient[2] for h in headers]
    assert places == [2.5 * n for n in range(SLICES)]


def test_dicomweb_client_gets_frames_with_its_own_default(service: DICOMwebClient) -> None:
    for number in range(SLICES):
        (frame,) = service.retrieve_instance_frames(STUDY, SERIES, f"{SERIES}.{number + 1}", [1])
        assert frame == noise(number).tobytes()


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/jls", JPEG_LS),
        ("application/octet-stream", "*"),
        ("application/octet-stream", EXPLICIT_LE),
    ],
)
def test_dicomweb_client_gets_frames_as_it_asks(
    service: DICOMwebClient, media_type: str, syntax: str
) -> None:
    (frame,) = service.retrieve_instance_frames(
        STUDY, SERIES, f"{SERIES}.1", [1], media_types=((media_type, syntax),)
    )

    if frame[:2] == b"\xff\xd8":
        header = service.retrieve_instance_metadata(STUDY, SERIES, f"{SERIES}.1")
        frame = decode_frame(frame, JPEG_LS, PixelFormat.of_json(header))
    assert frame == noise(0).tobytes()


def test_dicomweb_client_gets_whole_instances(service: DICOMwebClient) -> None:
    one = service.retrieve_instance(STUDY, SERIES, f"{SERIES}.1")
    whole = service.retrieve_series(STUDY, SERIES)
    stored = service.retrieve_series(STUDY, SERIES, media_types=(("application/dicom", "*"),))

    # Its defaults: an instance in any syntax, a series in PS3.18's own default.
    assert one.file_meta.TransferSyntaxUID == JPEG_LS
    assert one.PatientID == "P-1"
    np.testing.assert_array_equal(one.pixel_array, noise(0))
    assert len(whole) == len(stored) == len(service.retrieve_study(STUDY)) == SLICES
    for number, (a, b) in enumerate(zip(stored, whole, strict=True)):
        assert a.file_meta.TransferSyntaxUID == JPEG_LS
        assert b.file_meta.TransferSyntaxUID == EXPLICIT_LE
        np.testing.assert_array_equal(a.pixel_array, noise(number))
        np.testing.assert_array_equal(b.pixel_array, noise(number))


def test_dicomweb_client_reads_a_lidc_series_pixel_for_pixel(
    unpack: Unpack, lidc_archive: LocalArchive, service: DICOMwebClient
) -> None:
    (found,) = look_at(unpack("LIDC-IDRI-0063")).series
    with override_settings(ARCHIVE_DIR=lidc_archive.root):
        headers = service.retrieve_series_metadata(found.study_uid, found.series_uid)
        assert len(headers) == 133
        for header, file in zip(headers, found.files, strict=True):
            source = pydicom.dcmread(file)
            uid = header["00080018"]["Value"][0]
            assert uid == source.SOPInstanceUID
            (frame,) = service.retrieve_instance_frames(found.study_uid, found.series_uid, uid, [1])
            pixels = np.frombuffer(frame, "<i2").reshape(512, 512)
            np.testing.assert_array_equal(pixels, source.pixel_array)


# What is asked for and how it is answered


def get(server: str, path: str, **headers: str) -> requests.Response:
    return requests.get(f"{server}/{path}", headers={**BEARER, **headers}, timeout=10)


FRAME = f"studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames"


def parts(response: requests.Response) -> list[tuple[str, bytes]]:
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + response.content)
    return [
        (str(part["Content-Type"]), part.get_payload(decode=True))  # type: ignore[misc]
        for part in list(message.walk())[1:]
    ]


def test_cornerstones_request_gets_the_frame_as_it_is_stored(server: str) -> None:
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    response = get(server, f"{FRAME}/1", Accept=accept)

    ((media_type, body),) = parts(response)
    assert media_type == f"image/jls; transfer-syntax={JPEG_LS}"
    assert body == site_archive().frame(STUDY, SERIES, f"{SERIES}.1").data
    assert response.headers["Content-Type"].startswith('multipart/related; type="image/jls"')
    assert response.headers["Cache-Control"] == "private, no-store"


def test_a_list_of_frames_is_a_part_each(server: str) -> None:
    assert len(parts(get(server, f"{FRAME}/1,1"))) == 2


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{FRAME}/2", {}, 404),
        (f"{FRAME}/0", {}, 404),
        (f"{FRAME}/one", {}, 400),
        (f"{FRAME}/1,", {}, 400),
        (f"{FRAME}/1", {"Accept": "image/png"}, 406),
        (f"{FRAME}/1", {"Accept": 'multipart/related; type="image/jp2"'}, 406),
        ("studies?limit=ten", {}, 400),
        ("studies?limit=-1", {}, 400),
        ("studies?NoSuchThing=1", {}, 400),
        ("studies", {"Accept": "application/dicom+xml"}, 406),
        ("studies/1.2.3/metadata", {}, 404),
        ("studies/1.2.3", {}, 404),
        ("studies/..", {}, 404),
        ("studies/%2e%2e/series/%2e%2e/metadata", {}, 404),
        ("studies/..%2f..%2fetc/metadata", {}, 404),
        (f"studies/{STUDY}/series/{SERIES}/instances/1.2/metadata", {}, 404),
        (f"studies/{STUDY}/series/{SERIES}/instances/..%2findex.json", {}, 404),
        (f"studies/{STUDY}/series/{SERIES}/instances/index.json", {}, 404),
        (f"studies/{STUDY}", {"Accept": "application/zip"}, 406),
    ],
)
def test_what_cannot_be_had_is_refused(
    server: str, path: str, headers: dict[str, str], status: int
) -> None:
    response = get(server, path, **headers)

    assert response.status_code == status
    if "application/json" in response.headers["Content-Type"]:
        assert set(response.json()) == {"code", "detail"}


def test_a_search_that_is_only_literal_says_so(server: str) -> None:
    assert "literal matching" in get(server, "studies?fuzzymatching=true").headers["Warning"]


def test_uids_may_be_listed(server: str) -> None:
    two = f"studies?StudyInstanceUID=1.2.3,{STUDY}"
    assert len(get(server, two).json()) == 1
    again = f"studies?StudyInstanceUID=1.2.3&StudyInstanceUID={STUDY}"
    assert len(get(server, again).json()) == 1


def test_an_archive_that_does_not_answer_is_a_503(server: str, tmp_path: Path) -> None:
    with override_settings(ARCHIVE_URL="http://127.0.0.1:9/none", ARCHIVE_DIR=tmp_path):
        response = get(server, "studies")

    assert response.status_code == 503
    assert response.json()["code"] == "archive_unavailable"


def test_a_damaged_frame_is_told_and_not_sent(server: str, tmp_path: Path) -> None:
    with override_settings(ARCHIVE_DIR=tmp_path / "archive"):
        archive = site_archive()
        archive.store(STUDY, SERIES, a_series(tmp_path / "in"))
        file = archive.folder(STUDY, SERIES) / f"{SERIES}.1.dcm"
        file.write_bytes(b"\0" * file.stat().st_size)

        response = get(server, f"{FRAME}/1")

    assert (response.status_code, response.json()["code"]) == (500, "undecodable_pixels")


# Who may ask


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Basic {site.SERVICE_TOKEN}",
        site.SERVICE_TOKEN,
        f"Bearer {site.SERVICE_TOKEN}x",
        "Bearer \xfc",
    ],
)
def test_only_the_sites_token_opens_the_archive(server: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("studies", f"{FRAME}/1", f"studies/{STUDY}", "studies/1.2.3/metadata"):
        response = requests.get(f"{server}/{path}", headers=headers, timeout=10)

        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert STUDY not in response.text


@pytest.mark.django_db
def test_a_session_does_not_open_the_archive(client: Client, archive_folder: Path) -> None:
    for user in (a_user(), a_user(is_staff=True, is_superuser=True)):
        client.force_login(user)
        assert client.get("/dicomweb/studies").status_code == 401
        assert client.get(f"/dicomweb/{FRAME}/1").status_code == 401


def test_nothing_can_be_written(server: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = requests.request(method, f"{server}/studies", headers=BEARER, timeout=10)
        assert answer.status_code in (403, 405)


# Readers


@pytest.fixture
def reading(db: None, archive_folder: Path, client: Client) -> Reading:
    found = a_reading(stage=Stage.UNAIDED)
    Series.objects.filter(case=found.case).update(study_uid=STUDY, series_uid=SERIES, slices=SLICES)
    client.force_login(found.reader.user)
    return found


def metadata_address(reading: Reading, key: Reading | None = None) -> str:
    key = key or reading
    return reverse("api-metadata", args=[reading.pk, pseudonym(key, STUDY), pseudonym(key, SERIES)])


def frame_address(reading: Reading, instance: str, number: int = 1) -> str:
    uids = [pseudonym(reading, STUDY), pseudonym(reading, SERIES), instance]
    return reverse("api-frame", args=[reading.pk, *uids, number])


def shown(client: Client, reading: Reading) -> list[dict[str, Any]]:
    response = client.get(metadata_address(reading), headers={"accept": "application/dicom+json"})
    assert response.status_code == 200
    assert response["Content-Type"] == "application/dicom+json"
    found: list[dict[str, Any]] = json.loads(response.content)
    return found


def test_a_reader_reads_every_slice_of_their_own_reading(client: Client, reading: Reading) -> None:
    headers = shown(client, reading)

    assert len(headers) == SLICES
    for number, header in enumerate(headers):
        address = frame_address(reading, header["00080018"]["Value"][0])
        accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
        response = client.get(address, headers={"accept": accept})
        assert response["Cache-Control"] == "private, no-store"
        head = f"Content-Type: {response['Content-Type']}\r\n\r\n".encode()
        (part,) = list(BytesParser().parsebytes(head + response.content).walk())[1:]
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert decode_frame(body, JPEG_LS, PixelFormat.of_json(header)) == noise(number).tobytes()


def slices_address(reading: Reading, number: int | None = None, key: Reading | None = None) -> str:
    uids = [pseudonym(key or reading, STUDY), pseudonym(key or reading, SERIES)]
    if number is None:
        return reverse("api-slices", args=[reading.pk, *uids])
    return reverse("api-slice", args=[reading.pk, *uids, number])


def test_slices_are_numbered_as_their_headers_say(client: Client, reading: Reading) -> None:
    for number, header in enumerate(shown(client, reading)):
        response = client.get(slices_address(reading, header["00200013"]["Value"][0]))
        assert response["Content-Type"] == f"image/jls; transfer-syntax={JPEG_LS}"
        assert response["Cache-Control"] == "private, no-store"
        frame = decode_frame(response.content, JPEG_LS, PixelFormat.of_json(header))
        assert frame == noise(number).tobytes()
    for nowhere in (0, SLICES + 1):
        assert client.get(slices_address(reading, nowhere)).status_code == 404


def test_slices_that_follow_each_other_come_in_one_answer(client: Client, reading: Reading) -> None:
    headers = shown(client, reading)
    uids = [pseudonym(reading, STUDY), pseudonym(reading, SERIES)]

    def block(frames: str) -> Any:
        address = reverse("api-block", args=[reading.pk, *uids, frames])
        accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
        return client.get(address, headers={"accept": accept})

    response = block("2-4")
    head = f"Content-Type: {response['Content-Type']}\r\n\r\n".encode()
    parts = list(BytesParser().parsebytes(head + response.content).walk())[1:]
    assert len(parts) == 3
    for number, part in enumerate(parts, start=1):
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert int(part["Content-Length"]) == len(body)
        frame = decode_frame(body, JPEG_LS, PixelFormat.of_json(headers[number]))
        assert frame == noise(number).tobytes()
    assert response["Cache-Control"] == "private, no-store"
    for nothing in ("0-2", "3-2", f"1-{SLICES + 1}", "1-2-3", "x", "-1", "1-"):
        assert block(nothing).status_code == 404, nothing


def test_a_proxy_is_told_where_slices_are_kept_of_those_only_whom_they_are_shown(
    client: Client, reading: Reading, tmp_path: Path, settings: Any
) -> None:
    settings.FRAMES_DIR = tmp_path / "frames"
    sent = client.get(slices_address(reading, 2)).content

    told = client.get(slices_address(reading))
    assert told.status_code == 204
    (kept,) = (tmp_path / "frames").glob("*/2")
    assert kept.parent.name == told["X-Frames"]
    assert kept.read_bytes() == sent
    assert SERIES not in str(kept)

    stranger = a_reading(stage=Stage.UNAIDED)
    for address in (
        slices_address(stranger, key=reading),
        slices_address(stranger),
        slices_address(reading, key=stranger),
    ):
        refused = client.get(address)
        assert (refused.status_code, refused.headers.get("X-Frames")) == (403, None)
    study = reading.reader.study
    study.opened_at = None
    study.save(update_fields=["opened_at"])
    assert client.get(slices_address(reading)).status_code == 403
    client.logout()
    assert client.get(slices_address(reading)).status_code == 401


def test_what_is_kept_longest_unused_is_forgotten_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, most_bytes=1e9)
    for number, key in enumerate(("1.2/1.2.1", "1.2/1.2.2", "1.3/1.3.1", "1.4/1.4.1")):
        shelf.put(key, "a", bytes(4000))
        hours_ago = time.time() - 3600 * (10 - number)
        os.utime(tmp_path / key / ".used", (hours_ago, hours_ago))
    shelf.use("1.2/1.2.1")  # the oldest, needed again

    assert Shelf(tmp_path, most_bytes=10_000).make_room() == 8000

    kept = {str(path.relative_to(tmp_path).parent) for path in tmp_path.rglob("a")}
    assert kept == {"1.2/1.2.1", "1.4/1.4.1"}
    # What is in use stays even when it is too much.
    Shelf(tmp_path, most_bytes=1).use("1.4/1.4.1")
    assert Shelf(tmp_path, most_bytes=1).make_room() == 0


def test_the_addresses_are_those_the_reading_names(client: Client, reading: Reading) -> None:
    (series,) = client.get(reverse("api-reading", args=[reading.pk])).json()["series"]

    address = f"{series['dicomweb']}/studies/{series['study_uid']}/series/{series['series_uid']}"
    assert client.get(f"{address}/metadata").status_code == 200


def test_nothing_of_the_patient_or_the_source_reaches_a_reader(
    client: Client, reading: Reading
) -> None:
    response = client.get(metadata_address(reading))
    frame = client.get(frame_address(reading, shown(client, reading)[0]["00080018"]["Value"][0]))

    for answer in (response, frame):
        seen = answer.content + str(dict(answer.headers)).encode()
        for secret in (b"Doe", b"P-1", b"19500101", b"2020", b"General", STUDY.encode()):
            assert secret not in seen


def test_another_readers_images_do_not_exist(client: Client, reading: Reading) -> None:
    other = a_reading(stage=Stage.UNAIDED, study=reading.reader.study)
    Series.objects.filter(case=other.case).update(study_uid=STUDY, series_uid=SERIES)
    mine = shown(client, reading)[0]["00080018"]["Value"][0]
    uids = [STUDY, SERIES]

    for address in (
        metadata_address(other),
        metadata_address(other, key=reading),
        metadata_address(reading, key=other),
        frame_address(other, mine),
        frame_address(reading, f"{SERIES}.1"),
        frame_address(reading, mine, 2),
        reverse("api-metadata", args=[reading.pk, *uids]),
        reverse("api-metadata", args=[999_999, *uids]),
    ):
        response = client.get(address)
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


def test_the_same_images_have_other_uids_in_another_reading(
    client: Client, reading: Reading
) -> None:
    other = a_reading(stage=Stage.UNAIDED, reader=reading.reader)
    Series.objects.filter(case=other.case).update(study_uid=STUDY, series_uid=SERIES)

    first, second = shown(client, reading), shown(client, other)

    for tag in ("0020000D", "0020000E", "00080018", "00200052"):
        assert not {h[tag]["Value"][0] for h in first} & {h[tag]["Value"][0] for h in second}


def test_without_a_login_there_are_no_images(reading: Reading) -> None:
    for address in (metadata_address(reading), frame_address(reading, "2.25.1")):
        assert Client().get(address).status_code == 401
        assert Client().get(address, headers=BEARER).status_code == 401


def test_before_a_study_opens_there_are_no_images(
    client: Client, archive_folder: Path, db: None
) -> None:
    found = a_reading(study=a_study(is_open=False))
    Series.objects.filter(case=found.case).update(study_uid=STUDY, series_uid=SERIES)
    client.force_login(found.reader.user)

    response = client.get(metadata_address(found))

    assert (response.status_code, response.json()["code"]) == (409, "study_not_open")


def test_a_reader_is_told_in_words_when_the_archive_is_away(
    client: Client, reading: Reading, settings: Settings, tmp_path: Path
) -> None:
    settings.ARCHIVE_DIR = tmp_path
    for url in ("", "http://127.0.0.1:9/none"):
        settings.ARCHIVE_URL = url
        response = client.get(metadata_address(reading))

        assert (response.status_code, response.json()["code"]) == (503, "archive_unavailable")
        assert "127.0.0.1" not in response.json()["detail"]
        assert STUDY not in str(response.content)


def test_a_frame_costs_few_queries_and_no_dicom(
    client: Client,
    reading: Reading,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    address = frame_address(reading, shown(client, reading)[0]["00080018"]["Value"][0])
    accept = {"accept": "multipart/related; type=image/jls"}
    monkeypatch.delattr(pydicom, "dcmread")

    # One of them is the access log's, which a process writes once a minute.
    with django_assert_max_num_queries(5):
        assert client.get(address, headers=accept).status_code == 200
