"""A passkey, made and used by a real browser with an authenticator of its own."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.test_pages import barriers
from tests.factories import PASSWORD, a_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_passkey_is_made_and_opens_the_site_without_a_password(
    live_server: Any, page: Page, pictures: Path
) -> None:
    a_user(username="reader", password=PASSWORD)
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
            }
        },
    )
    # Browsers give passkeys to names, not to addresses of numbers.
    site = live_server.url.replace("127.0.0.1", "localhost")
    page.goto(f"{site}/login")
    assert barriers(page) == ""
    page.get_by_label("User name").fill("reader")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="reader").click()
    page.screenshot(path=pictures / "account.png")
    assert barriers(page) == ""
    page.get_by_role("link", name="Set it up").click()
    page.screenshot(path=pictures / "second-factor.png")
    assert barriers(page) == ""
    page.get_by_role("link", name="Activate").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Authenticator code").wait_for()
    page.screenshot(path=pictures / "authenticator-app.png")
    assert barriers(page) == ""
    page.goto(f"{site}/account/second-factor/webauthn/add/")
    page.get_by_label("Passwordless").check()
    page.screenshot(path=pictures / "passkey.png")
    assert barriers(page) == ""
    page.get_by_role("button", name="Add").click()
    page.wait_for_url("**/second-factor/recovery-codes/**")
    page.screenshot(path=pictures / "recovery-codes.png")
    assert barriers(page) == ""

    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Use a passkey").click()

    page.get_by_role("link", name="reader").wait_for()
    assert "/login" not in page.url
