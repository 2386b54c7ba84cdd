import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inference.data.cache import PLANES, CropCache
from inference.data.examples import examples_of, planes_at
from inference.data.images import Images
from inference.errors import DataUnusable
from inference.preprocess import nodule_input
from tests.inference.crops import a_row, write_crops
from tests.inference.data.tables import a_nodule, a_table
from tests.inference.examples import a_series, write_series
from tests.stack import wait_until

BYTES = int(np.prod(PLANES))
RNG = np.random.default_rng(0)
HU = RNG.integers(-900, 300, (40, 60, 60)).astype(np.int16)

# Asks for planes that follow from their number, over and over, and checks what it is given.
WORKER = """
import sys
import numpy as np
from pathlib import Path
from inference.data.cache import PLANES, CropCache
cache = CropCache(Path(sys.argv[1]), int(sys.argv[2]))
rng = np.random.default_rng(int(sys.argv[3]))
for _ in range(int(sys.argv[4])):
    number = int(rng.integers(60))
    key = cache.key(str(number), (0.0, 0.0, 0.0))
    planes = cache.planes(key, lambda: np.full(PLANES, number, dtype=np.uint8))
    assert (planes == number).all(), number
"""


def worker(folder: Path, seed: int, times: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", WORKER, str(folder), str(20 * BYTES), str(seed), str(times)]
    return subprocess.Popen(command)


def test_many_processes_share_one_folder_of_bounded_size_even_if_one_is_killed(
    tmp_path: Path,
) -> None:
    doomed = worker(tmp_path, 0, 10**9)
    others = [worker(tmp_path, seed, 1500) for seed in (1, 2)]
    wait_until(lambda: len(list(tmp_path.glob("*/*.npy"))) > 5, "planes are kept", 120)
    doomed.kill()
    doomed.wait()
    assert [one.wait(timeout=300) for one in others] == [0, 0]
    kept = list(tmp_path.glob("*/[!.]*.npy"))
    # A process looks after every 2 % it has written: as many files may be too many as there are
    # processes.
    assert 10 < len(kept) <= 20 + 3
    for path in kept:
        assert np.load(path).shape == PLANES


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    cache = CropCache(tmp_path)
    made = np.full(PLANES, 7, dtype=np.uint8)
    cache.planes("a" * 64, lambda: made)
    (path,) = tmp_path.glob("*/*.npy")
    path.write_bytes(path.read_bytes()[:500])
    assert (cache.planes("a" * 64, lambda: made) == 7).all()
    assert (np.load(path) == 7).all()


def test_the_key_changes_with_the_series_the_place_and_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = CropCache(tmp_path)
    keys = {
        cache.key("one", (1.0, 2.0, 3.0)),
        cache.key("two", (1.0, 2.0, 3.0)),
        cache.key("one", (1.0, 2.0, 3.001)),
    }
    monkeypatch.setattr("inference.preprocess.HIGHEST_HU", 400)
    keys.add(CropCache(tmp_path).key("one", (1.0, 2.0, 3.0)))
    assert len(keys) == 4


def test_nodules_of_a_table_are_cut_once_and_as_a_prediction_cuts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = {}
    for number in (1, 2):
        series = a_series(
            HU + number, (0.9, 0.9, 1.5), (-27.0, -27.0, -30.0), SeriesInstanceUID=f"1.2.{number}"
        )
        write_series(series, tmp_path / "ct" / str(number))
        uids[number] = series
    table = a_table(
        a_nodule(2, x=1.0, y=2.0, z=3.0, suspicion=0.25, features={"margin": "smooth"}),
        a_nodule(1, x=1.0, y=2.0, z=3.0, diameter_mm=6.5),
        a_nodule(3, series="1.2.1", label="", x=0.0, y=0.0, z=0.0),
        a_nodule(4, series="1.2.2", x=9.0, y=2.0, z=3.0, readers=2),
        a_nodule(5, series="1.2.2", x=0.0, y=9.0, z=3.0, label="", suspicion=0.75),
        folder=tmp_path,
    )
    images, cache = Images(tmp_path, tmp_path / "ct"), CropCache(tmp_path / "cache")
    examples = examples_of(table, images, cache)
    assert len(examples) == 4
    assert examples.left_out == 1
    assert examples.nodules.chance.tolist() == [0.25, 1.0, 0.0, 0.75]
    assert examples.nodules.malignant.tolist() == [False, True, False, True]
    # Two readers are too few to measure with, and a suspicion is no label.
    assert examples.measurable.tolist() == [True, True, False, False]
    assert examples.nodules.features(0) == {"margin": "smooth"}
    assert np.isnan(examples.nodules.diameter_mm[0])

    volume = images.volume(table.nodules[1])
    seen = examples.nodules.planes[1][:, 7:-7, 7:-7] / 255
    assert np.abs(seen - nodule_input(volume, (1.0, 2.0, 3.0)).planes).max() <= 0.5 / 255 + 1e-6

    def never(*_: object) -> None:
        raise AssertionError("cut again")

    monkeypatch.setattr("inference.data.examples.planes_at", never)
    monkeypatch.setattr("inference.data.images.volume_from_slices", never)
    again = examples_of(table, Images(tmp_path, tmp_path / "ct"), CropCache(tmp_path / "cache"))
    assert (again.nodules.planes == examples.nodules.planes).all()


def test_what_cannot_be_cut_is_said_with_its_line(tmp_path: Path) -> None:
    write_series(a_series(HU, SeriesInstanceUID="1.2.1"), tmp_path / "ct")
    images, cache = Images(tmp_path, tmp_path / "ct"), CropCache(tmp_path / "cache")
    table = a_table(a_nodule(1, x=500.0, y=0.0, z=0.0), folder=tmp_path)
    with pytest.raises(DataUnusable, match=r"line 2 \(nodule n1\): The nodule at .* lies outside"):
        examples_of(table, images, cache)
    crop = a_nodule(2, series="", image="a.png", spacing_mm=0.7, x=None, y=None, z=None)
    with pytest.raises(DataUnusable, match="mixes crops and volumes"):
        examples_of(a_table(a_nodule(1), crop), images, cache)
    assert planes_at(images.volume(a_nodule(1)), (0.0, 0.0, -20.0)).shape == PLANES


def test_crops_have_one_plane(tmp_path: Path) -> None:
    write_crops(tmp_path, [a_row(0, 8)])
    crop = a_nodule(
        1, series="", image="images/nodule0.png", spacing_mm=0.7, x=None, y=None, z=None
    )
    examples = examples_of(a_table(crop, folder=tmp_path), Images(tmp_path), CropCache(tmp_path))
    assert examples.nodules.planes.shape == (1, 1, 64, 64)
