"""Signing in elsewhere in a browser: there, back, and for whom nobody here knows yet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.accounts.provider import Provider, open_provider, say
from tests.browser.conftest import serving
from tests.browser.test_account_pages import walk
from tests.browser.test_public_pages import DESKTOP, PHONE, opened
from tests.people import add_person
from tests.site import PASSWORD, running, settings_for

pytestmark = pytest.mark.browser

BOTH = pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with open_provider() as made:
        yield made


@pytest.fixture(scope="module")
def address(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[str]:
    """Return the address of a site that people can sign in to with the provider, and make themselves accounts on."""
    folder = tmp_path_factory.mktemp("elsewhere")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'site.db')}"
    settings = settings_for(url, folder, REGISTRATION="open", **provider.settings)
    with running(settings) as app:
        for name in ("cleo", "dora"):
            add_person(app, name, "author", password=PASSWORD)
    with serving(settings) as served:
        yield served.replace("127.0.0.1", "localhost")  # by which it knows itself, and is come back to


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).focus()
    page.keyboard.press("Enter")


@BOTH
def test_somebody_who_has_an_account_connects_the_two_by_keyboard(
    browser: Browser, address: str, provider: Provider, width: int, scheme: str
):
    name = {PHONE: "cleo", DESKTOP: "dora"}[width]
    provider.user = {"sub": name, "email": f"{name}@example.org", "email_verified": True}
    with opened(browser, f"{address}/account/security", width=width, scheme=scheme, guest=provider.url) as page:
        walk(page, width)
        press(page, "Sign in with the Lighthouse")
        page.get_by_role("heading", name="Is this your account?").wait_for()
        walk(page, width)
        page.get_by_label("Password").focus()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/account/security")
        walk(page, width)
        press(page, "Disconnect")
        page.get_by_text("The two are no longer connected.").wait_for()
        press(page, "Connect with the Lighthouse")
        page.get_by_text("The two are connected.").wait_for()
        walk(page, width)
        press(page, "Sign out")
        page.wait_for_url(f"{address}/")
        page.goto(f"{address}/account/")
        press(page, "Sign in with the Lighthouse")
        page.get_by_role("heading", name="Your profile").wait_for()


@BOTH
def test_somebody_who_is_new_makes_an_account_by_keyboard(
    browser: Browser, address: str, provider: Provider, width: int, scheme: str
):
    provider.user = {"sub": f"{width}", "email": f"eve{width}@example.org", "email_verified": True}
    with opened(browser, f"{address}/account/sign-in", width=width, scheme=scheme, guest=provider.url) as page:
        press(page, "Sign in with the Lighthouse")
        page.get_by_role("heading", name="You are new here").wait_for()
        walk(page, width)
        page.get_by_label("Username", exact=True).focus()
        page.keyboard.type(f"eve{width}")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/account/")
        page.goto(f"{address}/account/confirm")
        walk(page, width)


@BOTH
def test_whoever_says_no_there_reads_that_nobody_was_signed_in(
    browser: Browser, address: str, provider: Provider, width: int, scheme: str
):
    back = f"{address}/account/elsewhere/oidc/callback?error=access_denied"
    provider.answers["/authorize"] = say(b"", status=302, Location=back)
    try:
        with opened(browser, f"{address}/account/sign-in", width=width, scheme=scheme, guest=provider.url) as page:
            press(page, "Sign in with the Lighthouse")
            page.get_by_role("alert").wait_for()
            assert page.get_by_role("alert").text_content() == "You were not signed in there."
            walk(page, width)
    finally:
        provider.answers.clear()


@BOTH
def test_without_scripts_a_button_takes_the_place_of_what_goes_by_itself(
    browser: Browser, address: str, provider: Provider, width: int, scheme: str
):
    provider.user = {"sub": "frank", "email_verified": False}
    view = {"width": width, "height": 900}
    with browser.new_context(viewport=view, color_scheme=scheme, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/account/sign-in")
        press(page, "Sign in with the Lighthouse")
        page.get_by_role("heading", name="Back from the Lighthouse").wait_for()
        press(page, "Sign in")
        page.get_by_role("heading", name="You are new here").wait_for()
        assert page.get_by_text("has not confirmed your address").is_visible()
