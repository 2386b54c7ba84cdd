"""Every page in a real browser: how it looks in the documents, and whether all can use it."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from reader_study.models import Study
from tests.browser.room import answer, fill_in, pane, wait_until_loaded
from tests.factories import PASSWORD, a_member, a_study, a_user, many_readings
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def barriers(page: Page) -> str:
    """What axe finds on the page as it is now."""
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


def test_a_generated_case_is_read_on_pages_everybody_can_use(
    page: Page, live_server, generated_study: Study, log_in, pictures: Path
):
    found = {}
    page.goto(f"{live_server.url}/login")
    found["login"] = barriers(page)

    log_in("reader")
    found["worklist"] = barriers(page)
    page.screenshot(path=pictures / "worklist.png")

    page.get_by_role("link", name="Begin with case 1").click()
    slices = generated_study.cases.get().series.get().slices
    wait_until_loaded(page, slices)
    page.get_by_role("tab", name=re.compile("Nodule 1")).click()
    fill_in(page, 35)
    expect(page.get_by_text(re.compile("^Saved"))).to_be_visible()
    found["unaided"] = barriers(page)
    page.screenshot(path=pictures / "reading-room-unaided.png")

    page.keyboard.press("Escape")
    page.keyboard.press("?")
    found["keys"] = barriers(page)
    page.screenshot(path=pictures / "keys.png")
    page.keyboard.press("?")

    if page.get_by_role("tab", name=re.compile("Nodule 2")).count():
        page.get_by_role("tab", name=re.compile("Nodule 2")).click()
        fill_in(page, 60)
    page.get_by_role("tab", name=re.compile("Case")).click()
    answer(page, "image_quality", "diagnostic")
    page.get_by_role("button", name="Lock unaided answer").click()
    found["confirm"] = barriers(page)
    page.get_by_role("button", name="Lock it now").click()
    expect(page.locator("[data-probability]")).to_be_visible()
    wait_until(lambda: pane(page)["saliency"], "the relevance map is drawn", 10)
    found["aided"] = barriers(page)
    page.screenshot(path=pictures / "reading-room-aided.png")

    page.get_by_role("button", name="Submit final answer").click()
    page.get_by_role("button", name="Submit it now").click()
    expect(page.locator(".room")).to_have_attribute("data-stage", "submitted")
    found["submitted"] = barriers(page)

    log_in("coordinator")
    found["study"] = barriers(page)
    page.screenshot(path=pictures / "study.png", full_page=True)

    assert {name: report for name, report in found.items() if report} == {}


def test_a_worklist_of_two_thousand_cases_is_found_through_on_pages_everybody_can_use(
    page: Page, live_server, log_in, pictures: Path, tmp_path: Path
):
    reader = a_member(a_study(), user=a_user(username="reader", password=PASSWORD))
    many_readings(reader, ended=312, waiting=1688)
    found = {}

    log_in("reader")
    expect(page.get_by_role("link", name="Go on with case 313")).to_be_visible()
    expect(page.get_by_role("link", name="Read case 313")).to_be_visible()
    expect(page.get_by_role("link", name="Look at case 312")).to_be_hidden()
    found["folded"] = barriers(page)
    page.screenshot(path=pictures / "worklist-long.png")
    page.get_by_text("The last 10 of 312 that are done").press("Enter")
    expect(page.get_by_role("link", name="Look at case 312")).to_be_visible()
    found["unfolded"] = barriers(page)
    page.get_by_role("link", name="All 2000 cases").click()
    expect(page.get_by_role("link", name="Read case 313")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Page 8 of 40")).to_be_visible()
    found["a page of all"] = barriers(page)
    page.screenshot(path=tmp_path / "worklist-all.png", full_page=True)

    assert {name: report for name, report in found.items() if report} == {}


def test_a_page_that_is_not_there_leads_back(page: Page, live_server):
    page.goto(f"{live_server.url}/reading/999")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(f"{live_server.url}/nowhere")
    expect(page.get_by_role("heading", name="There is nothing here for you")).to_be_visible()
    page.get_by_role("link", name="To the start").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
