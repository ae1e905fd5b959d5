"""The pages of an account in a browser, by keyboard, at both widths and in both schemes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import CONFIRMED, INVITED
from tests.browser.test_public_pages import DESKTOP, PHONE, opened, serious_problems
from tests.site import PASSWORD

pytestmark = pytest.mark.browser

OWN = (
    "/account/", "/account/email", "/account/security", "/account/confirm", "/account/reset", "/account/picture",
    "/account/notifications", "/account/notifications/preferences", "/account/data",
)  # fmt: skip
OVER = "/account/invitation/" + "a" * 43
INVITATION, CONFIRMATION = f"/account/invitation/{INVITED}", f"/account/email/confirm/{CONFIRMED}"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_signs_in_by_keyboard_and_meets_no_serious_barrier(
    browser: Browser, address: str, scheme: str, width: int
):
    with opened(browser, f"{address}/account/security", width=width, scheme=scheme) as page:
        assert serious_problems(page) == []
        page.get_by_label("Username or e-mail address").focus()
        page.keyboard.type("cleo")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/account/security")
        page.goto(f"{address}/account/tokens/new")
        walk(page, width)
        page.get_by_label("Name").fill(f"Reader {scheme} {width} with a rather long name")
        page.get_by_label("account.see").check()
        page.keyboard.press("Enter")
        page.get_by_label("Token").wait_for()
        walk(page, width)
        page.goto(f"{address}/account/second-factor/app")
        page.get_by_text("Without a camera").click()
        walk(page, width)
        for path in (*OWN, OVER):
            page.goto(address + path)
            walk(page, width)


def walk(page: Page, width: int) -> None:
    """Hold a page against axe, and see that nothing of it stands out of the window."""
    assert serious_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_person_sets_an_app_up_signs_in_with_it_and_turns_it_off(browser: Browser, address: str, width: int):
    with opened(browser, f"{address}/account/second-factor/app", width=width) as page:
        give_password(page, "emil")
        app = pyotp.parse_uri(page.locator('a[href^="otpauth:"]').get_attribute("href"))
        page.get_by_label("Code").fill(app.now())
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Recovery codes").wait_for()
        walk(page, width)
        paper = page.locator(".codes code").first.text_content()
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{address}/account/security")
        give_password(page, "emil")
        page.get_by_role("heading", name="One more step").wait_for()
        walk(page, width)
        page.get_by_label("Code").fill(paper)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/account/security")
        walk(page, width)
        page.get_by_role("button", name="Turn the app off").click()
        page.get_by_text("no longer asked for").wait_for()


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_person_adds_a_passkey_and_signs_in_with_it_alone_and_after_the_password(
    browser: Browser, address: str, width: int
):
    address = address.replace("127.0.0.1", "localhost")
    with opened(browser, f"{address}/account/passkeys/new", width=width) as page:
        devices = plug_in(page)
        give_password(page, "faye")
        page.get_by_label("Name", exact=True).fill(f"Key ring {width}")
        walk(page, width)
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        assert len(devices()) == 1
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{address}/account/security")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_text(f"Key ring {width}").wait_for()
        walk(page, width)
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{address}/account/security")
        give_password(page, "faye")
        page.get_by_role("heading", name="One more step").wait_for()
        walk(page, width)
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{address}/account/security")
        assert devices()[0]["signCount"] >= 2
        page.get_by_role("button", name=f"Remove the passkey Key ring {width}").click()
        page.get_by_text("The passkey is removed.").wait_for()


def test_a_page_says_when_no_passkey_was_shown(browser: Browser, address: str):
    address = address.replace("127.0.0.1", "localhost")
    with opened(browser, f"{address}/account/sign-in") as page:
        plug_in(page, is_willing=False)
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.get_by_text("No passkey was shown.").wait_for()
        assert serious_problems(page) == []


def plug_in(page: Page, *, is_willing: bool = True) -> Callable[[], list[dict[str, Any]]]:
    """Give the browser a device for passkeys, and return what lists the keys on it."""
    chromium = page.context.new_cdp_session(page)
    chromium.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": is_willing, "automaticPresenceSimulation": True}
    device = chromium.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return lambda: chromium.send("WebAuthn.getCredentials", device)["credentials"]


def give_password(page: Page, username: str) -> None:
    page.get_by_label("Username or e-mail address").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_stranger_registers_by_keyboard_and_meets_no_serious_barrier(
    browser: Browser, open_address: str, scheme: str, width: int
):
    with opened(browser, f"{open_address}/account/sign-in", width=width, scheme=scheme) as page:
        page.get_by_role("link", name="I have no account yet").focus()
        page.keyboard.press("Enter")
        page.get_by_label("E-mail address").focus()
        page.keyboard.type(f"eve{width}{scheme}@example.org")
        page.keyboard.press("Enter")
        assert page.get_by_role("status").text_content() == "A mail is on its way. Its link works once, for a week."
        for path in ("/account/register", INVITATION, CONFIRMATION):
            page.goto(open_address + path)
            assert page.locator("form.form").count() == 1
            walk(page, width)
