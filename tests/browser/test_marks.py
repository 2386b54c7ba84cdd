"""Marking and measuring with mouse and keys, held against voxels, rows and structured reports."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
import yaml
from django.core.management import call_command
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

import phantom
from reader_study.domain.lung_rads import Change, Kind, lung_rads
from reader_study.models import Answer, Draft, Mark, Nodule, Rating, Study
from tests.browser.conftest import a_study_of_images
from tests.browser.room import answer, pane, viewer, wait_until_loaded
from tests.browser.test_pages import barriers
from tests.browser.voxels import Voxels, read_voxels
from tests.factories import DEMONSTRATION, a_protocol, free_response
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DOCUMENT = Path(__file__).parents[2] / "docs" / "reader.md"
# What goes to the right and downwards on screen in each plane, LPS.
ON_SCREEN = {
    "axial": ([1, 0, 0], [0, 1, 0]),
    "coronal": ([1, 0, 0], [0, 0, -1]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
}
THROUGH = {"axial": 2, "coronal": 1, "sagittal": 0}


class Room(NamedTuple):
    """A room with all of its images, and the voxels that they are made of."""

    page: Page
    study: Study
    voxels: Voxels

    def centre_of(self, voxel: tuple[int, int, int]) -> NDArray[np.float64]:
        """Where a voxel (column, row, slice) lies: LPS millimetres."""
        place: NDArray[np.float64] = self.voxels.origin + np.array(voxel) * self.voxels.spacing
        return place

    def scroll_to(self, plane: str, point: NDArray[np.float64]) -> None:
        """Scroll a plane, slice by slice, to the one that a point lies on."""
        axis = THROUGH[plane]
        step = -self.voxels.spacing[2] if plane == "axial" else self.voxels.spacing[axis]
        away = (point - np.array(pane(self.page, plane)["position_mm"]))[axis] / step
        self.page.locator(f".pane.{plane}").focus()
        for _ in range(abs(round(away))):
            self.page.keyboard.press("ArrowDown" if away > 0 else "ArrowUp")

        def arrived() -> bool:
            here = np.array(pane(self.page, plane)["position_mm"])
            return bool(abs((point - here)[axis]) <= abs(step) / 2 + 1e-3)

        wait_until(arrived, f"the {plane} slice", 20)

    def pixel_of(self, plane: str, point: NDArray[np.float64]) -> tuple[float, float]:
        """Where a point lies on the page."""
        here = pane(self.page, plane)
        right, down = (np.array(direction) for direction in ON_SCREEN[plane])
        off = (point - np.array(here["position_mm"])) / here["mm_per_pixel"]
        x, y, width, height = (here["rect"][edge] for edge in ("x", "y", "width", "height"))
        return x + width / 2 + float(off @ right), y + height / 2 + float(off @ down)

    def drag(self, plane: str, start: NDArray[np.float64], end: NDArray[np.float64]) -> None:
        """Draw with the left button from one point of a plane to another."""
        self.page.mouse.move(*self.pixel_of(plane, start))
        self.page.mouse.down()
        self.page.mouse.move(*self.pixel_of(plane, end), steps=5)
        self.page.mouse.up()


@pytest.fixture
def enter(page: Page, live_server: Any, log_in: Callable[[str], None], tmp_path: Path):
    """Return what opens the room of a study by another protocol, with a generated case."""

    def do(document: dict[str, Any]) -> Room:
        study = a_study_of_images([phantom.demo_cases()[8]], tmp_path / "ct", document)
        log_in("reader")
        page.get_by_role("link", name="Begin with case 1").click()
        wait_until_loaded(page, study.cases.get().series.get().slices)
        return Room(page, study, read_voxels(tmp_path / "ct"))

    return do


def saved() -> dict[str, Any]:
    draft = Draft.objects.order_by("-pk").first()
    return draft.answers if draft else {}


def test_a_mark_comes_back_within_half_a_voxel_in_every_plane_and_in_the_report(
    enter: Callable[..., Room], tmp_path: Path, pictures: Path
):
    room = enter(a_protocol(**free_response()))
    page, voxels = room.page, room.voxels
    nodules = Nodule.objects.of_study(room.study)
    # Nobody is told where they are, not even by what is asked for first.
    assert viewer(page)["panes"]["axial"]["markers"] == []
    middle = np.round(np.array(voxels.hu.shape[::-1]) / 2).astype(int)
    planes = ("axial", "coronal", "sagittal")
    wanted = [
        room.centre_of(tuple(middle + np.array(off)))
        for off in ((21, -13, 5), (-17, 9, -4), (12, 25, 7))
    ]
    half_a_voxel = voxels.spacing / 2 + 1e-3
    for number, (plane, point) in enumerate(zip(planes, wanted, strict=True), start=1):
        room.scroll_to(plane, point)
        page.mouse.move(*room.pixel_of(plane, point))
        page.keyboard.press("x")
        expect(page.locator(f'[data-marks="{number}"]')).to_be_visible()
        # It is asked about at once, by keyboard.
        expect(page.locator("[data-question=rating] [data-entry]")).to_be_focused()
        page.keyboard.type("70")
        page.keyboard.press("Enter")
        page.keyboard.press("1")
        page.keyboard.press("Enter")  # the size is not required
        page.keyboard.type("40")
        page.keyboard.press("Escape")

    def how_many() -> list[int]:
        return [len(mark["answers"]) for mark in saved().get("marks", [])]

    wait_until(lambda: how_many() == [3, 3, 3], "every mark is rated and saved", 20)
    for mark, point in zip(saved()["marks"], wanted, strict=True):
        assert np.all(np.abs(np.array(mark["point_mm"]) - point) <= half_a_voxel)

    # In every plane the mark is seen on its voxel, also after a reload.
    before = saved()["marks"]
    page.reload()
    wait_until_loaded(page, room.study.cases.get().series.get().slices)
    assert saved()["marks"] == before
    for mark, point in zip(before, wanted, strict=True):
        page.get_by_role("tab", name=f"Mark {before.index(mark) + 1}").click()
        for plane in planes:

            def is_drawn_on_it(plane: str = plane, key: str = mark["id"]) -> bool:
                drawn = [m for m in pane(page, plane)["markers"] if m["nodule"] == key]
                return bool(drawn) and not drawn[0]["off_centre"]

            wait_until(is_drawn_on_it, f"the mark in the {plane} plane", 20)
            here = pane(page, plane)
            (drawn,) = [m for m in here["markers"] if m["nodule"] == mark["id"]]
            x, y = room.pixel_of(plane, point)
            limit = max(half_a_voxel) / here["mm_per_pixel"] + 1
            assert abs(drawn["x"] + here["rect"]["x"] - x) <= limit
            assert abs(drawn["y"] + here["rect"]["y"] - y) <= limit
    page.screenshot(path=pictures / "marks.png")
    assert barriers(page) == ""

    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Lock it now")).to_be_focused()
    page.keyboard.press("Enter")
    wait_until(lambda: Mark.objects.count() == 3, "the marks are locked", 30)
    for row, point in zip(Mark.objects.order_by("number"), wanted, strict=True):
        assert np.all(np.abs(np.array(row.point_mm) - point) <= half_a_voxel)
    call_command("export_sr", room.study.slug, str(tmp_path / "sr"))
    (file,) = (tmp_path / "sr").iterdir()
    points = [
        np.array(item.GraphicData)
        for item in walk(pydicom.dcmread(file).ContentSequence)
        if item.ValueType == "SCOORD3D"
    ]
    assert len(points) == 3
    for found, point in zip(points, wanted, strict=True):
        assert np.all(np.abs(found - point) <= half_a_voxel)
    assert nodules.exists()  # so there was something not to tell


def walk(items: Any) -> Any:
    """Every content item of a report, depth first."""
    for item in items:
        yield item
        yield from walk(item.get("ContentSequence", []))


def test_two_axes_fill_the_size_and_an_ellipse_tells_what_the_voxels_say(
    enter: Callable[..., Room], pictures: Path
):
    ready = yaml.safe_load((DEMONSTRATION.parent / "lung_rads.yaml").read_text())
    room = enter(a_protocol(questionnaire=ready["questionnaire"], analysis=None))
    page, voxels = room.page, room.voxels
    nodule = max(Nodule.objects.of_study(room.study), key=lambda each: each.diameter_mm or 0)
    page.get_by_role("tab", name=f"Nodule {nodule.number}").click()
    centre = np.array(nodule.centre_mm)
    wait_until(lambda: abs(pane(page)["position_mm"][2] - nodule.z) < 2, "the nodule", 20)
    centre[2] = pane(page)["position_mm"][2]
    assert nodule.diameter_mm is not None
    radius = nodule.diameter_mm / 2

    answer(page, "consistency", "solid")
    page.keyboard.press("b")
    size = page.locator("[data-question=diameter] input[data-entry]")

    def is_about(mm: float) -> Callable[[], bool]:
        return lambda: abs(float(size.input_value() or 0) - mm) <= 0.2

    room.drag("axial", centre - np.array([radius, 0, 0]), centre + np.array([radius, 0, 0]))
    # Half of the long axis across, until it is dragged.
    wait_until(is_about(1.5 * radius), "the size is filled in", 10)
    half = np.array([0, radius / 2, 0])
    room.drag("axial", centre - half, centre - 1.5 * half)
    room.drag("axial", centre + half, centre + 1.5 * half)
    (cross,) = viewer(page)["measurements"]
    wait_until(is_about(1.75 * radius), "the size follows", 10)
    page.screenshot(path=pictures / "measuring.png")
    answer(page, "change", "baseline")
    category = lung_rads(Kind.SOLID, float(size.input_value()), Change.BASELINE)
    expect(page.locator("[data-computed]")).to_have_attribute("data-computed", category.value)

    # Undone and done again, the answer follows.
    page.locator(".pane.axial").focus()
    page.keyboard.press("Control+z")
    wait_until(is_about(1.625 * radius), "the last drag is undone", 10)
    page.keyboard.press("Control+y")
    wait_until(is_about(1.75 * radius), "and done again", 10)

    page.keyboard.press("e")
    room.drag("axial", centre + np.array([-4, -3, 0]), centre + np.array([4, 3, 0]))
    ellipse = viewer(page)["measurements"][1]
    points = np.array(ellipse["points_mm"])
    x, y = (
        voxels.origin[axis] + np.arange(voxels.hu.shape[2 - axis]) * voxels.spacing[axis]
        for axis in (0, 1)
    )
    middle, half = points[:2].mean(axis=0), np.linalg.norm(points[1::2] - points[::2], axis=1) / 2
    k = round((middle[2] - voxels.origin[2]) / voxels.spacing[2])
    inside = ((x[None, :] - middle[0]) / half[0]) ** 2 + ((y[:, None] - middle[1]) / half[1]) ** 2
    hu = voxels.hu[k][inside <= 1]
    lines = next(m for m in pane(page)["measurements"] if m["kind"] == "ellipse")["lines"]
    numbers = [float(n) for n in re.findall(r"-?\d+", lines[0].replace("−", "-"))]
    mean, sd = numbers[:2]
    assert mean == pytest.approx(hu.mean(), abs=1)
    assert sd == pytest.approx(hu.std(ddof=1), abs=1)
    least, most = (float(n) for n in re.findall(r"-?\d+", lines[1].replace("−", "-")))
    assert (least, most) == pytest.approx((hu.min(), hu.max()), abs=1)

    page.keyboard.press("a")
    room.drag("coronal", centre + np.array([0, 0, 0]), centre + np.array([20, 0, 15]))
    text = page.get_by_label("What the arrow points at")
    text.fill("vessel?")
    page.keyboard.press("Escape")
    assert barriers(page) == ""
    before = viewer(page)["measurements"]
    assert [m["kind"] for m in before] == ["bidirectional", "ellipse", "arrow"]
    assert {m["kind"] for m in pane(page, "coronal")["measurements"]} == {"arrow"}
    assert cross["plane"] == "axial"
    wait_until(lambda: len(saved().get("measurements", [])) == 3, "saved", 20)
    wait_until(lambda: saved()["measurements"][2].get("text") == "vessel?", "the text", 20)

    # To the last bit, after a reload; also what has been answered with it.
    page.reload()
    wait_until_loaded(page, room.study.cases.get().series.get().slices)
    wait_until(lambda: len(viewer(page)["measurements"]) == 3, "they are back", 20)
    assert json.dumps(viewer(page)["measurements"], sort_keys=True) == json.dumps(
        before, sort_keys=True
    )
    (of_nodule,) = [v for k, v in saved()["nodules"].items() if k == str(nodule.pk)]
    assert of_nodule["diameter"]["measurement"] == cross["id"]


# How many keys it takes


class Keys:
    """Presses keys and counts them."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def press(self, *names: str) -> None:
        """Press keys one after the other, as far as nothing has to be waited for."""
        for name in names:
            self.page.keyboard.press(name)
            self.page.evaluate("new Promise(done => setTimeout(done))")
            self.count += 1


def documented(form: str) -> int:
    """How many keys the documents say that a nodule takes."""
    found = re.search(rf"\| {form} \| (\d+) \|", DOCUMENT.read_text())
    assert found, f"{DOCUMENT.name} does not say how many keys {form} takes"
    return int(found.group(1))


def test_a_whole_case_of_the_methods_form_is_read_without_the_mouse(
    enter: Callable[..., Room], pictures: Path
):
    room = enter(a_protocol())
    page, nodules = room.page, Nodule.objects.of_study(room.study).count()
    keys = Keys(page)
    for number in range(nodules):
        # To the first open question; six features, none of the others, the rating, how sure.
        keys.press("f", *"222211", "1", "4", "2", "Enter", "2")
        if number == 0:
            assert keys.count == documented("the method's")
            page.screenshot(path=pictures / "form-method.png")
            page.keyboard.press("Escape")
        else:
            page.keyboard.press("Escape")
    keys.press("f", "1")
    expect(page.locator("[data-answered]")).to_have_text(
        re.compile(r"^(\d+) of \1 required answers$")
    )
    keys.press("Control+Enter")
    expect(page.get_by_role("button", name="Lock it now")).to_be_focused()
    keys.press("Enter")
    wait_until(lambda: Answer.objects.count() == 1, "the answer is locked", 30)
    rated = Rating.objects.filter(question="malignancy").values_list("value", flat=True)
    assert list(rated) == [42] * nodules


def test_a_nodule_of_the_lidc_form_takes_a_key_a_question(
    enter: Callable[..., Room], pictures: Path
):
    document = yaml.safe_load((DEMONSTRATION.parent / "lidc.yaml").read_text())
    room = enter(document)
    keys = Keys(room.page)
    keys.press("f", *"111111111")
    assert keys.count == documented("LIDC's")
    room.page.screenshot(path=pictures / "form-lidc.png")
    nodule = Nodule.objects.of_study(room.study).order_by("number")[0]
    wait_until(lambda: len(saved().get("nodules", {}).get(str(nodule.pk), {})) == 9, "nine", 20)
