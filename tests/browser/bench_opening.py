"""How long it takes from the click to the images: `pytest tests/browser/bench_opening.py -n0 -s`.

Not one of the tests: figures depend on the machine, so they are compared within one run.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Page

from reader_study.models import Reading, Study
from tests.browser.room import wait_until_loaded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TIMES = 5

# Milliseconds from the navigation to what happened on the way.
STEPS = """() => {
  const mark = name => performance.getEntriesByName(name)[0]?.startTime
  const end = part => performance.getEntriesByType('resource')
    .find(one => one.name.includes(part))?.responseEnd
  const first = performance.getEntriesByType('resource').find(one => one.name.includes('/frames/'))
  return {
    'reading received': end('/api/readings/'.concat(document.body.dataset.reading)),
    'viewer code received': end('cornerstone'),
    'headers asked for': performance.getEntriesByType('resource')
      .find(one => one.name.includes('/metadata')).startTime,
    'headers received': end('/metadata'),
    'first frame asked for': first?.startTime,
    'first frame received': first?.responseEnd,
    'first image': mark('first_image'),
    'whole series': mark('series_loaded'),
  }
}"""


def test_time_from_the_click_to_the_images(
    page: Page, live_server: Any, lidc_images_study: Study, log_in: Callable[[str], None]
):
    log_in("reader")
    reading = Reading.objects.get(reader__study=lidc_images_study, position=1)
    slices = reading.case.series.get().slices
    runs = []
    for _ in range(TIMES):
        page.goto(f"{live_server.url}/worklist")
        page.goto(f"{live_server.url}/reading/{reading.pk}")
        wait_until_loaded(page, slices)
        page.wait_for_timeout(500)
        runs.append(page.evaluate(STEPS))
    print(f"\n{slices} slices, opened {TIMES} times; milliseconds, median (least to most)")
    for step in runs[0]:
        values = [run[step] for run in runs]
        print(f"  {step:24} {median(values):6.0f} ({min(values):.0f} to {max(values):.0f})")
