"""The investigator's pages in a real browser: what they look like, and whether all can use them."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reader_study.models import ResultsJob, ResultsStatus, Role
from tests.browser.test_pages import barriers
from tests.factories import PASSWORD, a_member, a_user
from tests.results.locked import a_read_study, lock
from tests.stack import Workers, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_investigator_reads_the_results_and_takes_figures_and_tables_along(
    page: Page, live_server, workers: Workers, pictures: Path, tmp_path: Path
):
    workers.start_site()
    study = a_read_study(readers=4, cases=14)
    lock(study)
    done = lambda: ResultsJob.objects.get(study=study).status == ResultsStatus.DONE  # noqa: E731
    wait_until(done, "the worker has computed the results", 180)
    investigator = a_user(username="investigator", password=PASSWORD)
    a_member(study, role=Role.INVESTIGATOR, user=investigator)
    page.goto(f"{live_server.url}/login")
    page.get_by_label("User name").fill("investigator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    page.get_by_role("link", name="Results").first.click()
    expect(page.get_by_role("heading", name="Pre-specified analysis")).to_be_visible()
    images = page.locator("figure img")
    for number in range(images.count()):
        images.nth(number).scroll_into_view_if_needed()
        expect(images.nth(number)).to_have_js_property("complete", True)
        assert images.nth(number).evaluate("image => image.naturalWidth") > 100
    assert barriers(page) == ""
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=pictures / "results.png")
    page.screenshot(path=tmp_path / "whole.png", full_page=True)

    # By keyboard alone: the contents lead to a section, tables can be scrolled and taken along.
    page.get_by_role("link", name="ROC curves", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#roc")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "SVG"
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert saved.value.suggested_filename.endswith("roc.svg")
    with page.expect_download() as saved:
        page.get_by_role("link", name="AUC of each reader under each condition").click()
    assert saved.value.path().read_text().startswith("Reader,Condition,AUC")
