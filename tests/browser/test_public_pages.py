"""The public pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

PHONE, DESKTOP = 390, 1400
PAGES = [
    "/",
    "/everything/",
    "/odd/",
    "/long-word/",
    "/tag/lamps/",
    "/author/ada/",
    "/nowhere/",
    "/search?q=words",
    "/archive/",
    "/archive/2026/",
    "/api/v1/docs",
]
EXPECTED = "Failed to load resource: the server responded with a status of"  # the error page itself
LAYOUT_SHIFT = """
    new Promise(done => {
        let sum = 0;
        const observer = new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value });
        observer.observe({type: "layout-shift", buffered: true});
        requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
    })
"""
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@contextmanager
def opened(
    browser: Browser, address: str, *, width: int = DESKTOP, scheme: str = "light", guest: str | None = None
) -> Iterator[Page]:
    """Open an address; at the end no script may have failed and no policy been broken.

    guest: another origin that pages may lead to.
    """
    origins = tuple("/".join(each.split("/")[:3]) for each in (address, guest) if each)
    complaints: list[str] = []

    def watch(page: Page) -> None:
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(origins) else complaints.append(asked.url))

    view = {"width": width, "height": 900}
    with browser.new_context(viewport=view, color_scheme=scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        watch(page)
        page.goto(address)
        yield page
    assert [text for text in complaints if not text.startswith(EXPECTED)] == []


def serious_problems(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html']}"
        for each in found
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_serious_barrier_and_does_not_scroll_sideways(
    browser: Browser, address: str, path: str, scheme: str
):
    for width in (PHONE, DESKTOP):
        with opened(browser, address + path, width=width, scheme=scheme) as page:
            assert serious_problems(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_a_site_without_its_database_has_no_serious_barrier(
    browser: Browser, address_without_database: str, scheme: str
):
    for width in (PHONE, DESKTOP):
        with opened(browser, address_without_database, width=width, scheme=scheme) as page:
            assert page.get_by_role("heading", level=1).text_content() == "We will be right back"
            assert serious_problems(page) == []


def test_the_first_key_reaches_a_link_that_skips_to_the_text(browser: Browser, address: str):
    with opened(browser, address + "/everything/") as page:
        page.keyboard.press("Tab")
        assert page.get_by_role("link", name="Skip to the text").is_visible()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Ada Byron"


def test_what_has_the_focus_is_marked(browser: Browser, address: str):
    with opened(browser, address) as page:
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_reader_walks_from_the_home_page_through_older_posts_to_a_post_and_its_tag(browser: Browser, address: str):
    with opened(browser, address) as page:
        page.get_by_role("link", name="Older posts").click()
        page.get_by_role("link", name="Plain").click()
        assert page.get_by_role("heading", level=1).text_content() == "Plain"
        page.get_by_role("link", name="Words").click()
        page.get_by_role("link", name="tag 39").click()
        assert page.get_by_role("heading", level=1).text_content() == "tag 39"


@pytest.mark.parametrize("path", ["/", "/odd/"])
def test_a_cover_that_arrives_late_moves_nothing(browser: Browser, address: str, path: str):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with opened(browser, address + "/nowhere/", width=PHONE) as page:
        page.route("**/lamp.svg", hold)
        page.goto(address + path, wait_until="domcontentloaded")
        page.evaluate(TWO_FRAMES)
        for route in held:
            route.continue_()
        page.wait_for_load_state("load")
        assert held
        assert page.evaluate(LAYOUT_SHIFT) == 0


def test_everything_is_readable_in_print(browser: Browser, address: str):
    with opened(browser, address + "/everything/") as page:
        page.emulate_media(media="print")
        assert page.get_by_role("heading", level=1).is_visible()
        assert not page.get_by_role("link", name="Back to the top").is_visible()
