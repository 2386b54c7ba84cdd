"""The desk in a real browser: a study from its checklist to the lock of its database."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

import phantom
from reader_study.actions.cases import import_cases
from reader_study.actions.heartbeat import note_alive
from reader_study.actions.monitoring import note_paces
from reader_study.actions.reading import Told, lock_unaided, open_reading, store_events, submit
from reader_study.actions.schedule import skip_reading
from reader_study.actions.study import add_member
from reader_study.models import DatabaseLock, Nodule, Reading, Role, Study
from reader_study.models.reference import PanelRead
from tests.browser.conftest import a_study_with_members
from tests.browser.test_pages import barriers
from tests.factories import PASSWORD, a_protocol, a_user, answers_of
from tests.stack import Workers

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOTE = "Images were sent again; no effect on the endpoint."

FORM = {
    "confidence": "How sure you are, from 0 to 100",
    "questions": [
        {
            "name": "why",
            "label": "What decided it",
            "kind": "single_choice",
            "options": [
                {"value": "margin", "label": "Its margin"},
                {"value": "density", "label": "Its density"},
            ],
        },
        {
            "name": "margin",
            "label": "How spiculated it is",
            "kind": "scale",
            "scale": {"min": 1, "max": 5, "low": "smooth", "high": "spiculated"},
            "when": {"question": "why", "is": "margin"},
        },
    ],
}


@pytest.fixture
def study(workers: Workers, tmp_path: Path) -> Study:
    """Two generated cases, readers, a panel and an investigator; nothing is dealt out."""
    document = a_protocol(
        truth={"panel": {"reads": 2, "form": FORM}, "complete_before": "lock"},
        conduct={"lock_by": "two"},
    )
    study = a_study_with_members("Lung nodules with and without AI", document)
    for name, role, pseudonym in (
        ("reader2", Role.READER, "R02"),
        ("panellist", Role.TRUTH_PANEL, "P01"),
        ("investigator", Role.INVESTIGATOR, "I01"),
    ):
        add_member(
            study=study,
            user=a_user(username=name, password=PASSWORD),
            role=role,
            pseudonym=pseudonym,
        )
    cases = phantom.demo_cases()[7:9]
    folder = tmp_path / "ct"
    for case in cases:
        phantom.write_case(case, folder / case.patient_id)
    phantom.write_nodules_csv(cases, folder / "nodules.csv")
    import_cases(study=study, folder=folder, nodules=folder / "nodules.csv", now=timezone.now())
    return study


def read(reading: Reading, minutes_ago: int) -> None:
    """Let a reader do a reading, some time ago."""
    then = timezone.now() - timedelta(minutes=minutes_ago)
    by: dict[str, Any] = {"reader": reading.reader.user, "reading_id": reading.pk}
    open_reading(**by, now=then)
    seconds = [0.0, *map(float, range(2, 240, 20))]
    told = [
        Told(uuid4(), "slice" if at else "first_image", "unaided", at * 1000, {"page": "p"})
        for at in seconds
    ]
    store_events(**by, events=told, now=then + timedelta(minutes=4))
    lock_unaided(**by, answers=answers_of(reading), now=then + timedelta(minutes=3))
    submit(**by, answers=answers_of(reading, malignancy=70), now=then + timedelta(minutes=5))


def test_a_study_is_set_up_watched_and_locked_from_the_desk(
    page: Page,
    live_server,
    study: Study,
    workers: Workers,
    log_in,
    pictures: Path,
    tmp_path: Path,
):
    workers.start_site()
    found = {}
    for kind in ("site", "inference"):
        note_alive(kind, timezone.now())
    site = f"{live_server.url}/studies/{study.slug}"

    log_in("coordinator")
    expect(page.get_by_text("not dealt out yet")).to_be_visible()
    found["checklist"] = barriers(page)
    page.screenshot(path=pictures / "checklist.png", full_page=True)

    # The cases are dealt out by the worker, and the page follows without being asked.
    page.locator("#needs + .checks").get_by_role("link", name="Allocation").click()
    page.get_by_role("button", name="Deal the cases out").click()
    expect(page.get_by_role("heading", name="Schedule")).to_be_visible(timeout=60_000)
    found["allocation"] = barriers(page)
    page.screenshot(path=pictures / "allocation.png", full_page=True)
    Study.objects.filter(pk=study.pk).update(opened_at=timezone.now())

    # A member of the panel reads a nodule, and is led to the next one.
    log_in("panellist")
    expect(page.get_by_role("heading", name="Truth panel of")).to_be_visible()
    found["panel"] = barriers(page)
    page.get_by_role("link", name="Read Case").first.click()
    expect(page.locator("#panel-viewer")).to_have_attribute("data-shown", "yes", timeout=90_000)
    page.get_by_label("Malignant").check()
    expect(page.get_by_label("How spiculated it is")).to_be_hidden()
    page.get_by_label("Its margin").check()
    page.get_by_label("How spiculated it is").fill("4")
    page.get_by_label("How sure you are, from 0 to 100").fill("80")
    found["panel read"] = barriers(page)
    page.screenshot(path=pictures / "truth-panel.png")
    page.get_by_role("button", name="Record it, for good").click()
    expect(page.get_by_text("It is recorded.")).to_be_visible()
    assert PanelRead.objects.get().answers == {"why": {"value": "margin"}, "margin": {"value": 4}}

    # The desk learns how much of the truth there is, and nothing of what it says.
    log_in("coordinator")
    page.goto(f"{site}/truth")
    truths = tmp_path / "truths.csv"
    lines = [
        f"{nodule.series.case.pseudonym},{nodule.number},benign,follow-up of two years\n"
        for nodule in Nodule.objects.of_study(study).select_related("series__case")
    ]
    truths.write_text("case,nodule,truth,source\n" + "".join(lines) + "Case 009,1,benign,none\n")
    page.get_by_label("File").set_input_files(truths)
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_text("cannot be used")).to_be_visible(timeout=60_000)
    found["truth"] = barriers(page)
    page.screenshot(path=pictures / "truth-room.png", full_page=True)

    # Progress counts anew by itself.
    readings = list(Reading.objects.of_study(study).order_by("position", "reader__pseudonym"))
    read(readings[0], 60)
    read(readings[1], 30)
    skipped = readings[3]
    skip_reading(
        reader=skipped.reader.user, reading_id=skipped.pk, reason="no images", now=timezone.now()
    )
    note_paces()
    page.goto(f"{site}/progress")
    expect(page.get_by_text(f"3 of {len(readings)} readings")).to_be_visible()
    found["progress"] = barriers(page)
    page.screenshot(path=pictures / "progress.png", full_page=True)
    read(readings[2], 10)
    expect(page.get_by_text(f"4 of {len(readings)} readings")).to_be_visible(timeout=60_000)

    page.goto(f"{site}/conduct")
    page.get_by_label("Review: A reading was skipped").check()
    page.get_by_label("Note").fill(NOTE)
    found["conduct"] = barriers(page)
    page.get_by_role("button", name="Reviewed").click()
    expect(page.get_by_role("cell", name=NOTE)).to_be_visible()
    page.screenshot(path=pictures / "conduct.png", full_page=True)

    page.goto(f"{site}/exports")
    found["exports"] = barriers(page)
    page.screenshot(path=pictures / "exports.png", full_page=True)

    # One proposes the lock, another confirms it.
    page.goto(f"{site}/lock")
    for field in page.get_by_label("Why it stays open").all():
        field.fill("Known, and agreed with the steering committee.")
    page.get_by_label("Your password, again").fill(PASSWORD)
    found["lock"] = barriers(page)
    page.screenshot(path=pictures / "lock.png", full_page=True)
    page.get_by_role("button", name="Propose the lock").click()
    expect(page.get_by_text("The lock is proposed")).to_be_visible()
    log_in("investigator")
    page.goto(f"{site}/lock")
    expect(page.get_by_text("coordinator proposed the lock")).to_be_visible()
    page.get_by_label("Your password, again").fill(PASSWORD)
    page.get_by_role("button", name="Lock the database for good").click()
    expect(page.get_by_role("heading", name="The database is locked")).to_be_visible()
    assert DatabaseLock.objects.get().by.username == "investigator"

    # The list of studies, once there are several.
    log_in("coordinator")
    page.goto(f"{live_server.url}/studies/new")
    page.get_by_label("Name in addresses").fill("second-reader")
    page.get_by_label("free_response").check()
    found["new study"] = barriers(page)
    page.screenshot(path=pictures / "new-study.png", full_page=True)
    page.get_by_role("button", name="Create the draft").click()
    page.goto(live_server.url)
    expect(page.get_by_text("Import cases")).to_be_visible()
    found["home"] = barriers(page)
    page.screenshot(path=pictures / "studies.png")

    assert {name: report for name, report in found.items() if report} == {}
