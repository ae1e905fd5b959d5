"""How long a writer waits in Chromium: from a key to the screen, and from the last key to the preview.

Usage: python -m bench.editor [--size 173410] [--keys 60]

A post of this size is opened in the editor, with its preview, on SQLite in a temporary folder, and keys are typed in
its middle. Each key is beside one in a bare page with a short textarea, taken in the same run. The preview is waited
for after a pause each time, which is part of what is printed, and compared with the time that the server alone takes
to render the whole text.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from cms.accounts.models import User
from cms.accounts.sessions import open_session
from cms.blogs.drafts import PostDraft
from cms.blogs.rendering import render
from cms.blogs.services import create_post
from cms.extensions import transaction
from tests.browser.conftest import QUIET, find_chromium, serving
from tests.browser.content import EVERYTHING
from tests.people import HERE
from tests.site import migrate, open_site, running, settings_for

WATCH = """() => {
  window.waits = [];
  const seen = (list) => list.getEntries().forEach((each) => each.name === "keydown" && waits.push(each.duration));
  new PerformanceObserver(seen).observe({ type: "event", durationThreshold: 16, buffered: false });
  const shown = () => requestAnimationFrame(() => setTimeout(() => (window.shownAt = performance.now())));
  const preview = document.getElementById("Preview");
  if (preview) new MutationObserver(shown).observe(preview, { childList: true, subtree: true });
  document.addEventListener("input", () => (window.typedAt = performance.now()), true);
}"""
SHOWN = """async () => {
  while (!(window.shownAt > window.typedAt)) await new Promise((resolve) => setTimeout(resolve, 5));
  return window.shownAt - window.typedAt;
}"""
BETWEEN_KEYS_MS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=173_410)
    parser.add_argument("--keys", type=int, default=60)
    options = parser.parse_args()
    text = text_of(options.size)
    with tempfile.TemporaryDirectory(prefix="cms-bench-") as folder:
        measure(Path(folder), text, options.keys)


def text_of(size: int) -> str:
    prose = "Some words of prose with *stress* and [links](/a/) that go on for a while. " * 12
    section = f"{EVERYTHING}\n\n" + f"{prose}\n\n" * 6
    return (section * (size // len(section) + 1))[:size]


def measure(folder: Path, text: str, keys: int) -> None:
    url = f"sqlite:///{folder / 'site.db'}"
    migrate(url, folder)
    settings = settings_for(url, folder)
    with running(settings) as app:
        ada = open_site(app).ada
        with app.app_context(), transaction() as session:
            draft = PostDraft(title="Long", content=text)
            blog = create_post(session, draft, author=session.get_one(User, ada.uuid), at=datetime.now(UTC))
            secret, path = open_session(session, ada, client=HERE, at=datetime.now(UTC)), f"/admin/posts/{blog.id}"
    with serving(settings) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(QUIET))
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.add_cookies([{"name": "session", "value": secret, "url": address}])
        bare = context.new_page()
        bare.set_content("<textarea rows=24 cols=80>one</textarea>")
        editor = context.new_page()
        editor.goto(address + path)
        editor.locator("#Preview .part").last.wait_for(state="attached")
        report("a key to the screen", type_keys(editor, keys), type_keys(bare, keys))
        report("the last key to the preview", preview_waits(editor, 10), render_times(text))
        browser.close()


def type_keys(page: Page, keys: int) -> list[float]:
    """Return how long each key took until the next frame; what was faster than 16 ms counts as 16."""
    page.bring_to_front()
    page.evaluate(WATCH)
    page.locator("textarea").first.focus()
    page.evaluate("""() => {
      const area = document.activeElement;
      area.setSelectionRange(area.value.length >> 1, area.value.length >> 1);
    }""")
    for _ in range(keys):
        page.keyboard.press("a", delay=5)
        page.wait_for_timeout(BETWEEN_KEYS_MS)
    page.wait_for_timeout(1000)
    slow: list[float] = page.evaluate("() => window.waits")
    return sorted([*slow, *[16.0] * (keys - len(slow))])


def preview_waits(page: Page, rounds: int) -> list[float]:
    """Return how long after a key the preview was on the screen, its pause included."""
    page.bring_to_front()
    waits = []
    for _ in range(rounds):
        page.wait_for_timeout(500)
        page.evaluate("() => (window.shownAt = 0)")
        page.keyboard.press("b")
        waits.append(float(page.evaluate(SHOWN)))
    return sorted(waits)


def render_times(text: str, rounds: int = 5) -> list[float]:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        render(text)
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def report(what: str, waits: list[float], baseline: list[float]) -> None:
    p95 = waits[int(len(waits) * 0.95) - 1]
    print(
        f"{what}: median {median(waits):.0f} ms, 95 of 100 within {p95:.0f} ms, worst {waits[-1]:.0f} ms; "
        f"{median(waits) / median(baseline):.2f} times the baseline of {median(baseline):.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
