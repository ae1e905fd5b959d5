"""What a browser is called in a list of sessions: enough to know one's own again."""

from __future__ import annotations

# The first that fits: many name others too, to be given the same pages.
BROWSERS = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"), ("Chromium", "Chromium"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def name_of_browser(text: str) -> str:
    """Return such as "Firefox on Linux" for what a browser calls itself."""
    browser = next((name for sign, name in BROWSERS if sign in text), "Another program")
    system = next((name for sign, name in SYSTEMS if sign in text), None)
    return f"{browser} on {system}" if system else browser
