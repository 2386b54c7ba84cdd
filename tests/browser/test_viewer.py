"""What the viewer shows, held against the voxels it was made from, in patient coordinates."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect

from reader_study.models import Event, Nodule, Study
from tests.browser.room import hu_in_the_middle, pane, viewer, wait_until_loaded
from tests.browser.voxels import read_voxels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_slab_shows_what_the_voxels_within_its_thickness_say(
    in_the_room: tuple[Page, Nodule], tmp_path: Path, pictures: Path
):
    page, nodule = in_the_room
    voxels = read_voxels(tmp_path / "ct")
    assert nodule.diameter_mm is not None
    # Scrolled off until the nodule lies outside a slab of 10 mm, and inside one of 30 mm.
    away = nodule.diameter_mm / 2 + 8
    page.locator(".pane.axial").focus()
    for _ in range(round(away / voxels.spacing[2])):
        page.keyboard.press("ArrowDown")
    wait_until(lambda: abs(pane(page)["position_mm"][2] - nodule.z) > away - 2, "off it", 10)
    x, y, z = pane(page)["position_mm"]

    def expected(thickness: float, of: Callable[[NDArray[np.float32]], float]) -> float:
        return float(of(voxels.along_z(x, y, z + np.linspace(-thickness / 2, thickness / 2, 201))))

    def shows(hu: float, within: float) -> Callable[[], bool]:
        return lambda: abs(hu_in_the_middle(page) - hu) < within

    def choose(key: str, label: str) -> None:
        page.keyboard.press(key)
        expect(page.locator(".pane.axial .top-right")).to_have_text(label)

    single = expected(0, np.max)
    wait_until(shows(single, 15), "the single slice", 10)
    choose("s", "MIP 10 mm")
    wait_until(shows(expected(10, np.max), 40), "the brightest within 10 mm", 10)
    for label in ("MIP 15 mm", "MIP 20 mm", "MIP 30 mm"):
        choose(".", label)
    brightest = expected(30, np.max)
    assert brightest > single + 300, "the nodule is bright, what lies before it is not"
    wait_until(shows(brightest, 60), "the brightest within 30 mm", 10)
    page.screenshot(path=pictures / "slab-mip.png")
    # The nodule within the slab is marked, as what is seen of it.
    assert [m["nodule"] for m in pane(page)["markers"]][:1] == [nodule.pk]
    choose("s", "MinIP 30 mm")
    wait_until(shows(expected(30, np.min), 40), "the darkest within 30 mm", 10)
    choose("s", "Mean 30 mm")
    wait_until(shows(expected(30, np.mean), 40), "the mean of 30 mm", 10)

    # The other planes keep their slices until they are asked for slabs as well.
    assert pane(page, "coronal")["slab"] is None
    page.keyboard.press("S")
    wait_until(
        lambda: (
            [pane(page, plane)["slab"] for plane in ("axial", "coronal", "sagittal")]
            == [{"projection": "mean", "thickness_mm": 30}] * 3
        ),
        "slabs everywhere",
        10,
    )
    page.keyboard.press("r")
    expect(page.locator(".pane.coronal .top-right")).to_have_text("")
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    wait_until(lambda: Event.objects.filter(kind="slab").exists(), "slabs are recorded", 10)


def test_cine_plays_through_the_slices_until_the_reader_takes_over(
    in_the_room: tuple[Page, Nodule],
):
    page, _ = in_the_room
    page.locator(".pane.axial").focus()
    before = pane(page)["index"]
    page.keyboard.press("<")
    page.keyboard.press("p")
    expect(page.locator(".toolbar button", has_text="Cine")).to_have_attribute(
        "aria-pressed", "true"
    )
    assert viewer(page)["cine"] == {"playing": True, "slices_per_s": 8}
    wait_until(lambda: pane(page)["index"] >= before + 4, "slices go by", 10)
    page.keyboard.press("ArrowUp")
    assert not viewer(page)["cine"]["playing"]
    stopped = pane(page)["index"]
    page.wait_for_timeout(400)
    assert pane(page)["index"] == stopped

    # After the last slice comes the first.
    page.keyboard.press("End")
    page.keyboard.press("p")
    wait_until(lambda: pane(page)["index"] < 5, "it begins again", 10)
    page.keyboard.press("p")
    assert not viewer(page)["cine"]["playing"]


def test_the_slice_of_the_nodule_is_asked_for_first_and_shown_before_the_series_is_complete(
    page: Page, images_study: Study, log_in: Callable[[str], None], tmp_path: Path, pictures: Path
):
    voxels = read_voxels(tmp_path / "ct")
    nodule = Nodule.objects.of_study(images_study).order_by("number")[0]
    series = images_study.cases.get().series.get()
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/frames/" in r.url else None)
    log_in("reader")
    # The connection holds out for the slice of the nodule and then is slow.
    held: list[Route] = []
    slow = True

    def answer(route: Route) -> None:
        if slow and not route.request.url.endswith("/frames/1"):
            held.append(route)
        else:
            route.continue_()

    page.route("**/frames/*", answer)
    page.get_by_role("link", name="Begin with case 1").click()
    wait_until(lambda: page.evaluate("window.__reread?.viewer?.loaded") == 1, "one slice", 30)
    wait_until(lambda: pane(page)["loaded"], "the slice of the nodule", 10)
    at = abs(pane(page)["position_mm"][2] - nodule.z)
    assert at <= voxels.spacing[2] / 2 + 0.01
    # With the rest of the body still on its way, what is there is what the voxels say.
    x, y, z = pane(page)["position_mm"]
    expected = float(voxels.along_z(x, y, np.array([z]))[0])
    window = viewer(page)["window"]
    shown = min(max(expected, window["centre"] - window["width"] / 2), 150)
    wait_until(lambda: abs(hu_in_the_middle(page) - shown) < 15, "the slice itself", 10)
    bar = page.locator(".pane.coronal .arrived")
    expect(bar).to_be_visible()
    page.screenshot(path=pictures / "loading.png")
    slow = False
    for route in held:
        route.continue_()
    wait_until_loaded(page, series.slices)
    expect(bar).to_be_hidden()
    # The others came several at a time, and none of them twice.
    assert len(set(asked)) == len(asked) <= series.slices / 8 + 3


def test_a_distance_lies_where_it_was_drawn_in_the_patient_and_comes_back_exactly(
    in_the_room: tuple[Page, Nodule], tmp_path: Path, pictures: Path
):
    page, _ = in_the_room
    half_a_voxel = read_voxels(tmp_path / "ct").spacing / 2
    here = pane(page)
    x, y, width, height = (here["rect"][edge] for edge in ("x", "y", "width", "height"))
    middle = np.array([x + width / 2, y + height / 2])
    centre, mm = np.array(here["position_mm"]), here["mm_per_pixel"]

    def at(dx: float, dy: float) -> NDArray[np.float64]:
        """The point of the patient so many pixels right of and below the middle of the pane."""
        point: NDArray[np.float64] = centre + np.array([dx * mm, dy * mm, 0])
        return point

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        page.mouse.move(*(middle + start))
        page.mouse.down()
        page.mouse.move(*(middle + end), steps=4)
        page.mouse.up()

    def ends() -> NDArray[np.float64]:
        return np.array(viewer(page)["measurements"][0]["points_mm"])

    page.keyboard.press("d")
    drag((-60, -20), (80, 40))
    assert np.all(np.abs(ends() - [at(-60, -20), at(80, 40)]) <= half_a_voxel)
    (drawn,) = pane(page)["measurements"]
    assert drawn["quantities"]["length"] == pytest.approx(np.hypot(140, 60) * mm, abs=2 * mm)
    label = page.locator(".pane.axial .ruler-layer text")
    expect(label).to_have_text(f"{drawn['quantities']['length']:.1f} mm")
    page.screenshot(path=pictures / "distance.png")

    # An end is dragged elsewhere, also when the left button sets the window again.
    page.keyboard.press("d")
    drag((80, 40), (60, -20))
    assert np.all(np.abs(ends() - [at(-60, -20), at(60, -20)]) <= half_a_voxel)

    # It is seen on its own slice and in its own plane only.
    assert pane(page, "coronal")["measurements"] == pane(page, "sagittal")["measurements"] == []
    page.keyboard.press("ArrowDown")
    wait_until(lambda: pane(page)["measurements"] == [], "the next slice has none", 10)
    page.keyboard.press("ArrowUp")
    wait_until(lambda: len(pane(page)["measurements"]) == 1, "its slice has it", 10)

    page.keyboard.press("Delete")
    expect(label).to_have_count(0)
    page.keyboard.press("u")
    expect(label).to_have_count(1)
    page.keyboard.press("u")
    assert np.all(np.abs(ends() - [at(-60, -20), at(80, 40)]) <= half_a_voxel)

    before = viewer(page)["measurements"]
    page.reload()
    wait_until_loaded(page, here["total"])
    assert viewer(page)["measurements"] == before
    expect(label).to_have_text(f"{drawn['quantities']['length']:.1f} mm")
