"""Images a second: the site, nginx with the same files, and Orthanc: `make bench-site PART=frames`.

One series, asked for over and over by six connections (wrk): as files from nginx with the same
configuration, through the site as one reader and as several, and from an Orthanc that holds
it. They take turns of a few seconds, so that what else the machine does is the same for all, and
are compared turn by turn; the median of these is what counts.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.site import a_database, a_site, a_study, machine, session_of

# Every request is made before the first is sent: the client is to be as little as can be.
SCRIPT = """
local requests, i = {}, 0
init = function()
  for line in io.lines("PATHS") do
    local cookie, path = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = wrk.format("GET", path, HEADERS(cookie))
  end
end
request = function()
  i = i % #requests + 1
  return requests[i]
end
"""
BARE, SITE = "nginx, the same files", "through the site"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--readers", type=int, default=5)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: apt-get install wrk")
    print(machine(), flush=True)
    with a_database() as (folder, _):
        study = a_study(folder, readers=options.readers, cases=1)
        bare, site_paths = _paths(study, folder)
        with a_site(folder) as site, _orthanc(folder) as orthanc:
            runs = {
                BARE: (site.url, bare),
                SITE: (site.url, site_paths),
                "the site without nginx": (site.web, site_paths),
            }
            if orthanc:
                runs["Orthanc"] = orthanc
            rates: dict[str, list[float]] = {name: [] for name in runs}
            for url, lines in runs.values():  # once, so that everything is in its place
                _wrk(folder, url, lines, 2)
            for _ in range(options.times):
                for name, (url, lines) in runs.items():
                    rates[name].append(_wrk(folder, url, lines, options.seconds))
    for name, found in rates.items():
        middle = statistics.median(found)
        print(f"{name:<24} {middle:>7.0f} images/s  {[round(one) for one in found]}")
    share = _compared(rates, BARE)
    print(f"through the site / nginx: {share:.2f} (target 0.8)")
    if "Orthanc" in rates:
        print(f"through the site / Orthanc: {_compared(rates, 'Orthanc'):.1f}")
    sys.exit(int(share < 0.8))


def _compared(rates: dict[str, list[float]], other: str) -> float:
    return statistics.median(
        mine / theirs for mine, theirs in zip(rates[SITE], rates[other], strict=True)
    )


def _paths(study: Any, folder: Path) -> tuple[list[str], list[str]]:
    from django.urls import reverse

    from reader_study.actions.cases import site_archive
    from reader_study.actions.pseudonyms import pseudonym
    from reader_study.actions.reading import open_reading
    from reader_study.dicomweb.metadata import value_of
    from reader_study.models import Reading

    bare, through = [], []
    (folder / "bare").mkdir()
    for reading in Reading.objects.of_study(study).select_related("reader__user"):
        user = reading.reader.user
        open_reading(reader=user, reading_id=reading.pk, now=study.opened_at)
        cookie = session_of(user)
        series = reading.case.series.get()
        uids = [pseudonym(reading, uid) for uid in (series.study_uid, series.series_uid)]
        headers = site_archive().series_metadata(series.study_uid, series.series_uid)
        for number, header in enumerate(headers, start=1):
            uid = str(value_of(header, "00080018"))
            frame = site_archive().frame(series.study_uid, series.series_uid, uid)
            (folder / "bare" / str(number)).write_bytes(frame.data)
            bare.append(f"{cookie} /bare/{number}")
            through.append(f"{cookie} {reverse('api-slice', args=[reading.pk, *uids, number])}")
    size = sum(path.stat().st_size for path in (folder / "bare").iterdir()) / len(headers)
    print(f"{len(headers)} slices of {size / 1e3:.0f} kB, JPEG-LS", flush=True)
    return bare, through


def _wrk(folder: Path, url: str, lines: list[str], seconds: int) -> float:
    paths, script = folder / "paths", folder / "wrk.lua"
    paths.write_text("\n".join(lines) + "\n")
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    auth = '["Authorization"] = "Basic cmVyZWFkOm9ydGhhbmM=", ["Accept-Encoding"] = "identity",'
    head = (
        "local HEADERS = function(cookie) return "
        f"{{ ['Cookie'] = 'sessionid=' .. cookie, {auth} ['Accept'] = '{accept}' }} end\n"
    )
    script.write_text(head + SCRIPT.replace("PATHS", str(paths)))
    command = ["wrk", "-t1", "-c6", f"-d{seconds}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url}: not every image was sent\n{said}")
    (rate,) = re.findall(r"Requests/sec: +([\d.]+)", said)
    return float(rate)


class _orthanc:  # noqa: N801  a context, as of a function
    """Orthanc with the archive's series, where it is installed; None elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: Any = None

    def __enter__(self) -> tuple[str, list[str]] | None:
        from tests.images import start_orthanc

        files = sorted((self.folder / "var" / "archive").rglob("*.dcm"))
        started = start_orthanc(self.folder / "orthanc")
        if started is None:
            print("no Orthanc here (apt-get install orthanc orthanc-dicomweb)")
            return None
        self.process, server = started
        server.upload(files)
        lines = []
        for path in files:
            study, series = path.parts[-3], path.parts[-2]
            address = f"/dicom-web/studies/{study}/series/{series}/instances/{path.stem}/frames/1"
            lines.append(f"none {address}")
        return server.address, lines

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)


if __name__ == "__main__":
    main()
