"""The page of a protocol in a real browser: edited, checked and put in force by keyboard users."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reader_study.models import Role
from tests.browser.test_pages import barriers
from tests.factories import PASSWORD, a_member, a_study, a_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def open_protocol(page: Page, site: str, slug: str) -> None:
    """Log in as `desk`, and be on the page of a study's protocol."""
    page.goto(f"{site}/login?next=/studies/{slug}/protocol")
    page.get_by_label("User name").fill("desk")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="What it comes to")).to_be_visible()


def test_a_protocol_is_checked_at_its_lines_and_put_in_force(
    page: Page, live_server, pictures: Path
):
    study = a_study(is_open=False)
    user = a_user(username="desk", password=PASSWORD)
    a_member(study, Role.COORDINATOR, user)
    open_protocol(page, live_server.url, study.slug)
    page.get_by_role("button", name="Text", exact=True).click()
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
    page.get_by_label("lidc").check()
    page.get_by_role("button", name="Create the draft").click()
    expect(page.get_by_role("heading", name="Protocol of LIDC characteristics")).to_be_visible()
    assert found == ["", "", ""]
    study.refresh_from_db()
    assert study.title.startswith("All lung nodules")


def test_a_protocol_is_changed_in_a_form_made_from_its_schema(
    page: Page, live_server, pictures: Path
):
    study = a_study(is_open=False)
    a_member(study, Role.COORDINATOR, a_user(username="desk", password=PASSWORD))
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    open_protocol(page, live_server.url, study.slug)
    form = page.locator("#protocol-form")
    text = page.locator("#text")
    expect(text).to_be_hidden()

    page.locator("#form-title").fill("Nodules, asked in a form")
    form.locator("summary", has_text="Questionnaire").click()
    question = form.locator("details", has=page.locator("#form-questionnaire-nodule-0-name")).last
    question.locator("> summary").click()
    options = question.get_by_role("group", name="Options", exact=True)
    there = options.locator("> .item").count()
    options.get_by_role("button", name="Add option").click()
    options.get_by_label("Value").last.fill("No")
    options.get_by_label("Label").last.fill("Not sure")
    options.get_by_role("button", name=f"Option {there + 1} up").press("Enter")
    expect(options.get_by_label("Label").nth(there - 1)).to_have_value("Not sure")
    expect(options.get_by_role("button", name=f"Option {there} up")).to_be_focused()
    found = [barriers(page)]
    page.screenshot(path=pictures / "protocol-form.png", full_page=True)

    page.get_by_role("button", name="Check").click()
    value = page.locator(f"#form-questionnaire-nodule-0-options-{there - 1}-value")
    expect(value).to_be_visible()
    expect(value).to_have_attribute("aria-invalid", "true")
    told = page.locator(f"#{value.get_attribute('aria-describedby')}")
    expect(told).to_contain_text("no name that can be used: 'No'")
    found.append(barriers(page))
    page.screenshot(path=pictures / "protocol-form-mistake.png", full_page=True)
    value.fill("off")  # a word that YAML would read as a no
    page.get_by_role("button", name="Text", exact=True).click()
    assert "label: Not sure" in text.input_value()
    text.fill(text.input_value().replace("Not sure", "Not sure at all"))
    page.get_by_role("button", name="Form", exact=True).click()
    label = page.locator(f"#form-questionnaire-nodule-0-options-{there - 1}-label")
    expect(label).to_have_value("Not sure at all")
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_text("This protocol is in force.")).to_be_visible()

    assert found == ["", ""]
    assert [each for each in complaints if "409" not in each] == []
    study.refresh_from_db()
    assert study.title == "Nodules, asked in a form"
    asked = study.rules.questionnaire.nodule[0].options
    assert (asked[-2].value, asked[-2].label) == ("off", "Not sure at all")
