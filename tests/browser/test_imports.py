"""Cases come in through the browser: sent, searched, looked at, and given their nodules."""

import re
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, expect

import phantom
from reader_study.models import Case, ImportJob, Nodule, Series, Study
from reader_study.pages.imports import PICTURES_A_PAGE
from tests.browser.conftest import a_study_with_members
from tests.browser.room import pane
from tests.browser.test_pages import barriers
from tests.dicomweb.series import a_series
from tests.images import Orthanc
from tests.stack import Workers, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def study(live_server, tmp_path: Path, workers: Workers, settings) -> Study:
    """A study without cases, with the site's worker beside it."""
    settings.IMPORT_DIR = tmp_path / "server"
    settings.IMPORT_DIR.mkdir()
    settings.ARCHIVE_DIR, settings.STAGING_DIR = tmp_path / "archive", tmp_path / "incoming"
    for name in ("IMPORT_DIR", "ARCHIVE_DIR", "STAGING_DIR"):
        workers.environment[name] = str(getattr(settings, name))
    return a_study_with_members("Lung nodules with and without AI")


def generated(folder: Path) -> phantom.Case:
    """A generated CT with what a hospital writes into its headers."""
    (case,) = phantom.demo_cases(1)
    phantom.write_case(case, folder)
    return case


def test_a_folder_is_sent_and_its_case_gets_its_nodules(
    page: Page, study: Study, log_in, workers: Workers, settings, tmp_path: Path, pictures: Path
):
    case = generated(tmp_path / "mine" / "ct")
    (tmp_path / "mine" / "notes.txt").write_text("no image")
    images = len(list((tmp_path / "mine" / "ct").rglob("*.dcm")))
    (settings.IMPORT_DIR / "from-a-hospital").mkdir()
    found = {}
    log_in("coordinator")
    page.get_by_role("link", name="Bring cases in").first.click()
    found["imports"] = barriers(page)
    page.screenshot(path=pictures / "imports.png", full_page=True)
    page.get_by_role("button", name="Choose folder, files or ZIP").click()
    expect(page.get_by_role("heading", name="Choose the images")).to_be_visible()
    found["choosing"] = barriers(page)

    # The network breaks in the middle, and comes back; the page sends what is missing.
    parts = []

    def broken(route):
        parts.append(route.request.url)
        route.abort() if len(parts) % 7 == 3 else route.continue_()

    page.route(re.compile(r"/files/\d+\?offset="), broken)
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "mine")
    # Asking the page lets the routes above have their turn.
    sent = lambda: page.title() and ImportJob.objects.get().state == "waiting"  # noqa: E731
    wait_until(sent, "everything is sent", 120)
    assert len(parts) > images
    page.unroute_all(behavior="wait")
    workers.start_site()
    wait_until(lambda: ImportJob.objects.get().state == "done", "the import is done", 240)

    # The page has refreshed itself, and says what was wrong with which file.
    expect(page.get_by_text(f"{images} of {images} images")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("imported as Case 001 with 0 nodules")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="notes.txt")).to_contain_text("not a DICOM")
    found["import"] = barriers(page)
    page.screenshot(path=pictures / "import.png", full_page=True)
    series = Series.objects.get()
    assert series.series_uid != case.series_uid

    # A list of nodules, first only looked at; it names the original UIDs.
    phantom.write_nodules_csv([case], tmp_path / "nodules.csv")
    lines = (tmp_path / "nodules.csv").read_text().splitlines()
    away = lines[-1].split(",")
    away[3:7] = ["elsewhere", "9999", "0", "0"]
    lines.append(",".join(away))
    (tmp_path / "nodules.csv").write_text("\n".join(lines) + "\n")
    page.get_by_role("link", name="Cases").first.click()
    page.get_by_role("link", name="List of nodules").click()
    page.get_by_label("List of nodules (CSV)").set_input_files(tmp_path / "nodules.csv")
    page.get_by_role("button", name="See what it comes to").click()
    expect(page.get_by_role("row").filter(has_text=f"line {len(lines)}")).to_contain_text("outside")
    assert Nodule.objects.count() == 0
    found["list"] = barriers(page)
    page.screenshot(path=pictures / "nodules.png", full_page=True)
    page.get_by_role("button", name=re.compile(r"Add \d+ nodule")).click()
    listed = Nodule.objects.count()
    assert listed == len(lines) - 2

    # One more by hand, in the images, then moved and removed again.
    found["cases"] = barriers(page)
    page.screenshot(path=pictures / "cases.png", full_page=True)
    page.get_by_role("link", name="Place nodules in Case 001").click()
    expect(page.get_by_text(f"{images} of {images} images")).to_be_visible(timeout=60_000)
    box = page.locator(".pane.axial canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.5)
    page.keyboard.press("x")
    expect(page.get_by_role("button", name=f"Go to nodule {listed + 1}")).to_be_visible()
    placed = Nodule.objects.get(number=listed + 1)
    assert abs(placed.z - pane(page)["position_mm"][2]) < 0.02
    page.get_by_label(f"Diameter of nodule {placed.number}, mm").fill("8,5")
    page.keyboard.press("Tab")
    wait_until(lambda: Nodule.objects.get(pk=placed.pk).diameter_mm == 8.5, "the diameter", 10)
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.mouse.wheel(0, 240)
    found["place"] = barriers(page)
    page.screenshot(path=pictures / "place.png")
    page.get_by_role("button", name=f"Remove nodule {placed.number}").click()
    wait_until(lambda: Nodule.objects.count() == listed, "it is removed", 10)

    page.get_by_role("link", name="Cases").click()
    expect(page.get_by_text(f"nodule {placed.number} removed")).to_be_visible()
    image = page.locator("table.cases img").first
    wait_until(lambda: image.evaluate("image => image.naturalWidth") > 50, "the thumbnail", 10)
    page.locator("summary", has_text="Remove").click()
    page.get_by_role("button", name="Take it out of the study").click()
    expect(page.get_by_text("Case 001 is no longer in the study.")).to_be_visible()
    assert Case.objects.count() == 0
    assert {name: report for name, report in found.items() if report} == {}


def test_images_are_looked_at_before_they_are_taken_in(
    page: Page, study: Study, log_in, workers: Workers, settings, pictures: Path
):
    folder = settings.IMPORT_DIR / "from-a-hospital"
    generated(folder)
    for file in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.BurnedInAnnotation = "YES"
        dataset.save_as(file)
    slices = len(list(folder.rglob("*.dcm")))
    workers.start_site()
    log_in("coordinator")
    page.get_by_role("link", name="Bring cases in").first.click()
    page.locator("select[name=folder]").select_option("from-a-hospital")
    page.get_by_role("button", name="Import the folder").click()

    page.get_by_role("link", name="Look at its images").click(timeout=120_000)
    images = page.locator(".pictures img")
    expect(images).to_have_count(min(slices, PICTURES_A_PAGE))
    # The others come as one scrolls to them.
    first = "images => images.slice(0, 6).every(image => image.naturalWidth > 100)"
    wait_until(lambda: images.evaluate_all(first), "the images", 60)
    assert barriers(page) == ""
    page.screenshot(path=pictures / "look.png")
    assert Series.objects.count() == 0
    page.get_by_role("button", name="They show nobody").click()
    wait_until(lambda: Series.objects.count() == 1, "the series is taken in", 120)


@pytest.mark.orthanc
def test_series_are_searched_for_in_an_archive_and_imported(
    page: Page, study: Study, log_in, workers: Workers, settings, orthanc: Orthanc, tmp_path: Path
):
    uid = "1.2.826.0.1.3680043.8.498.77"
    files = a_series(tmp_path / "there", study=uid, series=f"{uid}.1")
    orthanc.upload(files)
    settings.IMPORT_URL, settings.IMPORT_TOKEN = orthanc.url, orthanc.token
    workers.environment |= {"IMPORT_URL": orthanc.url, "IMPORT_TOKEN": orthanc.token}
    workers.start_site()
    log_in("coordinator")
    page.get_by_role("link", name="Bring cases in").first.click()
    page.get_by_label("Patient ID").fill("P-1")
    page.get_by_label("Date, or from – to").fill("2020-01-01 – 2020-12-31")
    page.get_by_role("button", name="Search").click()
    row = page.get_by_role("row").filter(has_text=uid)
    expect(row).to_contain_text("12")
    row.get_by_role("checkbox").check()
    assert barriers(page) == ""
    page.get_by_role("button", name="Import what is ticked").click()

    expect(page.get_by_text("imported as Case 001 with 0 nodules")).to_be_visible(timeout=120_000)
    assert Series.objects.get().slices == 12
