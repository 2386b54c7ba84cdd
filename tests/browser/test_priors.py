"""An earlier examination beside the current one, and further series, in patient coordinates."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
from django.utils import timezone
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

import phantom
from reader_study.actions.cases import import_cases
from reader_study.models import Draft, Event, Nodule, Series, Study
from tests.browser.conftest import a_study_with_members, open_without_ai
from tests.browser.room import pane, viewer, wait_until_loaded
from tests.browser.test_pages import barriers
from tests.browser.voxels import Voxels, read_voxels
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KERNEL_HU = 150  # by which the second series of the examination is brighter
HU_OF = """name => {
  const canvas = document.querySelector(`.pane.${name} canvas`)
  const [x, y] = [Math.floor(canvas.width / 2), Math.floor(canvas.height / 2)]
  return canvas.getContext('2d').getImageData(x, y, 1, 1).data[0]
}"""


class Compared(NamedTuple):
    """A room with an examination in two series and an earlier one, and what they are made of."""

    page: Page
    study: Study
    then: phantom.Case
    now_voxels: Voxels
    then_voxels: Voxels

    @property
    def nodule(self) -> Nodule:
        return Nodule.objects.of_study(self.study).get()

    def prior(self) -> dict[str, Any]:
        shown: dict[str, Any] = viewer(self.page)["prior"]
        return shown

    def is_linked_at(self, offset: NDArray[np.float64]) -> bool:
        """Whether the prior shows the slice nearest to where the current one and offset lead."""
        wanted = np.array(pane(self.page)["position_mm"]) + offset
        apart = np.abs(np.array(self.prior()["position_mm"]) - wanted)
        return bool(apart[2] <= self.then_voxels.spacing[2] / 2 + 1e-6 and max(apart[:2]) < 1e-6)

    def shows(self, name: str, hu: float) -> bool:
        window = viewer(self.page)["window"]
        lower = window["centre"] - window["width"] / 2
        seen = lower + self.page.evaluate(HU_OF, name) / 255 * window["width"]
        return bool(abs(seen - min(max(hu, lower), lower + window["width"])) < 25)


@pytest.fixture
def compared(
    page: Page, live_server: Any, log_in: Callable[[str], None], tmp_path: Path
) -> Compared:
    now = phantom.demo_cases(5)[4]
    then = phantom.earlier_examination(now)
    assert then is not None
    folder = tmp_path / "ct"
    for number, path in enumerate(phantom.write_case(now, folder / "now")):
        image = pydicom.dcmread(path)
        image.SeriesInstanceUID = replace(now, series_uid=f"{now.series_uid}.2").series_uid
        image.SOPInstanceUID = f"{now.series_uid}.2.{number + 1}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.ConvolutionKernel = "LUNG"
        image.RescaleIntercept = float(image.RescaleIntercept) + KERNEL_HU
        (folder / "sharp").mkdir(exist_ok=True)
        image.save_as(folder / "sharp" / path.name)
    phantom.write_case(then, folder / "then")
    phantom.write_nodules_csv([now, then], folder / "nodules.csv")
    with (folder / "nodules.csv").open("a") as file:
        file.write(f"{now.patient_id},{now.study_uid},{now.series_uid}.2\n")
    study = a_study_with_members("Comparing")
    report = import_cases(
        study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now()
    )
    assert report.complete, report.lines()
    open_without_ai(study)
    log_in("reader")
    page.get_by_role("link", name="Begin with case 1").click()
    wait_until_loaded(page, now.slices)
    room = Compared(page, study, then, read_voxels(folder / "now"), read_voxels(folder / "then"))
    wait_until(lambda: room.prior()["loaded_images"] == then.slices, "the prior is there", 90)
    return room


def middle_of(voxels: Voxels) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (
        voxels.origin + voxels.spacing * (np.array(voxels.hu.shape[::-1]) - 1) / 2
    )
    return found


def press(page: Page, key: str, times: int) -> None:
    for _ in range(times):
        page.keyboard.press(key)


def test_a_prior_goes_along_in_patient_space_and_from_where_the_reader_joins_them(
    compared: Compared, pictures: Path
):
    page, room = compared.page, compared
    expect(page.locator(".pane.axial .top-left")).to_contain_text("Current")
    expect(page.locator(".pane.prior .top-left")).to_contain_text("Prior, 14 months earlier")
    assert "2022" not in page.content()  # when it was is told to nobody
    half_a_slice = room.then_voxels.spacing[2] / 2 + 1e-6

    # Nothing is in common but the middles.
    offset = middle_of(room.then_voxels) - middle_of(room.now_voxels)
    assert room.prior()["offset_mm"] == pytest.approx(list(offset), abs=1e-3)
    page.locator(".pane.axial").focus()
    press(page, "ArrowDown", 7)
    wait_until(lambda: room.is_linked_at(offset), "the prior goes along", 20)
    x, y, z = room.prior()["position_mm"]
    there = float(room.then_voxels.along_z(x, y, np.array([z]))[0])
    wait_until(lambda: room.shows("prior", there), "the voxels of the prior", 20)
    # Zoom, window and slabs are those of both.
    page.keyboard.press("+")
    page.keyboard.press("s")
    assert room.prior()["mm_per_pixel"] == pytest.approx(pane(page)["mm_per_pixel"])
    assert room.prior()["slab"] == pane(page)["slab"] == {"projection": "mip", "thickness_mm": 10}
    press(page, "s", 3)

    # To the nodule; then apart, and the prior alone to where the nodule was.
    page.keyboard.press("n")
    nodule = np.array(room.nodule.centre_mm)
    wait_until(
        lambda: abs(pane(page)["position_mm"][2] - nodule[2]) <= 1.25 + 1e-6, "the nodule", 10
    )
    assert room.is_linked_at(offset)
    (before,) = room.then.nodules
    page.keyboard.press("j")
    expect(page.locator(".pane.prior .top-left")).to_contain_text("not linked")
    page.locator(".pane.prior").focus()
    away = round((before.centre_mm[2] - room.prior()["position_mm"][2]) / 5)
    press(page, "ArrowUp" if away > 0 else "ArrowDown", abs(away))
    wait_until(
        lambda: abs(room.prior()["position_mm"][2] - before.centre_mm[2]) <= half_a_slice,
        "the prior at the place of its nodule",
        20,
    )
    assert abs(pane(page)["position_mm"][2] - nodule[2]) <= 1.25 + 1e-6, "the current one stays"
    # Pulled to the nodule, in its own pane.
    here = room.prior()
    rect, mm = here["rect"], here["mm_per_pixel"]
    dx, dy = (np.array(here["position_mm"]) - before.centre_mm)[:2] / mm
    x, y = rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button="middle")
    page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up(button="middle")
    assert room.prior()["position_mm"][:2] == pytest.approx(before.centre_mm[:2], abs=mm)
    joined = np.array(room.prior()["position_mm"]) - np.array(pane(page)["position_mm"])
    page.keyboard.press("j")
    assert room.prior()["offset_mm"] == pytest.approx(list(joined), abs=1e-6)
    page.locator(".pane.axial").focus()
    press(page, "ArrowUp", 9)
    wait_until(lambda: room.is_linked_at(joined), "they go on together from there", 20)

    # A jump to the nodule brings both there.
    page.keyboard.press("n")
    wait_until(lambda: room.is_linked_at(joined), "both are at the nodule", 20)
    apart = np.abs(np.array(room.prior()["position_mm"]) - before.centre_mm)
    assert apart[2] <= half_a_slice
    assert max(apart[:2]) <= mm
    wait_until(lambda: room.shows("prior", _hu_at(room)), "the nodule as it was", 20)
    page.locator(".pane.axial").focus()
    page.screenshot(path=pictures / "prior-beside.png")
    assert barriers(page) == ""
    # With two kernels and an earlier examination the tools still fit into one row.
    expect(page.get_by_label("Series", exact=True)).to_be_visible()
    tops = page.evaluate(
        "[...document.querySelectorAll('.toolbar .tool')]"
        ".filter(one => one.offsetParent !== null).map(one => one.getBoundingClientRect().top)"
    )
    assert max(tops) - min(tops) < 12

    page.reload()
    wait_until_loaded(page, room.now_voxels.hu.shape[0])
    wait_until(lambda: viewer(page)["prior"] is not None, "the prior is there again", 60)
    assert room.prior()["offset_mm"] == pytest.approx(list(joined), abs=1e-6)
    told = Event.objects.filter(kind="slice", data__prior=True)
    wait_until(told.exists, "what was shown of the prior is recorded as such", 20)
    assert set(told.values_list("data__series", flat=True)) == {room.prior()["series"]}


def _hu_at(room: Compared) -> float:
    x, y, z = room.prior()["position_mm"]
    return float(room.then_voxels.along_z(x, y, np.array([z]))[0])


def test_what_is_measured_stays_in_its_series_also_after_a_reload(compared: Compared):
    page, room = compared.page, compared
    page.keyboard.press("n")
    half_a_voxel = room.then_voxels.spacing / 2 + 1e-3

    def drag(of: dict[str, Any], length: int) -> None:
        rect = of["rect"]
        x, y = rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + length, y, steps=4)
        page.mouse.up()

    page.keyboard.press("b")
    drag(pane(page), 80)
    wait_until(lambda: len(pane(page)["measurements"]) == 1, "measured now", 10)
    assert room.prior()["measurements"] == []
    drag(room.prior(), 60)
    wait_until(lambda: len(room.prior()["measurements"]) == 1, "measured then", 10)
    assert len(pane(page)["measurements"]) == 1
    first, second = viewer(page)["measurements"]
    prior = Series.objects.get(prior=True)
    assert (second["series"], second["nodule"]) == (prior.pk, None)
    assert first["nodule"] == str(room.nodule.pk)
    here = room.prior()
    wanted = np.array([here["position_mm"], here["position_mm"]])
    wanted[1, 0] += 60 * here["mm_per_pixel"]
    assert np.all(np.abs(np.array(second["points_mm"][:2]) - wanted) <= half_a_voxel)

    # Another series of the examination has the nodule and not what was measured in the first.
    one, other = (
        Series.objects.filter(prior=False, kernel=kernel).get() for kernel in ("STANDARD", "LUNG")
    )
    place = pane(page)["position_mm"]
    page.keyboard.press("w")
    wait_until(lambda: viewer(page)["series"] == other.pk, "the other kernel", 30)
    wait_until(lambda: viewer(page)["loaded"] == other.slices, "all of it", 90)
    assert pane(page)["position_mm"] == pytest.approx(place, abs=1e-6)
    x, y, z = place
    hu = float(room.now_voxels.along_z(x, y, np.array([z]))[0])
    wait_until(lambda: room.shows("axial", hu + KERNEL_HU), "its voxels", 20)
    assert pane(page)["measurements"] == []
    assert [marker["nodule"] for marker in pane(page)["markers"]] == [room.nodule.pk]
    assert room.is_linked_at(np.array(room.prior()["offset_mm"]))
    page.keyboard.press("w")
    wait_until(lambda: viewer(page)["series"] == one.pk, "the first series again", 30)
    wait_until(lambda: room.shows("axial", hu), "its voxels again", 20)
    assert len(pane(page)["measurements"]) == 1

    # Two layouts on: no prior, no measurement of it; and all of it again after a reload.
    page.keyboard.press("v")
    assert (viewer(page)["layout"], viewer(page)["prior"]) == ("mpr", None)
    before = viewer(page)["measurements"]

    def saved() -> bool:
        draft = Draft.objects.order_by("-pk").first()
        return draft is not None and draft.answers.get("measurements") == before

    wait_until(saved, "both are saved", 20)
    page.reload()
    wait_until_loaded(page, one.slices)
    assert viewer(page)["measurements"] == before
    page.keyboard.press("n")
    wait_until(lambda: len(pane(page)["measurements"]) == 1, "that of the current one", 20)
    wait_until(lambda: len(room.prior()["measurements"]) == 1, "that of the prior", 90)
    told = Event.objects.filter(kind="slice", data__series=other.pk, data__prior=False)
    wait_until(told.exists, "what was shown of the other kernel is recorded", 20)


def test_the_crosshair_brings_the_other_planes_to_the_point_under_the_pointer(
    in_the_room: tuple[Page, Nodule], pictures: Path, tmp_path: Path
):
    page, _ = in_the_room
    voxels = read_voxels(tmp_path / "ct")
    page.keyboard.press("c")
    here = pane(page)
    rect, mm = here["rect"], here["mm_per_pixel"]
    x, y = rect["x"] + rect["width"] / 2 + 70, rect["y"] + rect["height"] / 2 - 45
    page.mouse.click(x, y)
    point = np.add(here["position_mm"], [70 * mm, -45 * mm, 0])

    def through(plane: str, axis: int) -> bool:
        there = pane(page, plane)["position_mm"]
        return bool(abs(there[axis] - point[axis]) <= voxels.spacing[axis] / 2 + mm)

    wait_until(lambda: through("sagittal", 0) and through("coronal", 1), "the planes meet", 20)
    assert pane(page)["position_mm"] == here["position_mm"]
    # The other way round: from the coronal plane to an axial slice.
    coronal = pane(page, "coronal")
    rect, mm = coronal["rect"], coronal["mm_per_pixel"]
    x, y = rect["x"] + rect["width"] / 2 - 20, rect["y"] + rect["height"] / 2 + 30
    page.mouse.click(x, y)
    lower = coronal["position_mm"][2] - 30 * mm
    wait_until(
        lambda: abs(pane(page)["position_mm"][2] - lower) <= voxels.spacing[2] / 2 + mm,
        "the axial slice",
        20,
    )
    lines = page.locator(".pane.axial .marker-layer line.reference")
    assert lines.count() == 4  # two planes, open where they meet
    page.screenshot(path=pictures / "crosshair.png")
