"""From the import of a real CT to the export of its reading, in a real browser."""

import csv
import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reader_study.models import Answer, Event, Nodule, Prediction, Reading, Study
from tests.browser.room import answer, fill_in, pane, rate, wait_until_loaded
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SLICE_MM = 2.5


def test_a_case_of_lidc_is_read_without_and_with_ai_and_exported(
    page: Page, live_server, lidc_study: Study, log_in, tmp_path: Path
):
    nodules = list(Nodule.objects.of_study(lidc_study))
    assert len(nodules) == 4
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))

    secret = [str(p.probability) for p in Prediction.objects.all()]

    # Worklist.
    log_in("reader")
    expect(page.get_by_role("heading", name="LIDC-IDRI-0063")).to_be_visible()
    page.screenshot(path=tmp_path / "worklist.png")
    bodies: list[str] = []
    page.on(
        "response",
        lambda response: (
            bodies.append(response.text())
            if "json" in response.headers.get("content-type", "")
            else None
        ),
    )
    page.get_by_role("link", name="Begin with case 1").click()

    # Images: all 133 slices, the nodule that is chosen at the cross of the three planes.
    wait_until_loaded(page, 133)
    first = nodules[0]
    page.keyboard.press("n")
    page.get_by_role("tab", name=re.compile("Nodule 1")).click()

    def is_centred(plane: str, axis: int) -> bool:
        position: list[float] = pane(page, plane)["position_mm"]
        return abs(position[axis] - first.centre_mm[axis]) < 2

    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        wait_until(partial(is_centred, plane, axis), f"the nodule in the {plane} plane", 10)
    # Its marker is drawn in the middle of the pane, where the nodule is.
    here = pane(page)
    marker = next(m for m in here["markers"] if m["nodule"] == first.pk)
    assert abs(marker["x"] - here["rect"]["width"] / 2) < 3
    assert abs(marker["y"] - here["rect"]["height"] / 2) < 3
    assert set(here["letters"].values()) == {"R", "L", "A", "P"}

    # Scrolling by key and by wheel, and back.
    before = here["index"]
    page.mouse.move(here["rect"]["x"] + 200, here["rect"]["y"] + 200)
    page.mouse.wheel(0, 100)
    wait_until(lambda: pane(page)["index"] != before, "the wheel scrolls", 10)
    moved = pane(page)
    assert abs(moved["position_mm"][2] - here["position_mm"][2]) == pytest.approx(
        SLICE_MM * abs(moved["index"] - before), abs=0.01
    )
    page.get_by_role("tab", name=re.compile("Nodule 1")).click()
    wait_until(lambda: pane(page)["index"] == before, "the jump leads back", 10)

    # The unaided answer, saved as it is given; a reload brings it back.
    fill_in(page, 42)
    expect(page.get_by_text(re.compile("^Saved"))).to_be_visible()
    page.reload()
    expect(page.locator("[data-question=malignancy] input[data-entry]")).to_have_value("42")
    wait_until_loaded(page, 133)
    page.screenshot(path=tmp_path / "unaided.png")
    for number, malignancy in ((2, 20), (3, 80), (4, 55)):
        page.get_by_role("tab", name=re.compile(f"Nodule {number}")).click()
        fill_in(page, malignancy)
    page.get_by_role("button", name="Lock unaided answer").click()
    expect(page.get_by_text("One question needs an answer.")).to_be_visible()
    page.get_by_role("tab", name=re.compile("Case")).click()
    answer(page, "image_quality", "diagnostic")

    # So far, nothing of the AI has come to this browser.
    assert not [url for url in requests if url.endswith("/ai")]
    assert not [text for text in bodies for number in secret if number in text]

    # Lock; then, and only then, the AI.
    page.get_by_role("button", name="Lock unaided answer").click()
    page.get_by_role("button", name="Lock it now").click()
    expect(page.locator("[data-probability]")).to_be_visible()
    shown = Prediction.objects.get(job__nodule=first)
    expect(page.locator("[data-probability]")).to_have_text(f"{shown.probability:.2f}")
    expect(page.get_by_role("region", name="AI")).to_contain_text(
        shown.model_version.card["notice"]
    )
    wait_until(lambda: pane(page)["saliency"], "the relevance map is drawn", 10)
    expect(page.locator("[data-question=consistency] .predicted")).to_be_visible()
    page.screenshot(path=tmp_path / "aided.png")
    page.keyboard.press("o")
    wait_until(lambda: not pane(page)["saliency"], "the relevance map is hidden", 10)

    # The revision starts as the unaided answer, which is locked.
    field = page.locator("[data-question=malignancy] input[data-entry]")
    expect(field).to_have_value("42")
    rate(page, 64)
    expect(page.locator("[data-question=malignancy] .before")).to_contain_text("before: 42")
    page.get_by_role("button", name="Submit final answer").click()
    page.get_by_role("button", name="Submit it now").click()
    expect(page.locator(".room")).to_have_attribute("data-stage", "submitted")
    assert Reading.objects.get().stage == "submitted"
    assert Answer.objects.count() == 2
    kinds = set(Event.objects.values_list("kind", flat=True))
    assert {"opened", "first_image", "lock_unaided", "ai_sent", "submit"} <= kinds

    # The coordinator exports.
    log_in("coordinator")
    expect(page.get_by_role("heading", name="LIDC-IDRI-0063")).to_be_visible()
    page.screenshot(path=tmp_path / "study.png", full_page=True)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export readings").click()
    download.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        text = archive.read("readings.csv").decode()
        assert json.loads(archive.read("protocol.json"))["protocol"]["protocol"] == 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    judged = {
        (row["stage"], row["nodule"]): row["value"]
        for row in rows
        if row["question"] == "malignancy"
    }
    assert judged == {
        **{("unaided", str(n)): str(v) for n, v in ((1, 42), (2, 20), (3, 80), (4, 55))},
        **{("aided", str(n)): str(v) for n, v in ((1, 64), (2, 20), (3, 80), (4, 55))},
    }
    assert float(next(r["ai_probability"] for r in rows if r["question"] == "malignancy")) in {
        p.probability for p in Prediction.objects.all()
    }
