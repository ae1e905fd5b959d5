"""The pages of an account in a browser, by keyboard, at both widths and in both schemes."""

from __future__ import annotations

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
        for path in ("/account/security", "/account/", "/account/confirm", "/account/reset"):
            page.goto(address + path)
            walk(page, width)


def walk(page: Page, width: int) -> None:
    """Hold a page against axe, and see that nothing of it stands out of the window."""
    assert serious_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
