"""Series that are no even stack: tilted, with gaps, uneven, of one slice, and of 1,500."""

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import pytest
from django.core.management import call_command
from django.utils import timezone
from numpy.typing import ArrayLike, NDArray
from playwright.sync_api import Page, expect

from reader_study.actions.cases import import_cases
from reader_study.domain.seen import displayed_s, views
from reader_study.exports.events import happened
from reader_study.models import Draft, Event, Study
from tests.browser.conftest import a_study_with_members, open_without_ai
from tests.browser.room import hu_in_the_middle, pane, viewer, wait_until_loaded
from tests.browser.test_marks import walk
from tests.browser.test_pages import barriers
from tests.dicomweb.series import STUDY, a_slice, put_pixels
from tests.factories import a_protocol, free_response
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

_count = count(100)
ROWS, COLUMNS = 96, 80
PIXEL_MM = 1.0
SOFT_TISSUE = "2"  # 40 / 400: the key of the window
# What is at a point, in Hounsfield units: it changes by 4 to 6 a millimetre, so half a voxel shows.
AT_ZERO = 40.0
SLOPES = np.array([2.0, -4.0, 6.0])
# Of 400 HU over 256 grey levels, and of the rounding to whole units.
GREY_HU = 2.5


class Odd(NamedTuple):
    """A series: the corner of each slice, LPS millimetres, and how rows and columns run."""

    corners: NDArray[np.float64]  # (slices, 3), from the feet
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    slopes: NDArray[np.float64] = SLOPES
    # By which one slice differs from the next, over and over.
    stripe_hu: float = 0

    def hu_at(self, point: ArrayLike) -> float:
        """What a voxel at `point`, which lies on a slice, was made with."""
        number = int(np.argmin(np.abs((self.corners - np.asarray(point)) @ self.normal)))
        return float(AT_ZERO + np.dot(point, self.slopes)) + self.stripe_hu * (number % 3)

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.row, self.column)

    def point(self, column: float, row: float, image: int) -> NDArray[np.float64]:
        """Where a voxel lies."""
        found: NDArray[np.float64] = self.corners[image] + PIXEL_MM * (
            column * self.row + row * self.column
        )
        return found

    def write(self, folder: Path, series: str) -> None:
        folder.mkdir()
        j, i = np.mgrid[:ROWS, :COLUMNS]
        for number, corner in enumerate(self.corners):
            dataset = a_slice(number, series=series)
            places = corner + PIXEL_MM * (i[..., None] * self.row + j[..., None] * self.column)
            hu = np.rint(AT_ZERO + places @ self.slopes) + self.stripe_hu * (number % 3)
            put_pixels(dataset, (hu + 1024).clip(0, 4095).astype(np.uint16))
            dataset.ImagePositionPatient = corner.tolist()
            dataset.ImageOrientationPatient = [*self.row.tolist(), *self.column.tolist()]
            pydicom.dcmwrite(folder / f"{number:04}.dcm", dataset)


def upright(places: Sequence[float]) -> Odd:
    corners = np.array([[-COLUMNS / 2, -ROWS / 2, z] for z in places])
    return Odd(corners, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))


def tilted(degrees: float, slices: int) -> Odd:
    """The gantry was tilted, and the table went along z."""
    angle = np.radians(degrees)
    column = np.array([0, np.cos(angle), -np.sin(angle)])
    start = np.add(-ROWS / 2 * column, [-COLUMNS / 2, 0, 0])
    corners = np.array([np.add(start, [0, 0, 2.5 * (k - slices // 2)]) for k in range(slices)])
    return Odd(corners, np.array([1.0, 0, 0]), column)


class Room(NamedTuple):
    """A room with a series, all of its images loaded."""

    page: Page
    study: Study
    odd: Odd
    series: str

    def shows_what_is_there(self) -> None:
        """Hold the grey in the middle of the axial pane against what lies at its place."""

        def right() -> bool:
            here = pane(self.page)["position_mm"]
            return abs(hu_in_the_middle(self.page) - self.odd.hu_at(here)) <= GREY_HU

        wait_until(right, "the voxel in the middle is that of its place", 20)

    def pixel_of(self, column: float, row: float) -> tuple[float, float]:
        """Where a voxel of the slice on screen is on the page; rows and columns run as they do."""
        here = pane(self.page)
        image = int(np.argmin(abs((self.odd.corners - here["position_mm"]) @ self.odd.normal)))
        off = self.odd.point(column, row, image) - np.array(here["position_mm"])
        assert abs(off @ self.odd.normal) < 1e-3  # the pane lies on the slice
        x, y, width, height = (here["rect"][edge] for edge in ("x", "y", "width", "height"))
        scale = here["mm_per_pixel"]
        right, down = off @ self.odd.row / scale, off @ self.odd.column / scale
        return x + width / 2 + float(right), y + height / 2 + float(down)

    def press(self, key: str, times: int = 1) -> None:
        for _ in range(times):
            self.page.keyboard.press(key)

    def wait_for_slice(self, index: int) -> None:
        wait_until(lambda: pane(self.page)["index"] == index, f"slice {index}", 20)


@pytest.fixture
def enter(page: Page, live_server: Any, log_in: Callable[[str], None], tmp_path: Path):
    """Return what opens the room of a free-response study with a series."""

    def do(odd: Odd, *warned: str) -> Room:
        folder = tmp_path / "ct"
        series = f"{STUDY}.{next(_count)}"  # an archive never changes a series
        odd.write(folder, series)
        middle = ",".join(f"{part:.3f}" for part in np.add(odd.corners.mean(axis=0), [40, 40, 0]))
        (folder / "nodules.csv").write_text(
            f"patient,study,series,nodule,x,y,z,diameter_mm\nP-1,{STUDY},{series},N1,{middle},6\n"
        )
        study = a_study_with_members("Odd series", a_protocol(**free_response()))
        report = import_cases(
            study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now()
        )
        assert report.complete, report.lines()
        said = "\n".join(report.lines())
        assert all(words in said for words in warned), said
        open_without_ai(study)
        log_in("reader")
        page.get_by_role("link", name="Begin with case 1").click()
        wait_until_loaded(page, len(odd.corners))
        page.locator(".pane.axial").focus()
        page.keyboard.press(SOFT_TISSUE)
        return Room(page, study, odd, series)

    return do


def saved() -> dict[str, Any]:
    draft = Draft.objects.order_by("-pk").first()
    return draft.answers if draft else {}


def mark_and_measure(room: Room, column: int, row: int) -> None:
    """Mark a voxel of the slice on screen, and measure 20 mm from it along its row."""
    page = room.page
    page.mouse.move(*room.pixel_of(column, row))
    page.keyboard.press("x")
    expect(page.locator('[data-marks="1"]')).to_be_visible()
    expect(page.locator("[data-question=rating] [data-entry]")).to_be_focused()
    page.keyboard.type("70")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.keyboard.type("40")
    page.keyboard.press("Escape")
    page.locator(".pane.axial").focus()
    page.keyboard.press("e")
    page.mouse.move(*room.pixel_of(column - 8, row - 6))
    page.mouse.down()
    page.mouse.move(*room.pixel_of(column + 8, row + 6), steps=4)
    page.mouse.up()
    wait_until(lambda: len(saved().get("measurements", [])) == 1, "the ellipse is saved", 20)
    wait_until(lambda: len(saved()["marks"][0]["answers"]) == 3, "the mark is rated", 20)


def is_in_the_report(room: Room, point: NDArray[np.float64], ellipse: float, folder: Path) -> None:
    """Lock the answer, and find the mark and the ellipse's mean where they belong in the report."""
    (mark,) = saved()["marks"]
    assert np.abs(np.array(mark["point_mm"]) - point).max() <= PIXEL_MM / 2
    ends = np.array(saved()["measurements"][0]["points_mm"])
    assert np.abs((ends - point) @ room.odd.normal).max() < 1e-3
    room.page.keyboard.press("Control+Enter")
    expect(room.page.get_by_role("button", name="Lock it now")).to_be_focused()
    room.page.keyboard.press("Enter")
    expect(room.page.locator(".room")).not_to_have_attribute(
        "data-stage", "unaided", timeout=20_000
    )
    call_command("export_sr", room.study.slug, str(folder))
    (file,) = folder.iterdir()
    report = pydicom.dcmread(file)
    items = list(walk(report.ContentSequence))
    (place,) = [
        np.array(item.GraphicData)
        for item in items
        if item.ValueType == "SCOORD3D" and item.GraphicType == "POINT"
    ]
    assert np.abs(place - point).max() <= PIXEL_MM / 2
    (mean,) = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in items
        if item.ValueType == "NUM"
        and item.ConceptNameCodeSequence[0].CodeMeaning == "Attenuation Coefficient"
        and any(
            sub.ValueType == "CODE" and sub.ConceptCodeSequence[0].CodeMeaning == "Mean"
            for sub in item.get("ContentSequence", [])
        )
    ]
    # Symmetric round its middle, in a field that is linear.
    assert abs(mean - room.odd.hu_at(ends[:2].mean(axis=0))) < 2
    assert abs(mean - ellipse) < 10
    shown = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    number = int(np.argmin(abs((room.odd.corners - point) @ room.odd.normal)))
    assert f"{room.series}.{number + 1}" in {
        one.ReferencedSOPInstanceUID for one in shown.ReferencedSOPSequence
    }


def test_a_tilted_gantry_is_read_in_its_own_slices_and_in_true_coordinates(
    enter: Callable[..., Room], tmp_path: Path
):
    odd = tilted(18, 15)
    room = enter(odd, "the gantry was tilted by 18.0 degrees")
    page = room.page
    note = page.locator(".banner.note")
    expect(note).to_contain_text("the gantry was tilted by 18.0°")
    expect(page.get_by_role("button", name="3 planes")).to_be_disabled()
    expect(page.get_by_role("button", name="MIP", exact=True)).to_be_disabled()
    assert barriers(page) == ""
    note.get_by_role("button").click()
    expect(page.locator(".pane.axial .top-left")).to_contain_text("gantry tilt 18.0°")
    assert viewer(page)["planes"] == ["axial"]

    page.keyboard.press("s")  # no slab, by key neither
    assert pane(page)["slab"] is None
    first = np.array(pane(page)["position_mm"])
    for steps in (3, -5):
        room.press("ArrowDown" if steps > 0 else "ArrowUp", abs(steps))
        first = np.add(first, [0, 0, -2.5 * steps])  # the table went along z
        wait_until(
            lambda: np.allclose(pane(page)["position_mm"], first, atol=1e-3),  # noqa: B023
            "the slice",
            20,
        )
        room.shows_what_is_there()

    mark_and_measure(room, 50, 30)
    number = int(np.argmin(abs((odd.corners - first) @ odd.normal)))
    point = odd.point(50, 30, number)
    is_in_the_report(room, point, room.odd.hu_at(point), tmp_path / "sr")

    # What was on screen: the voxel, and not what lies at the height of the middle of the pane.
    wait_until(lambda: Event.objects.filter(kind="slice").count() > 3, "events", 20)
    shown = views(map(happened, Event.objects.order_by("pk")), longest_s=60)
    beside = np.add(point, [0, 0, first[2] - point[2]])
    assert abs((beside - point) @ odd.normal) > 3
    assert displayed_s([v for v in shown if v.normal], point.tolist(), 1, None) > 0
    at_the_end = [view for view in shown if np.allclose(view.centre_mm, first, atol=0.1)]
    assert at_the_end
    assert displayed_s(at_the_end, point.tolist(), 1, None) > 0
    assert displayed_s(at_the_end, beside.tolist(), 1, None) == 0


def test_missing_slices_are_a_gap_that_is_seen_and_said(enter: Callable[..., Room], tmp_path: Path):
    places = [2.5 * k for k in range(-8, 9) if k not in (2, 3, 4)]
    room = enter(upright(places), "3 slices missing between z 2.50 and 12.50 mm")
    page = room.page
    note = page.locator(".banner.note")
    expect(note).to_contain_text("3 slices of this series are missing")
    note.get_by_role("button").click()
    assert viewer(page)["planes"] == ["axial", "sagittal", "coronal"]
    expect(page.locator(".pane.coronal .gap")).to_have_text("missing slices")
    assert barriers(page) == ""
    band = page.locator(".pane.coronal .gap").bounding_box()
    coronal = pane(page, "coronal")
    assert band is not None
    # From the slice before to the one after it: 10 mm at the place of the gap.
    assert band["height"] == pytest.approx(10 / coronal["mm_per_pixel"], abs=1.5)
    middle = coronal["rect"]["y"] + coronal["rect"]["height"] / 2
    above = (7.5 - coronal["position_mm"][2]) / coronal["mm_per_pixel"]
    assert band["y"] + band["height"] / 2 == pytest.approx(middle - above, abs=1.5)

    page.keyboard.press("Home")
    room.wait_for_slice(1)
    expected = [2.5 * k for k in range(8, -9, -1)]
    for index, z in enumerate(expected, start=1):
        room.wait_for_slice(index)
        here = pane(page)
        assert here["position_mm"][2] == pytest.approx(z)
        notice = page.locator(".pane.axial .notice")
        if z in places:
            assert here["loaded"]
            expect(notice).to_have_text("")
            room.shows_what_is_there()
        else:
            assert not here["loaded"]
            expect(notice).to_contain_text("3 slices are missing between z 12.5 and 2.5 mm")
            expect(page.locator(".pane.axial .ct")).to_be_hidden()
            page.keyboard.press("x")  # nothing is there to mark
            expect(page.locator('[data-marks="0"]')).to_be_visible()
        room.press("ArrowDown")
    # A slab does not reach over it.
    room.press("ArrowUp", 8)
    room.wait_for_slice(9)
    room.press("s")
    wait_until(lambda: pane(page)["slab"], "a slab", 10)
    expect(page.locator(".pane.axial .notice")).to_contain_text("No slab here: 3 slices")
    room.press("s", 3)
    room.shows_what_is_there()

    # The gap was gone through, and nothing in it was seen. The last place of a scroll is told.
    room.press("ArrowUp", 3)
    room.wait_for_slice(6)
    assert pane(page)["position_mm"][2] == pytest.approx(7.5)
    told = Event.objects.filter(kind="slice", data__plane="axial", data__blank=True)
    heights_told = lambda: {round(one.data["position_mm"][2], 1) for one in told.all()}  # noqa: E731
    wait_until(lambda: 7.5 in heights_told(), "the gap is told", 30)
    room.press("ArrowDown", 3)
    room.wait_for_slice(9)
    seen = views(map(happened, Event.objects.order_by("pk")), longest_s=60)
    heights = {round(view.centre_mm[2], 1) for view in seen if view.plane == "axial"}
    assert heights
    assert not heights & {5.0, 7.5, 10.0}

    mark_and_measure(room, 52, 61)
    point = room.odd.point(52, 61, places.index(0.0))
    is_in_the_report(room, point, room.odd.hu_at(point), tmp_path / "sr")


def test_slices_at_uneven_distances_keep_their_places(enter: Callable[..., Room], tmp_path: Path):
    places = [0.0, 1, 2, 3, 8.3, 13, 18.5]
    room = enter(upright(places), "slices are 1.00 to 5.50 mm apart")
    page = room.page
    page.locator(".banner.note button").click()
    page.keyboard.press("Home")
    for index, z in enumerate(reversed(places), start=1):
        room.wait_for_slice(index)
        assert pane(page)["position_mm"][2] == pytest.approx(z)
        room.shows_what_is_there()
        room.press("ArrowDown")
    room.press("ArrowUp", 3)
    room.wait_for_slice(4)
    mark_and_measure(room, 30, 40)
    point = room.odd.point(30, 40, 3)
    is_in_the_report(room, point, room.odd.hu_at(point), tmp_path / "sr")


def test_a_single_slice_is_read(enter: Callable[..., Room], tmp_path: Path):
    room = enter(upright([4.0]), "it has 1 slice only")
    expect(room.page.locator(".banner.note")).to_contain_text("it has 1 slice only")
    room.page.locator(".banner.note button").click()
    room.press("ArrowDown", 2)
    assert pane(room.page)["index"] == pane(room.page)["total"] == 1
    room.shows_what_is_there()
    mark_and_measure(room, 33, 55)
    point = room.odd.point(33, 55, 0)
    is_in_the_report(room, point, room.odd.hu_at(point), tmp_path / "sr")


def test_1500_slices_are_read(enter: Callable[..., Room]):
    places = [0.5 * k - 375 for k in range(1500)]
    slopes = np.array([0.5, 0.5, 0.1])  # all of it within the window
    room = enter(upright(places)._replace(slopes=slopes, stripe_hu=60))
    page = room.page
    assert viewer(page)["planes"] == ["axial", "sagittal", "coronal"]
    for key, index in (("Home", 1), ("End", 1500)):
        page.keyboard.press(key)
        room.wait_for_slice(index)
        room.shows_what_is_there()
    room.press("PageUp")
    wait_until(lambda: pane(page)["index"] < 1500, "a page up", 10)
    room.shows_what_is_there()
