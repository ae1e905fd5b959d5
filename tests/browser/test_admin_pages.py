"""The administration in a browser, at both widths and in both schemes; the menu by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.test_public_pages import DESKTOP, PHONE, opened, serious_problems
from tests.site import PASSWORD

pytestmark = pytest.mark.browser

PATHS = ["/admin/", "/admin/people", "/admin/people?q=nobody+at+all", "/admin/invitations", "/admin/activity"]


@contextmanager
def signed_in(
    browser: Browser, address: str, path: str, *, width: int = DESKTOP, scheme: str = "light"
) -> Iterator[Page]:
    """Open a page as the administrator."""
    with opened(browser, address + path, width=width, scheme=scheme) as page:
        page.get_by_label("Username or e-mail address").fill("root")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(address + path)
        yield page


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier_or_scrolls_sideways(browser: Browser, address: str, scheme: str, width: int):
    with signed_in(browser, address, PATHS[0], width=width, scheme=scheme) as page:
        for path in PATHS:
            page.goto(address + path)
            page.get_by_role("heading", level=1).wait_for()
            assert serious_problems(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_admin_invites_somebody_by_keyboard_and_revokes_it(browser: Browser, address: str):
    with signed_in(browser, address, "/admin/invitations", width=PHONE) as page:
        page.get_by_label("E-mail address").focus()
        page.keyboard.type("eve@example.org")
        page.keyboard.press("Tab")
        page.keyboard.type("author")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.get_by_role("status").text_content() == "The mail is on its way."
        assert serious_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
        page.get_by_role("button", name="Revoke the invitation of eve@example.org").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/admin/invitations?done=revoked")
        assert page.get_by_text("No invitation is on its way.").is_visible()


def test_an_admin_finds_somebody_by_keyboard_and_changes_their_role(browser: Browser, address: str):
    with signed_in(browser, address, "/admin/", width=PHONE) as page:
        page.get_by_role("navigation", name="Administration").get_by_role("link", name="People").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Name or e-mail address").focus()
        page.keyboard.type("dora")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="dora").focus()
        page.keyboard.press("Enter")
        page.get_by_label("What dora may do").select_option("contributor")
        page.get_by_role("button", name="Change the role").focus()
        page.keyboard.press("Enter")
        assert page.get_by_role("status").text_content() == "The role is changed."
        assert serious_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
