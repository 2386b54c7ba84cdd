"""From the click on "Next case" to its images: `pytest tests/browser/bench_next_case.py -n0 -s`.

Not one of the tests: figures depend on the machine, so both ways are taken in one run.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Page

from reader_study.models import Reading, Study
from tests.browser.conftest import submit_first
from tests.browser.room import wait_until_loaded
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TIMES = 5
# A link without the handler that has the images kept: they are emptied, and read again.
UNPREPARED = "link => link.replaceWith(link.cloneNode(true))"
MARK = "name => performance.getEntriesByName(name)[0]?.startTime"


def test_time_from_the_click_to_the_next_case(
    page: Page, live_server: Any, lidc_images_study: Study, log_in: Callable[[str], None]
):
    submit_first(lidc_images_study)
    log_in("reader")
    first, second = Reading.objects.filter(reader__study=lidc_images_study).order_by("position")
    figures: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for prepared in [False, True] * TIMES:
        page.goto(f"{live_server.url}/reading/{first.pk}")
        wait_until_loaded(page, 133)
        wait_until(lambda: page.evaluate(MARK, "next_prepared"), "the next case is prepared", 90)
        link = page.get_by_role("link", name="Next case")
        if not prepared:
            link.evaluate(UNPREPARED)
        link.click()
        page.wait_for_url(f"**/reading/{second.pk}")
        wait_until_loaded(page, 133)
        wait_until(lambda: page.evaluate(MARK, "series_loaded"), "the series is drawn", 30)
        marks = page.evaluate(MARK, "first_image"), page.evaluate(MARK, "series_loaded")
        figures[prepared].append(marks)
    for prepared, runs in figures.items():
        print(f"\n{'prepared' if prepared else 'not prepared'}: milliseconds from the click")
        for what, values in zip(
            ("first image", "whole series"), zip(*runs, strict=True), strict=True
        ):
            print(f"  {what:14} {median(values):6.0f} ({min(values):.0f} to {max(values):.0f})")
