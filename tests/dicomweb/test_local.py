"""The archive in a folder."""

import json
import multiprocessing
import os
import resource
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from reader_study.dicomweb.archive import open_archive
from reader_study.dicomweb.errors import (
    ArchiveUnavailable,
    BadSearch,
    CannotStore,
    NotInArchive,
    StoredOtherwise,
    UndecodablePixels,
)
from reader_study.dicomweb.ingest import look_at
from reader_study.dicomweb.local import LocalArchive
from reader_study.dicomweb.pixels import (
    JPEG_LS,
    PixelFormat,
    decode_dataset,
    decode_frame,
    encode,
    tolerant,
)
from reader_study.dicomweb.search import Search
from tests.dicomweb.series import SERIES, SLICES, STUDY, a_series, a_slice, noise, put_pixels
from tests.images import Unpack


def pixels_in(archive: LocalArchive, instance: str) -> NDArray[np.generic]:
    frame = archive.frame(STUDY, SERIES, instance)
    kept = frame.pixels
    dtype = np.dtype(f"<{'i' if kept.signed else 'u'}{kept.bits_allocated // 8}")
    return np.frombuffer(frame.decoded(), dtype).reshape(kept.rows, kept.columns)


@pytest.fixture
def archive(tmp_path: Path) -> LocalArchive:
    return LocalArchive(tmp_path / "archive")


@pytest.fixture
def filled(archive: LocalArchive, tmp_path: Path) -> LocalArchive:
    archive.store(STUDY, SERIES, a_series(tmp_path / "in"))
    return archive


def test_every_slice_comes_back_bit_for_bit_as_jpeg_ls(filled: LocalArchive) -> None:
    for number, header in enumerate(filled.series_metadata(STUDY, SERIES)):
        instance = header["00080018"]["Value"][0]
        assert filled.frame(STUDY, SERIES, instance).transfer_syntax == JPEG_LS
        np.testing.assert_array_equal(pixels_in(filled, instance), noise(number))


def test_a_stored_file_is_dicom_that_others_read(filled: LocalArchive, tmp_path: Path) -> None:
    file = tmp_path / "slice.dcm"
    file.write_bytes(filled.instance(STUDY, SERIES, f"{SERIES}.5"))

    dataset = pydicom.dcmread(file)

    assert dataset.file_meta.TransferSyntaxUID == JPEG_LS
    assert (dataset.PatientID, dataset.ImagePositionPatient[2]) == ("P-1", 10)
    np.testing.assert_array_equal(dataset.pixel_array, noise(4))


@pytest.mark.parametrize(
    ("dtype", "bits_stored"),
    [("i2", 16), ("i2", 12), ("u2", 16), ("u2", 12), ("u1", 8), ("i1", 8)],
)
def test_all_pixel_formats_of_ct_survive(
    archive: LocalArchive, tmp_path: Path, dtype: str, bits_stored: int
) -> None:
    rng = np.random.default_rng(1)
    low = -(1 << (bits_stored - 1)) if dtype[0] == "i" else 0
    pixels = rng.integers(low, low + (1 << bits_stored), (32, 40)).astype(dtype)

    def fill(dataset: FileDataset) -> None:
        put_pixels(dataset, pixels)
        dataset.BitsStored, dataset.HighBit = bits_stored, bits_stored - 1

    archive.store(STUDY, SERIES, a_series(tmp_path / "in", slices=1, edit_all=fill))

    np.testing.assert_array_equal(pixels_in(archive, f"{SERIES}.1"), pixels)
    (header,) = archive.series_metadata(STUDY, SERIES)
    kept = PixelFormat.of_json(header)
    assert kept == archive.frame(STUDY, SERIES, f"{SERIES}.1").pixels
    # Decoders that do not know how many bits carry the sign get the same numbers.
    assert kept.bits_stored == (kept.bits_allocated if kept.signed else bits_stored)


@given(
    pixels=hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=16, max_side=24))
)
@settings(max_examples=50, deadline=None)
def test_compression_loses_nothing_of_any_image(pixels: NDArray[np.int16]) -> None:
    frame, kept = encode(pixels, 16)

    assert decode_frame(frame, JPEG_LS, kept) == pixels.tobytes()


@pytest.mark.parametrize("image", ["CT1", "CT2"])
@pytest.mark.parametrize("syntax", ["RLE", "JPLL", "JLSL", "J2KR", "JLSN", "J2KI"])
def test_seven_transfer_syntaxes_hold_the_same_pixels(
    nema: Path, archive: LocalArchive, tmp_path: Path, image: str, syntax: str
) -> None:
    with tolerant():
        raw = pydicom.dcmread(nema / f"{image}_UNC.dcm").pixel_array
        source = pydicom.dcmread(nema / f"{image}_{syntax}.dcm")
    uids = str(source.StudyInstanceUID), str(source.SeriesInstanceUID)
    archive.store(*uids, [nema / f"{image}_{syntax}.dcm"])

    (header,) = archive.series_metadata(*uids)
    decoded = archive.frame(*uids, header["00080018"]["Value"][0]).decoded()
    stored = np.frombuffer(decoded, "<i2").reshape(raw.shape)

    if syntax in {"JLSN", "J2KI"}:
        # Lossy: what pydicom decodes is kept without a further loss, and said to be lossy.
        np.testing.assert_array_equal(stored, decode_dataset(source))
        assert header["00282110"]["Value"] == ["01"]
        if syntax == "JLSN":
            assert np.abs(stored.astype(int) - raw).max() <= 10
    else:
        np.testing.assert_array_equal(stored, raw)


def test_files_in_other_encodings_are_read(archive: LocalArchive, tmp_path: Path) -> None:
    files = a_series(tmp_path / "in", slices=2)
    implicit = pydicom.dcmread(files[0])
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    pydicom.dcmwrite(files[0], implicit, implicit_vr=True, little_endian=True)
    rle = pydicom.dcmread(files[1])
    rle.compress(RLELossless, generate_instance_uid=False)
    rle.save_as(files[1])

    archive.store(STUDY, SERIES, files)

    for number in range(2):
        np.testing.assert_array_equal(pixels_in(archive, f"{SERIES}.{number + 1}"), noise(number))


def test_lidc_series_are_kept_bit_for_bit_in_less_than_half_the_room(
    unpack: Unpack, lidc_archive: LocalArchive
) -> None:
    (found,) = look_at(unpack("LIDC-IDRI-0063")).series
    uids = found.study_uid, found.series_uid

    headers = lidc_archive.series_metadata(*uids)

    assert len(headers) == 133
    size = 0
    for file, header in zip(found.files, headers, strict=True):
        source = pydicom.dcmread(file)
        assert header["00080018"]["Value"] == [source.SOPInstanceUID]
        frame = lidc_archive.frame(*uids, source.SOPInstanceUID)
        assert frame.decoded() == source.PixelData
        size += len(frame.data)
    assert size < 133 * 512 * 512 * 2 / 2


def test_importing_again_changes_nothing(filled: LocalArchive, tmp_path: Path) -> None:
    def state() -> dict[Path, tuple[int, bytes]]:
        return {
            p: (p.stat().st_mtime_ns, p.read_bytes()) for p in filled.root.rglob("*") if p.is_file()
        }

    before = state()

    assert not filled.store(STUDY, SERIES, sorted((tmp_path / "in").iterdir()))
    assert state() == before


@pytest.mark.parametrize("change", ["pixels", "place", "fewer"])
def test_a_stored_series_never_changes(filled: LocalArchive, tmp_path: Path, change: str) -> None:
    def other(dataset: FileDataset) -> None:
        if change == "pixels":
            put_pixels(dataset, noise(99))
        else:
            dataset.ImagePositionPatient = [0, 0, 10]

    edits = {} if change == "fewer" else {4: other}
    files = a_series(tmp_path / "other", edits=edits, slices=SLICES - (change == "fewer"))

    with pytest.raises(StoredOtherwise, match="already in the archive with other slices"):
        filled.store(STUDY, SERIES, files)
    np.testing.assert_array_equal(pixels_in(filled, f"{SERIES}.5"), noise(4))


def test_of_several_imports_at_once_one_is_first_and_all_agree(
    archive: LocalArchive, tmp_path: Path
) -> None:
    files = a_series(tmp_path / "in")
    start = threading.Barrier(4)

    def store(_: int) -> bool:
        start.wait()
        return archive.store(STUDY, SERIES, files)

    with ThreadPoolExecutor(4) as pool:
        first = list(pool.map(store, range(4)))

    assert sorted(first) == [False, False, False, True]
    assert len(archive.series_metadata(STUDY, SERIES)) == SLICES
    assert list((archive.root / ".incoming").iterdir()) == []


def test_a_series_that_cannot_be_decoded_leaves_nothing_behind(
    archive: LocalArchive, tmp_path: Path
) -> None:
    def cut(dataset: FileDataset) -> None:
        dataset.PixelData = dataset.PixelData[:100]

    files = a_series(tmp_path / "in", edits={7: cut})

    with pytest.raises(UndecodablePixels):
        archive.store(STUDY, SERIES, files)
    assert not archive.holds(STUDY, SERIES)
    assert [p for p in archive.root.rglob("*") if p.is_file()] == []


def _store_with_little_room(root: Path, files: list[Path], answer: Any) -> None:
    # A file may not grow beyond this: the write fails as it does on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
    try:
        LocalArchive(root).store(STUDY, SERIES, files)
    except CannotStore as error:
        answer.send(str(error))
    else:
        answer.send("stored")


def test_a_disk_that_takes_no_more_leaves_nothing_half_made(tmp_path: Path) -> None:
    def large(dataset: FileDataset) -> None:
        put_pixels(dataset, noise(0, (256, 256)))

    files = a_series(tmp_path / "in", edits={9: large})
    root = tmp_path / "archive"
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_store_with_little_room, args=(root, files, theirs)
    )
    process.start()
    assert ours.poll(30)
    said = ours.recv()
    process.join(30)
    process.close()
    ours.close()
    theirs.close()

    assert said == f"cannot write to {root}: File too large"
    assert not LocalArchive(root).holds(STUDY, SERIES)
    assert [p for p in root.rglob("*") if p.is_file()] == []


def test_a_full_disk_is_called_a_full_disk(
    archive: LocalArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reader_study.dicomweb.local._write_durably", full)

    with pytest.raises(CannotStore, match=r"the disk of .* is full: make room there"):
        archive.store(STUDY, SERIES, a_series(tmp_path / "in"))


def test_what_a_killed_import_left_is_removed_a_day_later(
    archive: LocalArchive, tmp_path: Path
) -> None:
    for name, age_h in {"old": 25, "new": 1}.items():
        left = archive.root / ".incoming" / name
        left.mkdir(parents=True)
        long_ago = left.stat().st_mtime - age_h * 3600
        os.utime(left, (long_ago, long_ago))

    archive.store(STUDY, SERIES, a_series(tmp_path / "in"))

    assert [left.name for left in (archive.root / ".incoming").iterdir()] == ["new"]


@pytest.mark.parametrize(
    "uids",
    [
        ("../../etc", SERIES, f"{SERIES}.1"),
        (STUDY, "..", f"{SERIES}.1"),
        (STUDY, SERIES, "../../../in/000"),
        (STUDY, SERIES, "headers.json"),
        (STUDY, SERIES, ""),
        (STUDY, "", ""),
        (STUDY, ".incoming", f"{SERIES}.1"),
        ("1" * 65, SERIES, f"{SERIES}.1"),
        (STUDY, SERIES, "1.2.3"),
        ("1.2.3", SERIES, f"{SERIES}.1"),
        ("\u0661.\u0662", SERIES, f"{SERIES}.1"),
    ],
)
def test_only_what_is_in_the_archive_is_given_out(
    filled: LocalArchive, uids: tuple[str, str, str]
) -> None:
    with pytest.raises(NotInArchive):
        filled.frame(*uids)
    with pytest.raises(NotInArchive):
        filled.instance(*uids)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_a_slice_has_one_frame(filled: LocalArchive, number: int) -> None:
    with pytest.raises(NotInArchive):
        filled.frame(STUDY, SERIES, f"{SERIES}.1", number)


def test_a_damaged_archive_says_what_to_do(filled: LocalArchive) -> None:
    folder = filled.folder(STUDY, SERIES)
    (folder / f"{SERIES}.1.dcm").write_bytes(b"")
    with pytest.raises(ArchiveUnavailable, match="import it again"):
        filled.frame(STUDY, SERIES, f"{SERIES}.1")
    (folder / "index.json").write_text("{")
    with pytest.raises(ArchiveUnavailable, match="import again"):
        filled.frame(STUDY, SERIES, f"{SERIES}.1")


def test_no_dicom_is_parsed_to_serve_a_frame(
    filled: LocalArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(pydicom, "dcmread")

    assert filled.frame(STUDY, SERIES, f"{SERIES}.1").data[:2] == b"\xff\xd8"


def test_headers_hold_no_bytes(filled: LocalArchive) -> None:
    text = json.dumps(filled.series_metadata(STUDY, SERIES))

    assert "InlineBinary" not in text
    assert "7FE00010" not in text


# Searching


@pytest.fixture
def three(archive: LocalArchive, tmp_path: Path) -> LocalArchive:
    """Two series of one study, and one of another patient."""
    archive.store(STUDY, SERIES, a_series(tmp_path / "1", slices=3))
    other = f"{STUDY}.2"
    archive.store(STUDY, other, a_series(tmp_path / "2", slices=4, series=other))

    def of_another(dataset: FileDataset) -> None:
        dataset.PatientID, dataset.PatientName, dataset.StudyDate = "Q-7", "Roe^Rick", "20210601"

    files = a_series(tmp_path / "3", slices=5, study="1.2.3", series="1.2.3.4", edit_all=of_another)
    archive.store("1.2.3", "1.2.3.4", files)
    return archive


def studies(found: list[dict[str, Any]]) -> list[str]:
    return [one["0020000D"]["Value"][0] for one in found]


def test_studies_are_counted_up(three: LocalArchive) -> None:
    found = {one["0020000D"]["Value"][0]: one for one in three.search_studies()}

    assert found[STUDY]["00201206"]["Value"] == [2]  # series
    assert found[STUDY]["00201208"]["Value"] == [7]  # instances
    assert found[STUDY]["00080061"]["Value"] == ["CT"]
    assert found["1.2.3"]["00100010"]["Value"] == [{"Alphabetic": "Roe^Rick"}]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"PatientID": "Q-7"}, ["1.2.3"]),
        ({"00100020": "Q-7"}, ["1.2.3"]),
        ({"PatientID": "?-?"}, ["1.2.3", STUDY]),
        ({"PatientID": "P*"}, [STUDY]),
        ({"PatientID": "p*"}, []),
        ({"PatientName": "roe*"}, ["1.2.3"]),
        ({"StudyDate": "20210101-"}, ["1.2.3"]),
        ({"StudyDate": "20200101-20201231"}, [STUDY]),
        ({"StudyDate": "20200131"}, [STUDY]),
        ({"StudyInstanceUID": f"1.2.3,{STUDY}"}, ["1.2.3", STUDY]),
        ({"StudyInstanceUID": "1.2.3"}, ["1.2.3"]),
        ({"StudyInstanceUID": "../1.2.3"}, []),
        ({"PatientID": ""}, ["1.2.3", STUDY]),
        ({"ModalitiesInStudy": "MR"}, []),
        ({"NumberOfStudyRelatedSeries": "2"}, [STUDY]),
    ],
)
def test_studies_are_found_by_their_attributes(
    three: LocalArchive, filters: dict[str, str], expected: list[str]
) -> None:
    assert studies(three.search_studies(Search(filters))) == expected


def test_series_and_instances_are_found_within_a_study_or_in_all(three: LocalArchive) -> None:
    within = Search({"StudyInstanceUID": STUDY})

    assert len(three.search_series()) == 3
    assert len(three.search_series(within)) == 2
    assert len(three.search_instances()) == 12
    assert len(three.search_instances(within)) == 7
    assert len(three.search_instances(Search({"SeriesInstanceUID": SERIES}))) == 3
    assert len(three.search_instances(Search({"SOPInstanceUID": f"{SERIES}.2"}))) == 1


def test_a_list_is_given_out_in_parts(three: LocalArchive) -> None:
    everything = three.search_instances()

    parts = [three.search_instances(Search({}, limit=5, offset=start)) for start in (0, 5, 10, 15)]

    assert [len(part) for part in parts] == [5, 5, 2, 0]
    assert [one for part in parts for one in part] == everything


@pytest.mark.parametrize(
    "search",
    [
        Search({"NoSuchThing": "1"}),
        Search({"KVP": "120"}),
        Search({}, limit=-1),
        Search({}, offset=-1),
    ],
)
def test_a_search_that_cannot_be_carried_out_is_refused(
    three: LocalArchive, search: Search
) -> None:
    with pytest.raises(BadSearch):
        three.search_studies(search)


def test_an_empty_archive_has_nothing(tmp_path: Path) -> None:
    archive = open_archive(url="", token="", folder=tmp_path / "nowhere")

    assert archive.search_studies() == []
    with pytest.raises(NotInArchive):
        archive.series_metadata(STUDY, SERIES)


def test_many_threads_read_at_once(filled: LocalArchive) -> None:
    def read(number: int) -> bool:
        place = number % SLICES
        found = pixels_in(filled, f"{SERIES}.{place + 1}")
        return bool((found == noise(place)).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(200)))


def test_a_series_removed_by_hand_is_gone(filled: LocalArchive) -> None:
    assert len(filled.search_series()) == 1

    shutil.rmtree(filled.folder(STUDY, SERIES))

    assert filled.search_series() == []
    with pytest.raises(NotInArchive):
        filled.frame(STUDY, SERIES, f"{SERIES}.1")


def test_a_file_of_another_series_is_not_stored_with_it(
    archive: LocalArchive, tmp_path: Path
) -> None:
    files = a_series(tmp_path / "in")
    stranger = tmp_path / "stranger.dcm"
    pydicom.dcmwrite(stranger, a_slice(40, series="1.2.3.4"))

    with pytest.raises(CannotStore, match="does not belong to series"):
        archive.store(STUDY, SERIES, [*files, stranger])
