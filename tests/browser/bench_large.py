"""A series of 1,500 slices of 512 x 512 in the reading room: time to read it, and memory.

Run with `python -m pytest tests/browser/bench_large.py -n0 -s -q` (SLICES=1500).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page

from reader_study.actions.cases import import_cases
from tests.browser.bench_viewer import browser_pid, memory_mb, say, spread
from tests.browser.conftest import a_study_with_members, open_without_ai
from tests.browser.room import pane, viewer
from tests.dicomweb.series import SERIES, STUDY, a_slice, put_pixels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SLICES = int(os.environ.get("SLICES", "1500"))
STEPS = 60  # slices that are scrolled


def a_large_series(folder: Path) -> None:
    """Noise of a chest CT over a smooth body: it compresses as such a series does."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:512, :512] - 255.5
    body = np.where((rows / 180) ** 2 + (columns / 230) ** 2 < 1, 40.0, -1000.0)
    lung = (rows / 140) ** 2 + ((np.abs(columns) - 110) / 80) ** 2 < 1
    body[lung] = -850
    for number in range(SLICES):
        dataset = a_slice(number)
        hu = body + rng.normal(0, 25, body.shape)
        put_pixels(dataset, (hu + 1024).clip(0, 4095).astype(np.uint16))
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelSpacing = [0.7, 0.7]
        dataset.ImagePositionPatient = [-178.9, -178.9, 0.25 * number]
        pydicom.dcmwrite(folder / f"{number:04}.dcm", dataset)


def test_a_large_series(
    browser: Browser, page: Page, live_server, log_in: Callable[[str], None], tmp_path: Path
):
    a_large_series(tmp_path / "ct")
    nodules = tmp_path / "ct" / "nodules.csv"
    nodules.write_text(f"patient,study,series,nodule,x,y,z\nP-1,{STUDY},{SERIES},N1,80,0,180\n")
    study = a_study_with_members("Large")
    began = time.monotonic()
    report = import_cases(study=study, folder=tmp_path / "ct", nodules=nodules, now=timezone.now())
    assert report.complete, report.lines()
    say(f"\n{SLICES} slices of 512 x 512: import {time.monotonic() - began:.0f} s")
    open_without_ai(study)
    log_in("reader")
    page.wait_for_load_state()
    before = memory_mb(browser_pid(browser))
    began = time.monotonic()
    page.get_by_role("link", name="Begin with case 1").click()
    mark = "performance.getEntriesByName('first_image').length"
    wait_until(lambda: page.evaluate(mark), "the first image", 120)
    say(f"  first image {time.monotonic() - began:.1f} s")
    loaded = "window.__reread?.viewer?.loaded"
    wait_until(lambda: page.evaluate(loaded) == SLICES, "all images", 280)
    say(f"  all images {time.monotonic() - began:.1f} s")
    drawn = "(({ planes, panes }) => planes.every(p => panes[p].drawn))(window.__reread.viewer)"
    wait_until(lambda: page.evaluate(drawn), "all planes are drawn", 120)
    say(f"  all planes {time.monotonic() - began:.1f} s: {', '.join(viewer(page)['planes'])}")
    say(f"  memory {before:.0f} MB before, {memory_mb(browser_pid(browser)):.0f} MB with all of it")
    page.locator(".pane.axial").focus()
    times = []
    for _ in range(STEPS):
        here, began = pane(page)["index"], time.perf_counter()
        page.keyboard.press("ArrowDown")
        wait_until(lambda: pane(page)["index"] != here, "the next slice", 20)  # noqa: B023
        times.append(1000 * (time.perf_counter() - began))
    say(f"  a slice on, as a script sees it: {spread(times)}")
