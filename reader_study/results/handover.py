"""The readings of a study in the files of other programs, with a script that repeats its tests."""

import tempfile
from pathlib import Path

from reader_study.results.datasets import Data
from reader_study.results.files import RATINGS, endpoint_file
from reader_study.results.planned import asked
from reader_study.statistics.formats.files import write_all
from reader_study.statistics.formats.readings import Readings
from reader_study.statistics.formats.script import Script
from reader_study.statistics.tables import InputError

FOLDER = "exports"


def hand_over(data: Data) -> dict[str, bytes]:
    """Return the files by name: those of each planned endpoint, or of all ratings without a plan.

    An endpoint without a reading has none.
    """
    scripts = {RATINGS: Script("", data.locked.study.get("title", ""))}
    if data.plan:
        scripts = {
            endpoint_file(endpoint): Script(
                "",
                endpoint.label or endpoint.name,
                endpoint.covariance,
                endpoint.endpoint,
                asked(data, endpoint).threshold,
            )
            for endpoint in data.plan.endpoints
        }
    found: dict[str, bytes] = {}
    for name, script in scripts.items():
        try:
            readings = Readings(data.folder / name)
        except InputError:
            continue
        place = f"{FOLDER}/{Path(name).stem}"
        with tempfile.TemporaryDirectory() as folder:
            write_all(readings, Path(folder), title=script.title, script=script)
            found |= {f"{place}/{file.name}": file.read_bytes() for file in Path(folder).iterdir()}
    return found
