"""The pages of an account in a browser, by keyboard, at both widths and in both schemes."""

from __future__ import annotations

import pyotp
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.test_public_pages import DESKTOP, PHONE, opened, serious_problems
from tests.site import PASSWORD

pytestmark = pytest.mark.browser


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
        for path in ("/account/security", "/account/", "/account/confirm", "/account/reset"):
            page.goto(address + path)
            walk(page, width)


def walk(page: Page, width: int) -> None:
    """Hold a page against axe, and see that nothing of it stands out of the window."""
    assert serious_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_person_sets_an_app_up_signs_in_with_it_and_turns_it_off(browser: Browser, address: str, width: int):
    with opened(browser, f"{address}/account/second-factor/app", width=width) as page:
        give_password(page)
        app = pyotp.parse_uri(page.locator('a[href^="otpauth:"]').get_attribute("href"))
        page.get_by_label("Code").fill(app.now())
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Recovery codes").wait_for()
        walk(page, width)
        paper = page.locator(".codes code").first.text_content()
        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{address}/account/security")
        give_password(page)
        page.get_by_role("heading", name="One more step").wait_for()
        walk(page, width)
        page.get_by_label("Code").fill(paper)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/account/security")
        walk(page, width)
        page.get_by_role("button", name="Turn it off").click()
        page.get_by_text("no longer asked for").wait_for()


def give_password(page: Page) -> None:
    page.get_by_label("Username or e-mail address").fill("emil")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
