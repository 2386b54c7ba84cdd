"""What the reading room does when the graphics card fails, or when there is none."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from reader_study.models import Event, Nodule, Study
from tests.browser.room import hu_in_the_middle, pane, rate, viewer, wait_until_loaded
from tests.browser.voxels import read_voxels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Before any script of the page: keep hold of the contexts that are made, or make none.
KEEP_CONTEXTS = """
  const make = HTMLCanvasElement.prototype.getContext
  window.contexts = []
  HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
    const context = make.call(this, kind, ...more)
    if (kind === 'webgl2' && context) window.contexts.push(context)
    return context
  }
"""
NO_WEBGL = """
  const make = HTMLCanvasElement.prototype.getContext
  HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
    return kind.includes('webgl') ? null : make.call(this, kind, ...more)
  }
"""
LOSE = """() => {
  for (const context of window.contexts) {
    context.getExtension('WEBGL_lose_context')?.loseContext()
  }
  window.contexts = []
}"""


def open_case(page: Page, study: Study, log_in: Callable[[str], None]) -> dict[str, Any]:
    log_in("reader")
    page.get_by_role("link", name="Begin with case 1").click()
    wait_until_loaded(page, study.cases.get().series.get().slices)
    wait_until(lambda: pane(page)["loaded"], "the axial slice", 10)
    return pane(page)


def test_a_lost_graphics_context_comes_back_with_the_images_and_every_word_typed(
    page: Page, images_study: Study, log_in: Callable[[str], None], tmp_path: Path
):
    voxels = read_voxels(tmp_path / "ct")
    page.add_init_script(KEEP_CONTEXTS)
    open_case(page, images_study, log_in)
    page.locator(".pane.axial").focus()
    for key in ("n", "2", "s", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    rate(page, 37)
    x, y, z = pane(page)["position_mm"]
    brightest = float(np.max(voxels.along_z(x, y, z + np.linspace(-5, 5, 201))))

    def drawn() -> bool:
        """Every pane has its picture, the axial one what the voxels of the slab say."""
        window = viewer(page)["window"]
        lower, upper = (window["centre"] + side * window["width"] / 2 for side in (-1, 1))
        right = abs(hu_in_the_middle(page) - min(max(brightest, lower), upper)) < 30
        return right and all(contrast(page, plane) > 20 for plane in PLANES)

    def shown() -> dict[str, Any]:
        return {**viewer(page), "panes": {p: pane(page, p)["position_mm"] for p in PLANES}}

    def is_recorded(times: int) -> bool:
        return Event.objects.filter(kind="context_restored").count() == times

    wait_until(drawn, "the slab", 30)
    before = shown()
    for time in (1, 2):
        page.evaluate(LOSE)
        wait_until(lambda: page.evaluate("window.contexts.length") > 1, "new graphics", 20)
        page.evaluate("dispatchEvent(new Event('pagehide'))")
        wait_until(partial(is_recorded, time), "it is recorded", 20)
        expect(page.get_by_role("alert")).to_have_count(0)
        wait_until(drawn, "the same again", 30)
        assert shown() == before
    expect(page.locator("[data-question=malignancy] input[data-entry]")).to_have_value("37")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowUp")
    wait_until(lambda: pane(page)["position_mm"][2] > z + 0.5, "it scrolls", 10)


PLANES = ("axial", "sagittal", "coronal")
CONTRAST = """plane => {
  const canvas = document.querySelector(`.pane.${plane} canvas`)
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const grey = data.filter((_, i) => i % 4 === 0)
  const mean = grey.reduce((a, b) => a + b, 0) / grey.length
  return Math.sqrt(grey.reduce((sum, one) => sum + (one - mean) ** 2, 0) / grey.length)
}"""


def contrast(page: Page, plane: str) -> float:
    """Standard deviation of the grey levels of a pane."""
    return float(page.evaluate(CONTRAST, plane))


def test_without_webgl_the_axial_stack_is_read_and_the_reader_told_what_is_missing(
    page: Page, images_study: Study, log_in: Callable[[str], None], tmp_path: Path, pictures: Path
):
    voxels = read_voxels(tmp_path / "ct")
    nodule = Nodule.objects.of_study(images_study).order_by("number")[0]
    page.add_init_script(NO_WEBGL)
    open_case(page, images_study, log_in)
    note = page.get_by_text("cannot be drawn here, which needs WebGL2")
    expect(note).to_be_visible()
    expect(page.get_by_role("button", name="3 planes")).to_be_disabled()
    page.screenshot(path=pictures / "without-webgl.png")
    page.get_by_role("button", name="Understood").click()
    expect(note).to_have_count(0)

    def shows(low: float, high: float) -> bool:
        x, y, z = pane(page)["position_mm"]
        hu = float(np.mean(voxels.along_z(x, y, np.array([z]))))
        return abs(hu_in_the_middle(page) - min(max(hu, low), high)) < 25

    page.locator(".pane.axial").focus()
    page.keyboard.press("n")
    page.keyboard.press("N")
    wait_until(lambda: abs(pane(page)["position_mm"][0] - nodule.x) < 0.5, "the nodule", 10)
    wait_until(lambda: shows(-1350, 150), "its value", 10)
    zoom = pane(page)["zoom"]
    assert zoom > 1
    before = pane(page)["position_mm"]
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    z = before[2] - 3 * voxels.spacing[2]
    wait_until(lambda: pane(page)["position_mm"][2] == pytest.approx(z), "three slices down", 10)
    wait_until(lambda: shows(-1350, 150), "the value of that slice", 10)
    page.keyboard.press("2")
    wait_until(lambda: shows(-160, 240), "the same in the soft tissue window", 10)
    page.keyboard.press("+")
    assert pane(page)["zoom"] == pytest.approx(1.25 * zoom, rel=0.01)
    here = pane(page)
    x, y = here["rect"]["x"] + 100, here["rect"]["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down(button="middle")
    page.mouse.move(x - 50, y - 20, steps=3)
    page.mouse.up(button="middle")
    mm = here["mm_per_pixel"]
    was_x, was_y, was_z = here["position_mm"]
    moved = [was_x + 50 * mm, was_y + 20 * mm, was_z]
    assert pane(page)["position_mm"] == pytest.approx(moved, abs=0.01)
    page.keyboard.press("1")
    page.keyboard.press("s")
    x, y, z = pane(page)["position_mm"]
    brightest = float(np.max(voxels.along_z(x, y, z + np.linspace(-5, 5, 201))))
    wait_until(lambda: abs(hu_in_the_middle(page) - min(brightest, 150)) < 60, "a slab", 10)


def test_decoders_that_never_begin_are_replaced(
    page: Page, images_study: Study, log_in: Callable[[str], None]
):
    """A worker whose code does not come says nothing, and all that is decoded waits for it."""
    held: list[Route] = []

    def answer(route: Route) -> None:
        if len(held) < 2:
            held.append(route)
        else:
            route.continue_()

    page.route("**/decoder*", answer)
    open_case(page, images_study, log_in)
    assert len(held) == 2
