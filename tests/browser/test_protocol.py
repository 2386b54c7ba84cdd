"""The page of a protocol in a real browser: edited, checked and put in force by keyboard users."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reader_study.models import Role
from tests.browser.test_pages import barriers
from tests.factories import PASSWORD, a_member, a_study, a_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_protocol_is_checked_at_its_lines_and_put_in_force(
    page: Page, live_server, pictures: Path
):
    study = a_study(is_open=False)
    user = a_user(username="desk", password=PASSWORD)
    a_member(study, Role.COORDINATOR, user)
    page.goto(f"{live_server.url}/login?next=/studies/{study.slug}/protocol")
    page.get_by_label("User name").fill("desk")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="What it comes to")).to_be_visible()
    found = [barriers(page)]
    page.screenshot(path=pictures / "protocol.png", full_page=True)

    text = page.get_by_label("The protocol, as YAML or JSON")
    honest = text.input_value()
    text.fill(honest.replace("kind: sequential", "kind: sequentiel"))
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("did you mean 'sequential'?")).to_be_visible()
    found.append(barriers(page))
    page.screenshot(path=pictures / "protocol-mistakes.png")

    text.fill(honest.replace("title: Lung nodules", "title: All lung nodules"))
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_text("This protocol is in force.")).to_be_visible()

    page.goto(f"{live_server.url}/studies/new")
    page.get_by_label("Name in addresses").fill("another")
    found.append(barriers(page))
    page.screenshot(path=pictures / "new-study.png")
    page.get_by_label("Begin with").select_option("lidc")
    page.get_by_role("button", name="Create the draft").click()
    expect(page.get_by_role("heading", name="Protocol of LIDC characteristics")).to_be_visible()
    assert found == ["", "", ""]
    study.refresh_from_db()
    assert study.title.startswith("All lung nodules")
