"""Layouts, mouse presets, fingers and the magnifier, in patient coordinates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from reader_study.models import Nodule, ReaderPreferences
from tests.browser.room import pane, viewer, wait_until_loaded
from tests.browser.voxels import read_voxels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BESIDE = """() => {
  const canvas = document.querySelector('.pane.beside canvas')
  const [x, y] = [Math.floor(canvas.width / 2), Math.floor(canvas.height / 2)]
  return canvas.getContext('2d').getImageData(x, y, 1, 1).data[0]
}"""
GLASS = """() => {
  const glass = document.querySelector('.pane.axial .magnifier')
  const { width } = glass
  const at = glass.getContext('2d').getImageData(width / 2, width / 2, 1, 1).data[0]
  const box = glass.getBoundingClientRect()
  return { at, hidden: glass.hidden, x: box.x + box.width / 2, y: box.y + box.height / 2 }
}"""
TOUCH = """([selector, id, kind, x, y]) => {
  const element = document.querySelector(selector)
  element.setPointerCapture = () => {}
  element.dispatchEvent(new PointerEvent(kind, { pointerId: id, pointerType: 'touch',
    isPrimary: id === 1, clientX: x, clientY: y, bubbles: true, cancelable: true }))
}"""


def test_four_panes_show_an_axial_slab_that_goes_with_the_slices_and_are_kept_for_the_reader(
    in_the_room: tuple[Page, Nodule], tmp_path: Path, pictures: Path
):
    page, _ = in_the_room
    voxels = read_voxels(tmp_path / "ct")
    assert viewer(page)["layout"] == "mpr"
    page.get_by_role("button", name="2 \u00d7 2").click()
    page.locator(".pane.axial").focus()

    def follows() -> bool:
        beside, here = viewer(page)["beside"], pane(page)
        return bool(beside) and beside["position_mm"] == pytest.approx(
            here["position_mm"], abs=voxels.spacing[2] / 2
        )

    wait_until(follows, "the slab is where the slice is", 20)
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    wait_until(follows, "it goes along", 10)
    x, y, z = viewer(page)["beside"]["position_mm"]
    brightest = float(np.max(voxels.along_z(x, y, z + np.linspace(-5, 5, 201))))
    window = viewer(page)["window"]
    lower = window["centre"] - window["width"] / 2

    def shows() -> bool:
        hu = lower + page.evaluate(BESIDE) / 255 * window["width"]
        return bool(abs(hu - min(brightest, lower + window["width"])) < 60)

    wait_until(shows, "the brightest of 10 mm", 20)
    rects = [pane(page, plane)["rect"] for plane in ("axial", "sagittal", "coronal")]
    assert len({(round(r["width"]), round(r["height"])) for r in rects}) == 1
    page.screenshot(path=pictures / "four-panes.png")

    saved = ReaderPreferences.objects.filter(values__layout="quad")
    wait_until(saved.exists, "the layout is kept", 20)
    slices = pane(page)["total"]
    page.reload()
    wait_until_loaded(page, slices)
    assert viewer(page)["layout"] == "quad"


def test_the_toolbar_is_one_row_and_the_magnifier_shows_what_lies_under_the_pointer(
    in_the_room: tuple[Page, Nodule], pictures: Path
):
    page, _ = in_the_room
    tops = page.evaluate(
        "[...document.querySelectorAll('.toolbar button')]"
        ".filter(b => b.offsetParent !== null).map(b => b.getBoundingClientRect().top)"
    )
    assert max(tops) - min(tops) < 12
    rect = pane(page)["rect"]
    x, y = rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2
    page.keyboard.press("g")
    page.mouse.move(x, y)
    wait_until(lambda: not page.evaluate(GLASS)["hidden"], "the glass", 10)
    glass = page.evaluate(GLASS)
    assert (glass["x"], glass["y"]) == pytest.approx((x, y), abs=1.5)
    page.screenshot(path=pictures / "magnifier.png")
    page.keyboard.press("g")
    assert page.evaluate(GLASS)["hidden"]


def test_mouse_buttons_and_fingers_do_what_the_reader_is_used_to(
    in_the_room: tuple[Page, Nodule], pictures: Path
):
    page, _ = in_the_room
    here = pane(page)
    x, y = here["rect"]["x"] + 300, here["rect"]["y"] + 300
    page.keyboard.press("?")
    expect(page.get_by_role("region", name="Keys")).to_be_visible()
    page.get_by_label("left scroll, middle move, right window").check()
    page.screenshot(path=pictures / "keys.png")
    page.keyboard.press("Escape")

    def drag(button: Any, dx: float, dy: float) -> None:
        page.mouse.move(x, y)
        page.mouse.down(button=button)
        page.mouse.move(x + dx, y + dy, steps=5)
        page.mouse.up(button=button)

    window = viewer(page)["window"]
    drag("left", 0, 40)
    assert pane(page)["index"] == here["index"] + 5
    assert viewer(page)["window"] == window
    drag("right", 40, 0)
    assert viewer(page)["window"]["width"] > window["width"]
    wait_until(
        ReaderPreferences.objects.filter(values__mouse="scroll").exists, "the preset is kept", 20
    )

    def touch(finger: int, kind: str, at: tuple[float, float]) -> None:
        page.evaluate(TOUCH, [".pane.axial", finger, kind, *at])

    before = pane(page)
    touch(1, "pointerdown", (x, y))
    touch(1, "pointermove", (x, y + 24))
    touch(1, "pointerup", (x, y + 24))
    assert pane(page)["index"] == before["index"] + 3
    before = pane(page)
    touch(1, "pointerdown", (x, y))
    touch(2, "pointerdown", (x + 100, y))
    touch(2, "pointermove", (x + 200, y))
    touch(1, "pointerup", (x, y))
    touch(2, "pointerup", (x + 200, y))
    after = pane(page)
    assert after["zoom"] == pytest.approx(2 * before["zoom"], rel=0.01)
    assert after["index"] == before["index"]
    # Two fingers moved their middle 50 pixels to the right, and the images with it.
    moved = after["position_mm"][0] - before["position_mm"][0]
    assert moved == pytest.approx(-50 * after["mm_per_pixel"], abs=0.5)
