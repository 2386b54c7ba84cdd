"""Nothing a reader does is lost: real browser, real web server, which is killed and started again.

The server is the one of a deployment (gunicorn), a process of its own on the test's database.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from reader_study.actions.cases import site_archive
from reader_study.actions.verification import verify_study
from reader_study.domain.reading import Stage
from reader_study.models import Answer, Draft, Event, Reading, Series
from tests.browser.room import answer, fill_in, rate
from tests.dicomweb.series import a_series
from tests.factories import PASSWORD, a_member, a_reading, a_study, a_user
from tests.server import Server
from tests.stack import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MALIGNANCY = "[data-question=malignancy] input[data-entry]"


@pytest.fixture
def server(tmp_path: Path, live_server: Any) -> Iterator[Server]:
    started = Server(tmp_path / "web.log")
    started.start()
    yield started
    started.kill()


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    """A reading that has begun, with a few small images."""
    user = a_user(username="reader", password=PASSWORD)
    reading = a_reading(stage=Stage.UNAIDED, reader=a_member(a_study(), user=user))
    series = Series.objects.get()
    folder = tmp_path / "ct"
    files = a_series(folder, slices=4, study=series.study_uid, series=series.series_uid)
    site_archive().store(series.study_uid, series.series_uid, files)
    Series.objects.update(slices=4)
    return reading


@pytest.fixture
def enter(
    browser: Browser,
    browser_context_args: dict[str, Any],
    server: Server,
    reading: Reading,
) -> Iterator[Callable[..., Page]]:
    """Open the reading in a browser of its own, or in another tab of one that is there."""
    begun: list[BrowserContext] = []

    def do(context: BrowserContext | None = None) -> Page:
        if context is None:
            context = browser.new_context(**browser_context_args)
            begun.append(context)
            client = Client()
            client.force_login(reading.reader.user)
            value = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": value, "url": server.url}])
        page = context.new_page()
        page.goto(f"{server.url}/reading/{reading.pk}")
        expect(page.locator(MALIGNANCY)).to_be_visible(timeout=60_000)
        return page

    yield do
    for context in begun:
        context.close()


def says(page: Page, kind: str, words: str = ".") -> None:
    """Wait until the bar at the top says so."""
    shown = page.locator(f"[data-saved={kind}]")
    expect(shown).to_contain_text(re.compile(words), timeout=60_000)


def stored(reading: Reading) -> Any:
    """The malignancy that the server has as the draft of the unaided answer."""
    draft = Draft.objects.filter(reading=reading, stage=Stage.UNAIDED).first()
    for section in draft.answers["nodules"].values() if draft else []:
        return section.get("malignancy", {}).get("value")
    return None


def complete(page: Page, malignancy: int) -> None:
    fill_in(page, malignancy)
    page.get_by_role("tab", name=re.compile("Case")).click()
    answer(page, "image_quality", "diagnostic")


def press(page: Page, what: str) -> None:
    page.locator(f"[data-action={what}]").click()


def in_stage(page: Page, stage: str) -> None:
    expect(page.locator(".room")).to_have_attribute("data-stage", stage, timeout=60_000)


def test_what_is_typed_offline_survives_a_closed_tab_and_reaches_the_server_once(
    enter, reading, server
):
    page = enter()
    context = page.context
    rate(page, 10)
    says(page, "saved", r"^Saved \d\d:\d\d$")

    context.set_offline(True)
    rate(page, 20)
    says(page, "waiting", r"^Waiting since \d\d:\d\d: no connection")
    page.close()
    context.set_offline(False)
    assert stored(reading) == 10

    # The page that comes next need not be that of the reading.
    page = context.new_page()
    page.goto(f"{server.url}/worklist")
    expect(page.get_by_text("had been waiting in this browser are saved now")).to_be_visible(
        timeout=60_000
    )
    assert stored(reading) == 20
    assert Draft.objects.get().version == 2
    page.goto(f"{server.url}/reading/{reading.pk}")
    expect(page.locator(MALIGNANCY)).to_have_value("20", timeout=60_000)

    # A reload while the save is on its way.
    for value in (31, 32, 33):
        rate(page, value)
        page.reload()
        expect(page.locator(MALIGNANCY)).to_have_value(str(value), timeout=60_000)
    says(page, "saved")
    wait_until(lambda: stored(reading) == 33, "the last word is stored", 30)
    left = "Object.keys(localStorage).filter(key => /outbox.*answers/.test(key))"
    wait_until(lambda: page.evaluate(left) == [], "nothing is left in the browser", 30)
    # Events of the pages that were closed have arrived, too.
    pages = {event.data["page"] for event in Event.objects.exclude(monotonic_ms=None)}
    assert len(pages) >= 4


def test_of_two_computers_nothing_is_overwritten_unseen(enter, reading):
    here, there = enter(), enter()
    rate(there, 90)
    says(there, "saved", "^Saved")
    rate(here, 10)
    says(here, "conflict")
    row = here.locator(".differences tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(re.compile("Malignancy.*10.*90", re.S | re.I))
    assert stored(reading) == 90

    press(here, "keep-mine")
    says(here, "saved", "^Saved")
    assert stored(reading) == 10
    rate(there, 91)
    says(there, "conflict")
    press(there, "take-theirs")
    expect(there.locator(MALIGNANCY)).to_have_value("10")

    # A second tab of the same browser, with nothing of its own to save, follows by itself.
    second = enter(here.context)
    rate(here, 12)
    says(here, "saved", "^Saved")
    expect(second.locator(MALIGNANCY)).to_have_value("12", timeout=60_000)


def test_a_stale_tab_of_a_locked_reading_explains_itself_and_keeps_what_was_typed(enter, reading):
    here, stale = enter(), enter()
    complete(here, 40)
    press(here, "ask")
    press(here, "confirm")
    in_stage(here, "aided")

    rate(stale, 77)
    expect(stale.locator(".stale")).to_contain_text("is locked", timeout=60_000)
    says(stale, "ended", "^Read-only")
    in_stage(stale, "unaided")
    malignancy = stale.locator(".differences tr", has_text="alignancy")
    expect(malignancy).to_contain_text(re.compile("77.*40", re.S), timeout=60_000)
    assert stale.locator(MALIGNANCY).is_disabled()
    assert not Event.objects.filter(kind="ai_shown").exists()

    press(stale, "reload-reading")
    in_stage(stale, "aided")
    expect(stale.locator(".aside .differences")).to_contain_text("77")
    press(stale, "discard-aside")
    expect(stale.locator(".aside")).to_have_count(0)
    assert Answer.objects.count() == 1


def test_a_session_that_expires_costs_nothing(enter, reading):
    page = enter()
    rate(page, 10)
    says(page, "saved", "^Saved")
    Session.objects.all().delete()
    rate(page, 55)
    says(page, "waiting", "you are signed out$")

    with page.context.expect_page() as opened:
        press(page, "sign-in")
    login = opened.value
    login.get_by_label("User name").fill("reader")
    login.get_by_label("Password").fill(PASSWORD)
    login.get_by_role("button", name="Log in").click()

    says(page, "saved", "^Saved")
    assert stored(reading) == 55
    expect(page.locator(MALIGNANCY)).to_have_value("55")


def test_a_server_that_is_killed_while_saving_and_locking_loses_and_doubles_nothing(
    enter, reading, server
):
    page = enter()
    for value in range(1, 9):
        rate(page, value)
        if value in {3, 6}:
            server.kill()
            server.start()
    complete(page, 42)
    server.kill()
    answer(page, "image_quality", "limited")
    says(page, "waiting", r"^Waiting since \d\d:\d\d")
    press(page, "ask")
    press(page, "confirm")
    expect(page.locator("[data-waiting]")).to_contain_text(
        re.compile(r"Waiting since \d\d:\d\d.*locked as soon as", re.S), timeout=60_000
    )
    assert not Answer.objects.exists()

    server.start()
    in_stage(page, "aided")
    locked = Answer.objects.get()
    assert locked.answers["case"]["image_quality"] == {"value": "limited"}
    (of_nodule,) = locked.answers["nodules"].values()
    assert of_nodule["malignancy"] == {"value": 42}
    assert Event.objects.filter(kind="lock_unaided").count() == 1
    assert verify_study(reading.reader.study).broken is None
