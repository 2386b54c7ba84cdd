"""The reading room against OHIF and bare Cornerstone3D: `make bench-viewer`.

Not one of the tests: figures depend on the machine, so what is compared is taken in one run, in
turns, from one server, of the same series, by the same browser, each time with an empty cache.
OHIF is read from npm into a temporary folder. It is given the whole server: its DICOMweb requests
are let in without a login, and its clock for "the whole series" stops with the last byte received,
ours when the last slice can be scrolled to.
"""

import json
import logging
import mimetypes
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import numpy as np
import pydicom
import pytest
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer
from django.core.wsgi import get_wsgi_application
from django.test.testcases import QuietWSGIRequestHandler
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from reader_study.actions.cases import import_cases
from reader_study.models import Reading, Series, Study
from tests.browser.conftest import a_study_with_members, open_without_ai, submit_first
from tests.browser.room import pane, viewer, wait_until_loaded
from tests.factories import PASSWORD
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TIMES = int(os.environ.get("TIMES", "3"))
OHIF = "@ohif/app@3.13.2"
CASES_IN_A_ROW = 20
SLICES_SCROLLED = 100
SIZE: ViewportSize = {"width": 1600, "height": 900}
MARK = "name => performance.getEntriesByName(name)[0]?.startTime"

WATCH_OHIF = """
  performance.setResourceTimingBufferSize(10000)
  let filled = false
  addEventListener('CORNERSTONE_STACK_NEW_IMAGE', () => { filled = true }, true)
  addEventListener('CORNERSTONE_IMAGE_RENDERED', () => {
    if (filled && !window.firstImage) window.firstImage = performance.now()
  }, true)
"""
FRAMES = """() => performance.getEntriesByType('resource').filter(one => one.responseEnd > 0
  && one.name.includes('/frames/')).map(({ name, responseEnd, encodedBodySize }) =>
    ({ name, at: responseEnd, bytes: encodedBodySize }))"""
# What is on screen is known to be drawn by Cornerstone's event, and in the reading room, which need
# not draw with Cornerstone, by the number of the slice, which is written once the slice is drawn.
SCROLL = """async ([canvas, slices, bare]) => {
  const element = document.querySelector(canvas)
  const place = document.querySelector('.pane.axial .labels .top-left')
  const drawn = () => new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('nothing was drawn')), 10000)
    if (bare) return element.addEventListener('CORNERSTONE_IMAGE_RENDERED', resolve, { once: true })
    const observer = new MutationObserver(() => { observer.disconnect(); resolve() })
    observer.observe(place, { childList: true, characterData: true, subtree: true })
  })
  const key = name => element.dispatchEvent(
    new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }))
  const step = by => bare ? window.scrollBare(by) : key(by > 0 ? 'ArrowDown' : 'ArrowUp')
  const times = []
  for (let i = 0; i < slices; i++) {
    const done = drawn()
    const before = performance.now()
    step(i % 40 < 20 ? 1 : -1)
    await done
    times.push(performance.now() - before)
    await new Promise(resolve => setTimeout(resolve, 30))
  }
  return times
}"""
OHIF_CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "Reread",
                "name": "reread",
                "qidoRoot": "/dicomweb",
                "wadoRoot": "/dicomweb",
                "wadoUriRoot": "/dicomweb",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsWildcard": True,
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}

Application = Callable[..., Iterable[bytes]]


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with OHIF at its root, and the page of bare Cornerstone3D in `bare/`."""
    folder = tmp_path_factory.mktemp("others")
    frontend = Path(__file__).parents[2] / "frontend"
    subprocess.run(["npm", "pack", "--silent", OHIF], cwd=folder, check=True)
    (packed,) = folder.glob("*.tgz")
    with tarfile.open(packed) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)
    dist = folder / "package" / "dist"
    (dist / "app-config.js").write_text(f"window.config = {json.dumps(OHIF_CONFIG)}")
    build = ["npx", "vite", "build", "--config", "bench.config.ts", "--outDir", str(dist / "bare")]
    subprocess.run(build, cwd=frontend, check=True, stdout=subprocess.DEVNULL)
    (dist / "bare" / "index.html").write_text(
        '<!doctype html><html lang="en"><title>bare</title><body style="margin:0">'
        '<script type="module" src="bare.js"></script></body></html>'
    )
    return dist


@pytest.fixture
def server(others: Path, transactional_db: None) -> Iterator[str]:
    """The address of the site, with the other viewers beside it."""
    site: Application = StaticFilesHandler(get_wsgi_application())

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        file = others / path.lstrip("/")
        if path.startswith("/viewer"):
            file = others / "index.html"
        if path != "/" and file.is_file():
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            start_response("200 OK", [("Content-Type", kind)])
            return [file.read_bytes()]
        if path.startswith("/dicomweb/"):
            environ["HTTP_AUTHORIZATION"] = f"Bearer {settings.SERVICE_TOKEN}"
        return site(environ, start_response)

    httpd = ThreadedWSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    httpd.daemon_threads = True
    httpd.set_app(application)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    settings.ALLOWED_HOSTS = ["*"]
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def resample(folder: Path, target: Path, slices: int) -> Path:
    """Write the series in `folder` again with so many slices, between those it has."""
    images = sorted(
        (pydicom.dcmread(path) for path in folder.rglob("*.dcm")),
        key=lambda image: float(image.ImagePositionPatient[2]),
    )
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    values = np.stack([image.pixel_array for image in images]).astype(np.float32)
    low, high = (float(images[i].ImagePositionPatient[2]) for i in (0, -1))
    target.mkdir()
    for i, at in enumerate(np.linspace(0, len(images) - 1, slices)):
        below = min(int(at), len(images) - 2)
        part = at - below
        image = images[round(at)].copy()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.PatientID = "RESAMPLED"
        x, y, _ = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, f"{low + (high - low) * i / (slices - 1):.4f}"]
        mixed = np.rint((1 - part) * values[below] + part * values[below + 1])
        # Between two slices noise averages out; without it the series would compress too well.
        noise = np.random.default_rng(i).normal(0, 12, mixed.shape)
        image.PixelData = (mixed + np.rint(noise)).astype(images[0].pixel_array.dtype).tobytes()
        image.save_as(target / f"{i:04}.dcm")
    (target / "nodules.csv").write_text(
        "patient,study,series,nodule,x,y,z\n"
        f"RESAMPLED,{study},{series},N1,-60,-200,{(low + high) / 2:.2f}\n"
    )
    return target


@pytest.fixture
def study(lidc: Path, server: str, tmp_path: Path) -> Study:
    """Two real series of 133 slices and one of 300, open for one reader."""
    study = a_study_with_members("Bench")
    call_command("import_lidc", str(lidc), study=study.slug)
    longer = resample(lidc / "LIDC-IDRI-0063", tmp_path / "longer", 300)

    import_cases(study=study, folder=longer, nodules=longer / "nodules.csv", now=timezone.now())
    return open_without_ai(study)


def a_context(browser: Browser) -> BrowserContext:
    return browser.new_context(viewport=SIZE, service_workers="block")


def a_reader(browser: Browser, server: str) -> Page:
    """A page of a browser with an empty cache, logged in."""
    page = a_context(browser).new_page()
    page.goto(f"{server}/login")
    page.get_by_label("User name").fill("reader")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def wait_for(page: Page, true: str) -> None:
    wait_until(lambda: page.evaluate(true), true, 180)


def wait_for_mark(page: Page, mark: str) -> None:
    wait_until(lambda: page.evaluate(MARK, mark), mark, 180)


def open_ours(browser: Browser, server: str, reading: Reading, slices: int) -> dict[str, float]:
    page = a_reader(browser, server)
    page.add_init_script("performance.setResourceTimingBufferSize(10000)")
    page.goto(f"{server}/reading/{reading.pk}")
    wait_for_mark(page, "series_loaded")
    frames = page.evaluate(FRAMES)
    figures = {
        "first image": page.evaluate(MARK, "first_image"),
        "whole series": page.evaluate(MARK, "series_loaded"),
        "bytes": sum(frame["bytes"] for frame in frames),
    }
    assert viewer(page)["loaded"] == slices
    page.context.close()
    return figures


def open_ohif(browser: Browser, server: str, series: Series) -> dict[str, float]:
    page = a_context(browser).new_page()
    page.add_init_script(WATCH_OHIF)
    page.goto(f"{server}/viewer?StudyInstanceUIDs={series.study_uid}")

    def frames() -> dict[str, Any]:
        return {one["name"]: one for one in page.evaluate(FRAMES)}

    wait_until(lambda: len(frames()) == series.slices, "OHIF has the series", 180)
    wait_until(lambda: page.evaluate("window.firstImage"), "OHIF shows an image", 60)
    figures = {
        "first image": page.evaluate("window.firstImage"),
        "whole series": max(frame["at"] for frame in frames().values()),
        "bytes": sum(frame["bytes"] for frame in frames().values()),
    }
    page.context.close()
    return figures


def say(line: str) -> None:
    print(line, flush=True)


def spread(values: list[float], unit: str = "ms") -> str:
    return f"{median(values):7.0f} {unit} ({min(values):.0f} to {max(values):.0f})"


def test_opening_against_ohif(browser: Browser, server: str, study: Study):
    readings = Reading.objects.filter(reader__study=study).order_by("case__series__slices")
    for reading in (readings[0], readings[2]):
        series = reading.case.series.get()
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        open_ours(browser, server, reading, series.slices)  # opened once, and both are warm
        open_ohif(browser, server, series)
        for _ in range(TIMES):
            ours.append(open_ours(browser, server, reading, series.slices))
            theirs.append(open_ohif(browser, server, series))
        say(f"\n{series.slices} slices, {TIMES} times in turns, from the navigation:")
        for what in ("first image", "whole series"):
            a, b = [run[what] for run in ours], [run[what] for run in theirs]
            ratio = median(a) / median(b)
            say(f"  {what:14} Reread {spread(a)}  OHIF {spread(b)}  ratio {ratio:.2f}")
        raw = 512 * 512 * 2 * series.slices
        sent = ours[0]["bytes"]
        say(f"  bytes          {sent / 1e6:.1f} MB of {raw / 1e6:.1f} MB: {sent / raw:.2f}")


def test_next_case_once_prepared(browser: Browser, server: str, study: Study):
    submit_first(study)
    first, second = Reading.objects.filter(reader__study=study).order_by("position")[:2]
    slices = second.case.series.get().slices
    figures: list[tuple[float, float]] = []
    for _ in range(TIMES):
        page = a_reader(browser, server)
        page.goto(f"{server}/reading/{first.pk}")
        wait_for_mark(page, "next_prepared")
        page.get_by_role("link", name="Next case").click()
        page.wait_for_url(f"**/reading/{second.pk}")
        wait_for_mark(page, "series_loaded")
        figures.append((page.evaluate(MARK, "first_image"), page.evaluate(MARK, "series_loaded")))
        page.context.close()
    say(f"\nnext case of {slices} slices, prepared, from the click:")
    say(f"  first image    {spread([one for one, _ in figures])}")
    say(f"  whole series   {spread([one for _, one in figures])}")


def test_scrolling_against_bare_cornerstone(browser: Browser, server: str, study: Study):
    reading = Reading.objects.filter(reader__study=study).order_by("case__series__slices")[0]
    series = reading.case.series.get()
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(TIMES):
        page = a_reader(browser, server)
        page.goto(f"{server}/reading/{reading.pk}")
        wait_until_loaded(page, series.slices)
        # One pane beside one pane: in the other layouts further planes are drawn along.
        page.get_by_role("button", name="Axial", exact=True).click()
        wait_until(lambda: viewer(page)["layout"] == "axial", "the axial images alone", 10)  # noqa: B023
        page.wait_for_timeout(1000)
        ours += page.evaluate(SCROLL, [".pane.axial .ct", SLICES_SCROLLED, False])
        rect = pane(page)["rect"]
        room = {
            "root": f"/dicomweb/studies/{series.study_uid}/series/{series.series_uid}",
            "width": rect["width"],
            "height": rect["height"],
        }
        page.context.close()
        page = a_context(browser).new_page()
        page.goto(f"{server}/bare/index.html#{json.dumps(room)}")
        wait_for(page, "!!window.scrollBare")
        page.wait_for_timeout(1000)
        bare += page.evaluate(SCROLL, [".bare", SLICES_SCROLLED, True])
        page.context.close()
    say(f"\nscrolling, {len(ours)} slices each, {rect['width']:.0f} x {rect['height']:.0f}:")
    for what, of in (("median", median), ("95th percentile", lambda v: quantiles(v, n=20)[18])):
        a, b = of(ours), of(bare)
        say(f"  {what:16} Reread {a:5.1f} ms  bare {b:5.1f} ms  ratio {a / b:.2f}")


def memory_mb(pid: int) -> float:
    """Proportional memory of a process and all that it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:")
    return total / 1024


def browser_pid(browser: Browser) -> int:
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return int(next(one["id"] for one in processes if one["type"] == "browser"))


def test_memory_over_cases_in_a_row(browser: Browser, server: str, study: Study):
    readings = list(
        Reading.objects.filter(reader__study=study).order_by("case__series__slices")[:2]
    )
    pid = browser_pid(browser)
    page = a_reader(browser, server)
    figures: list[float] = []
    for number in range(CASES_IN_A_ROW):
        reading = readings[number % 2]
        page.goto(f"{server}/reading/{reading.pk}")
        wait_until_loaded(page, reading.case.series.get().slices)
        page.wait_for_timeout(1500)
        figures.append(memory_mb(pid))
    page.context.close()
    early, late = median(figures[1:5]), median(figures[-4:])
    say(f"\nmemory of the browser over {CASES_IN_A_ROW} cases of 133 slices:")
    say(f"  cases 2 to 5: {early:.0f} MB, the last four: {late:.0f} MB, {late / early - 1:+.1%}")


def test_compression_of_real_ct(lidc: Path):
    logging.getLogger("openjpeg").setLevel(logging.WARNING)
    paths = sorted((lidc / "LIDC-IDRI-0063").rglob("*.dcm"))[::7]
    images = [pydicom.dcmread(path) for path in paths]
    raw = sum(len(image.PixelData) for image in images)
    say(f"\nlossless compression of {len(images)} slices of LIDC-IDRI-0063:")
    for name, syntax in (
        ("JPEG-LS", JPEGLSLossless),
        ("JPEG 2000", JPEG2000Lossless),
        ("RLE", RLELossless),
    ):
        sent, begun = 0, perf_counter()
        for path in paths:
            image = pydicom.dcmread(path)
            image.compress(syntax)
            sent += sum(map(len, generate_frames(image.PixelData, number_of_frames=1)))
        encoding = (perf_counter() - begun) / len(paths)
        say(f"  {name:10} {sent / raw:.2f} of uncompressed, {1000 * encoding:.0f} ms a slice")
