"""The editor in a browser: whatever fails, no word that was typed is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from cms.accounts.models import User
from cms.accounts.sessions import open_session
from cms.blogs.drafts import PostDraft
from cms.blogs.services import create_post
from cms.extensions import db, transaction
from tests.browser.conftest import QUIET, ROOT, find_chromium
from tests.browser.test_public_pages import DESKTOP, PHONE, serious_problems
from tests.people import HERE, add_person
from tests.site import open_site, running, settings_for

pytestmark = pytest.mark.browser

TEXT = "one\n\ntwo\n\nthree"
STORED = re.compile("kept|saved")
# Waits until this browser has a text, at most 10 s; tells whether it does.
KEPT = """async (text) => {
  const { list } = await import("/static/editor-keep.js");
  for (let round = 0; round < 200; round += 1) {
    if ((await list()).some((each) => each.texts.content === text)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}"""


@dataclass
class Desk:
    """A site with two editors, whose server can be killed and started again at the same address."""

    settings: dict[str, str]
    file: Path
    secrets: dict[str, str]
    listener: socket.socket
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def start(self) -> None:
        bind = f"fd://{self.listener.fileno()}"
        program = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--bind", bind]
        environment = {"PATH": os.environ["PATH"], "WEB_WORKERS": "1", **self.settings}
        self.servers.append(
            subprocess.Popen(
                program, cwd=ROOT, env=environment, pass_fds=[self.listener.fileno()], stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )  # fmt: skip

    def kill(self) -> None:
        server = self.servers.pop()
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=30)

    def write(self, title: str, *, status: str = "draft") -> str:
        """Store a post and return its path."""
        with running(self.settings) as app, app.app_context(), transaction() as session:
            ada = session.query(User).filter_by(username="ada").one()
            at = datetime(2026, 8, 22, 12, tzinfo=UTC)
            blog = create_post(session, PostDraft(title=title, content=TEXT, status=status), author=ada, at=at)
            return f"/admin/posts/{blog.id}"

    def content(self, path: str) -> str:
        """Return the stored text of a post."""
        with closing(sqlite3.connect(self.file)) as connection:
            rows = connection.execute(
                "SELECT content FROM blogs WHERE id = ?", [path.rpartition("/")[2].replace("-", "")]
            )
            return str(rows.fetchone()[0])

    def sign_in(self, context: BrowserContext, name: str) -> None:
        context.add_cookies([{"name": "session", "value": self.secrets[name], "url": self.address}])

    @contextmanager
    def writer(self, browser: Browser, name: str, *, width: int = DESKTOP) -> Iterator[Page]:
        """Open a browser in which somebody is signed in; what breaks the policy or a script breaks the test."""
        with browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce") as context:
            self.sign_in(context, name)
            page = context.new_page()
            broken: list[str] = []
            page.on("pageerror", lambda error: broken.append(str(error)))
            page.on("console", lambda said: broken.append(said.text) if "Content Security" in said.text else None)
            yield page
            assert broken == []

    def open(self, page: Page, path: str) -> None:
        page.goto(self.address + path)
        page.wait_for_selector("#Post[data-ready]")


@pytest.fixture(scope="module")
def desk(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    file = Path(shutil.copy(sqlite_template, folder / "site.db"))
    settings = settings_for(f"sqlite:///{file}", folder)
    secrets = {}
    with running(settings) as app:
        people = [open_site(app).ada, add_person(app, "eve", "editor")]
        with app.app_context(), transaction() as session:
            for person in people:
                secrets[person.username] = open_session(session, person, client=HERE, at=datetime.now(UTC))
        with app.app_context():
            db.session.remove()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Desk(settings, file, secrets, listener)
        made.start()
        yield made
        while made.servers:
            made.kill()


def standing(page: Page, kind: str) -> None:
    expect(page.locator("#Standing")).to_have_attribute("data-kind", kind, timeout=20_000)


def text_of(page: Page) -> str:
    return page.get_by_label("Text", exact=True).input_value()


def type_at_end(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(text)


# --- nothing is lost ----------------------------------------------------------------------------------------------


def test_two_people_edit_one_post_and_both_texts_are_in_it(desk: Desk, browser: Browser):
    path = desk.write("Two people")
    with desk.writer(browser, "ada") as ada, desk.writer(browser, "eve") as eve:
        for page in (ada, eve):
            desk.open(page, path)
        ada.get_by_label("Text", exact=True).fill("ADA\n\ntwo\n\nthree")
        eve.get_by_label("Text", exact=True).fill("one\n\ntwo\n\nEVE")
        ada.keyboard.press("Control+S")
        standing(ada, "saved")
        eve.keyboard.press("Control+S")
        expect(eve.get_by_role("heading", level=1)).to_have_text("Two texts to put together")
        assert serious_problems(eve) == []
        assert text_of(eve) == "ADA\n\ntwo\n\nEVE"
        eve.get_by_role("button", name="Save this").click()
        eve.wait_for_selector("#Post[data-ready]")
        assert text_of(eve) == desk.content(path) == "ADA\n\ntwo\n\nEVE"
        expect(eve.locator("#Offers")).to_be_hidden()


def test_what_both_changed_in_one_line_stands_there_twice_until_somebody_chooses(desk: Desk, browser: Browser):
    path = desk.write("One line")
    with desk.writer(browser, "ada") as ada, desk.writer(browser, "eve") as eve:
        for page, word in ((ada, "ADA"), (eve, "EVE")):
            desk.open(page, path)
            page.get_by_label("Text", exact=True).fill(f"one\n\n{word}\n\nthree")
        ada.get_by_role("button", name="Save", exact=True).click()
        standing(ada, "saved")
        eve.get_by_role("button", name="Publish", exact=True).click()
        expect(eve.get_by_role("heading", level=1)).to_have_text("Two texts to put together")
        assert "EVE\n=======\nADA" in text_of(eve)
        assert desk.content(path) == "one\n\nADA\n\nthree"


def test_a_text_is_stored_though_the_server_was_killed_while_it_saved(desk: Desk, browser: Browser):
    path = desk.write("Killed")
    with desk.writer(browser, "ada") as page, closing(sqlite3.connect(desk.file, isolation_level=None)) as other:
        desk.open(page, path)
        other.execute("BEGIN IMMEDIATE")  # the save waits for this
        type_at_end(page, "\n\nfour")
        with page.expect_request(lambda request: request.method == "POST" and request.url.endswith(path)):
            page.keyboard.press("Control+S")
        desk.kill()
        assert page.evaluate(KEPT, f"{TEXT}\n\nfour")
        other.execute("ROLLBACK")
        assert desk.content(path) == TEXT
        desk.start()
        expect(page.locator("#Standing")).to_have_attribute("data-kind", STORED, timeout=60_000)
        page.keyboard.press("Control+S")
        standing(page, "saved")
        assert desk.content(path) == text_of(page) == f"{TEXT}\n\nfour"


def test_without_a_network_the_text_is_kept_here_and_sent_when_it_is_back(desk: Desk, browser: Browser):
    path = desk.write("No network")
    with desk.writer(browser, "ada") as page:
        desk.open(page, path)
        page.context.set_offline(True)
        type_at_end(page, "\n\nfour")
        page.keyboard.press("Control+S")
        standing(page, "trouble")
        expect(page.locator("#Standing")).to_contain_text("Your text is kept in this browser")
        type_at_end(page, "\n\nfive")
        assert page.evaluate(KEPT, f"{TEXT}\n\nfour\n\nfive")
        page.context.set_offline(False)
        standing(page, "kept")
        page.keyboard.press("Control+S")
        standing(page, "saved")
        assert desk.content(path) == f"{TEXT}\n\nfour\n\nfive"


def kill_tabs(profile: Path) -> None:
    """Kill the processes in which the browser of this profile shows its tabs, as the system does without memory."""
    mark = f"--user-data-dir={profile}".encode()
    said, parents = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            said[int(folder.name)] = (folder / "cmdline").read_bytes()
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for process, words in said.items():
        above = process
        while above in parents and mark not in said[above]:
            above = parents[above]
        if b"--type=renderer" in words and above in parents:
            os.kill(process, signal.SIGKILL)


@contextmanager
def profile_of(desk: Desk, browser: Browser, folder: Path) -> Iterator[BrowserContext]:
    """Open a browser with a profile on disk, as people have: without one nothing outlives the last tab."""
    context = browser.browser_type.launch_persistent_context(
        folder, executable_path=find_chromium(), args=list(QUIET), reduced_motion="reduce"
    )
    desk.sign_in(context, "ada")
    yield context
    context.close()


def test_after_its_tab_is_killed_the_text_that_the_server_never_got_is_offered(
    desk: Desk, browser: Browser, tmp_path: Path
):
    path = desk.write("Killed tab")
    with profile_of(desk, browser, tmp_path) as context:
        page = context.new_page()
        desk.open(page, path)
        page.route("**/autosave", lambda route: route.abort())
        type_at_end(page, "\n\nfour")
        assert page.evaluate(KEPT, f"{TEXT}\n\nfour")
        with page.expect_event("crash"):
            kill_tabs(tmp_path)
        page = context.new_page()
        page.goto(f"{desk.address}/admin/posts")
        expect(page.locator("#Unsent")).to_contain_text("Killed tab")
        desk.open(page, path)
        page.get_by_role("button", name="Take it back").wait_for()
        assert text_of(page) == TEXT
        assert serious_problems(page) == []
        page.get_by_role("button", name="Take it back").click()
        assert text_of(page) == f"{TEXT}\n\nfour"
        standing(page, "kept")
        page.keyboard.press("Control+S")
        standing(page, "saved")
        assert desk.content(path) == f"{TEXT}\n\nfour"


def test_what_was_kept_by_itself_is_there_in_another_browser(desk: Desk, browser: Browser):
    path = desk.write("Elsewhere")
    with desk.writer(browser, "ada") as page:
        desk.open(page, path)
        type_at_end(page, "\n\nfour")
        standing(page, "kept")
        expect(page.locator("#Standing")).to_contain_text("Kept as draft version 2 at")
    with desk.writer(browser, "ada") as page:
        desk.open(page, path)
        assert text_of(page) == f"{TEXT}\n\nfour"
        assert desk.content(path) == TEXT
        page.get_by_role("button", name="Throw away").click()
        page.wait_for_selector("#Post[data-ready]")
        assert text_of(page) == TEXT


def test_a_second_window_of_one_person_loses_nothing_either(desk: Desk, browser: Browser):
    path = desk.write("Windows")
    with desk.writer(browser, "ada") as first:
        second = first.context.new_page()
        for page in (first, second):
            desk.open(page, path)
        first.get_by_label("Text", exact=True).fill("FIRST\n\ntwo\n\nthree")
        standing(first, "kept")
        second.get_by_label("Text", exact=True).fill("one\n\ntwo\n\nSECOND")
        standing(second, "trouble")
        expect(second.locator("#Standing")).to_contain_text("Another window of yours")
        second.keyboard.press("Control+S")
        expect(second.get_by_role("heading", level=1)).to_have_text("Two texts to put together")
        assert text_of(second) == "FIRST\n\ntwo\n\nSECOND"


# --- writing ------------------------------------------------------------------------------------------------------


def test_a_new_post_is_written_by_keyboard_previewed_saved_and_published(desk: Desk, browser: Browser):
    with desk.writer(browser, "ada") as page:
        page.goto(f"{desk.address}/admin/posts")
        page.get_by_role("link", name="New post").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#Post[data-ready]")
        page.get_by_label("Title").focus()
        page.keyboard.type("By keyboard")
        page.get_by_label("Text", exact=True).focus()
        for key, words in (("b", "bold"), ("i", "stressed")):
            page.keyboard.press(f"Control+{key}")
            page.keyboard.type(words)
            page.keyboard.press("Control+End")
        assert text_of(page) == "**bold***stressed*"
        expect(page.locator("#Preview strong")).to_have_text("bold")
        expect(page.locator("#Length")).to_have_text("2 words, 1 min to read")
        page.keyboard.press("Control+S")
        standing(page, "saved")
        page.get_by_role("button", name="Publish", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="On the site").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("By keyboard")


def test_undo_takes_back_what_a_button_wrote(desk: Desk, browser: Browser):
    with desk.writer(browser, "ada") as page:
        desk.open(page, desk.write("Undo"))
        page.get_by_label("Text", exact=True).focus()
        page.keyboard.press("Control+End")
        page.get_by_role("button", name="List").click()
        assert text_of(page) == "one\n\ntwo\n\n- three"
        page.keyboard.press("Control+Z")
        assert text_of(page) == TEXT


def test_without_a_script_a_post_is_written_previewed_and_saved(desk: Desk, browser: Browser):
    path = desk.write("No script")
    with browser.new_context(java_script_enabled=False) as context:
        desk.sign_in(context, "ada")
        page = context.new_page()
        page.goto(desk.address + path)
        page.get_by_label("Text", exact=True).fill("*new*")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#Preview em")).to_have_text("new")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("status").first).to_have_text("Saved.")
        assert desk.content(path) == "*new*"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_no_page_of_posts_has_a_serious_barrier_or_scrolls_sideways(desk: Desk, browser: Browser, width: int):
    path = desk.write(f"Barriers {width}")
    with desk.writer(browser, "ada", width=width) as page:
        desk.open(page, path)
        page.get_by_label("Text", exact=True).fill("one\n\nTWO\n\nthree")
        page.keyboard.press("Control+S")
        standing(page, "saved")
        for each in (path, "/admin/posts", f"{path}/versions", f"{path}/versions/1"):
            page.goto(desk.address + each)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert serious_problems(page) == [], each
            assert page.evaluate("document.documentElement.scrollWidth") <= width, each
