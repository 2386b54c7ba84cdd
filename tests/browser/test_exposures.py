"""The exposure ledger of an aided reading, against what was done in the browser; shown by -s."""

import re
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reader_study.actions.cases import site_archive
from reader_study.domain.reading import Stage
from reader_study.exports.events import EXPOSURES, exposure_rows
from reader_study.models import Event, Nodule, Reading, Series
from tests.browser.room import pane, rate, viewer, wait_until_loaded
from tests.dicomweb.series import a_series
from tests.factories import PASSWORD, a_member, a_prediction, a_reading, a_study, a_user
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })
  document.dispatchEvent(new Event('visibilitychange'))
}"""


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """An aided reading of two nodules, both predicted."""
    user = a_user(username="reader", password=PASSWORD)
    reading = a_reading(stage=Stage.AIDED, reader=a_member(a_study(), user=user), nodules=2)
    for nodule in Nodule.objects.all():
        a_prediction(nodule)
    series = Series.objects.get()
    folder = tmp_path / "ct"
    files = a_series(folder, slices=12, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    Series.objects.update(slices=12)
    return reading


def test_the_ledger_says_what_was_on_screen(page: Page, live_server, log_in, reading: Reading):
    log_in("reader")
    page.goto(f"{live_server.url}/reading/{reading.pk}")
    did: list[tuple[float, float, str]] = []
    began = time.monotonic()
    before = 0.0

    def wait(milliseconds: int) -> None:
        nonlocal before
        page.wait_for_timeout(milliseconds)
        before = time.monotonic() - began

    def note(what: str) -> None:
        did.append((before, time.monotonic() - began, what))

    expect(page.locator("[data-probability]")).to_be_visible(timeout=60_000)
    note("the score of nodule 1 is on screen")
    wait(1500)
    page.get_by_role("tab", name=re.compile("Nodule 2")).click()
    expect(page.locator(".questions")).to_have_attribute(
        "data-section", str(Nodule.objects.get(number=2).pk)
    )
    note("turns to nodule 2")
    wait(1000)
    page.evaluate(HIDE, True)
    note("hides the tab")
    wait(2000)
    page.evaluate(HIDE, False)
    note("comes back to the tab")
    wait(1000)
    page.get_by_role("tab", name=re.compile("Nodule 1")).click()
    expect(page.locator(".questions")).to_have_attribute(
        "data-section", str(Nodule.objects.get(number=1).pk)
    )
    note("turns to nodule 1")
    rate(page, 64)
    wait(500)
    page.get_by_role("tab", name=re.compile("Case")).click()
    expect(page.locator(".questions")).to_have_attribute("data-section", "case")
    note("turns to the case: no AI on screen")
    page.locator("[data-action=ask]").click()
    page.locator("[data-action=confirm]").click()
    expect(page.locator(".room")).to_have_attribute("data-stage", "submitted", timeout=60_000)
    note("submits")
    page.goto("about:blank")
    told = Event.objects.filter(kind="ai_hidden")
    wait_until(lambda: told.filter(data__artefact="score").count() == 4, "the events are there", 60)

    names = [column.name for column in EXPOSURES]
    rows = [dict(zip(names, row, strict=True)) for row in exposure_rows(reading.reader.study)]
    sys.stdout.write("\nthe browser test:\n")
    for since, until, what in did:
        sys.stdout.write(f"  {since:6.2f} to {until:6.2f} s  {what}\n")
    sys.stdout.write("exposures.csv:\n")
    shown = ["nodule", "artefact", "shown_at", "hidden_at", "seconds", "ended"]
    shown += ["malignancy_before", "malignancy_after"]
    for row in (dict(zip(shown, shown, strict=True)), *rows):
        sys.stdout.write("  " + "  ".join(f"{row[name]!s:<8}" for name in shown) + "\n")

    # Each began and ended somewhere within what the script did then, a moment of drawing aside.
    spans = [(1, did[0], did[1]), (2, did[1], did[2]), (2, did[3], did[4]), (1, did[4], did[5])]
    scores = [row for row in rows if row["artefact"] == "score"]
    scores.sort(key=lambda row: row["shown_at"])
    assert [row["nodule"] for row in scores] == [nodule for nodule, _, _ in spans]
    for row, (_, shown_then, hidden_then) in zip(scores, spans, strict=True):
        least, most = hidden_then[0] - shown_then[1], hidden_then[1] - shown_then[0]
        assert least - 0.5 < float(row["seconds"]) < most + 0.5
    assert {(row["malignancy_before"], row["malignancy_after"]) for row in scores} == {
        ("30", "64"),
        ("30", "30"),
    }


def test_an_overlay_is_hidden_while_another_series_is_on_screen(
    page: Page, live_server, log_in, reading: Reading, tmp_path: Path
):
    one = Series.objects.get()
    uid = f"{one.series_uid}.7"
    files = a_series(tmp_path / "other", slices=12, study=one.study_uid, series=uid)
    site_archive().store(one.study_uid, uid, files)
    other = Series.objects.create(
        case=one.case,
        study_uid=one.study_uid,
        series_uid=uid,
        frame_of_reference_uid=one.frame_of_reference_uid,
        slices=12,
    )
    log_in("reader")
    page.goto(f"{live_server.url}/reading/{reading.pk}")
    wait_until_loaded(page, 12)
    wait_until(lambda: pane(page)["saliency"], "the overlay is drawn", 60)
    page.locator(".pane.axial").focus()
    page.keyboard.press("w")
    wait_until(lambda: viewer(page)["series"] == other.pk, "the other series", 30)
    wait_until(lambda: pane(page)["saliency"] is None, "no overlay", 10)
    panel = page.get_by_role("region", name="AI")
    expect(panel).to_contain_text("It belongs to another series of the examination.")
    panel.get_by_role("button", name="Show them").click()
    wait_until(lambda: viewer(page)["series"] == one.pk, "the series of the nodule", 30)
    wait_until(lambda: pane(page)["saliency"], "the overlay again", 10)

    def told() -> list[str]:
        events = Event.objects.filter(kind__startswith="ai_", data__artefact="saliency")
        return list(events.order_by("monotonic_ms").values_list("kind", flat=True))

    expected = ["ai_shown", "ai_hidden", "ai_shown", "ai_hidden"]
    wait_until(lambda: told() == expected[:3], "that it is shown again", 30)
    page.goto(f"{live_server.url}/worklist")  # which delivers what the page could not
    wait_until(lambda: told() == expected, "its exposures", 30)
