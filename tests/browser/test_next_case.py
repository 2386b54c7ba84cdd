"""The next case, prepared while the current one is on screen."""

from collections.abc import Callable
from math import ceil
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from reader_study.models import Nodule, Reading, Study
from tests.browser.room import pane, wait_until_loaded
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PREPARED = "performance.getEntriesByName('next_prepared').length"


@pytest.fixture
def prepared(
    page: Page, live_server: Any, two_cases: Study, log_in: Callable[[str], None]
) -> tuple[Page, list[str], Reading]:
    """The first case on screen and the second prepared; what was asked for; the second."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log_in("reader")
    first, second = Reading.objects.filter(reader__study=two_cases).order_by("position")
    page.goto(f"{live_server.url}/reading/{first.pk}")
    wait_until_loaded(page, first.case.series.get().slices)
    wait_until(lambda: page.evaluate(PREPARED), "the next case is prepared", 60)
    return page, asked, second


def images(asked: list[str], reading: Reading) -> list[str]:
    return [url for url in asked if f"/readings/{reading.pk}/dicomweb" in url]


def test_the_images_of_the_next_case_are_there_when_it_is_opened(
    prepared: tuple[Page, list[str], Reading],
):
    page, asked, second = prepared
    slices = second.case.series.get().slices
    prepared_by = images(asked, second)
    assert len(set(prepared_by)) == len(prepared_by) == ceil(slices / 8) + 1  # and the headers
    # Images and nothing else: the reading is not opened, and nothing of the AI is asked for.
    second.refresh_from_db()
    assert second.stage == "assigned"
    assert not [url for url in asked if url.endswith("/ai") or f"{second.pk}/open" in url]
    # None of them is on the disk of the workstation.
    assert page.evaluate("caches.keys()") == []
    assert page.evaluate("indexedDB.databases()") == []

    page.get_by_role("link", name="Next case").click()
    page.wait_for_url(f"**/reading/{second.pk}")
    wait_until_loaded(page, slices)
    assert images(asked, second) == prepared_by, "nothing is fetched twice"
    nodule = Nodule.objects.filter(series__case=second.case).order_by("number")[0]
    assert abs(pane(page)["position_mm"][2] - nodule.z) <= 1.26
    expect(page.locator(".room")).to_have_attribute("data-stage", "unaided")


def test_the_prepared_images_are_forgotten_when_the_reader_goes_elsewhere(
    prepared: tuple[Page, list[str], Reading], live_server: Any
):
    page, asked, second = prepared
    before = set(images(asked, second))
    page.get_by_role("link", name="Worklist").first.click()
    page.wait_for_url("**/worklist")
    page.goto(f"{live_server.url}/reading/{second.pk}")
    wait_until_loaded(page, second.case.series.get().slices)
    headers = next(url for url in before if url.endswith("/metadata"))
    again = images(asked, second)
    assert again.count(headers) == 2
    assert len([url for url in again if "/frames/" in url]) > len(before)
