"""What programs look for under fixed addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask

from tests.site import running, settings_for


def test_robots_may_read_everything_and_learn_of_the_sitemap(sqlite_app: Flask):
    answer = sqlite_app.test_client().get("/robots.txt")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text == "User-agent: *\nDisallow:\n\nSitemap: http://127.0.0.1:8000/sitemap.xml\n"


def test_who_finds_a_hole_learns_whom_to_tell(migrated_sqlite_url: str, tmp_path: Path):
    told = {"SECURITY_CONTACT": "mailto:security@example.org", "SITE_URL": "https://blog.example.org"}
    with running(settings_for(migrated_sqlite_url, tmp_path, **told)) as app:
        answer = app.test_client().get("/.well-known/security.txt")
    assert answer.content_type == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == "mailto:security@example.org"
    assert fields["Canonical"] == "https://blog.example.org/.well-known/security.txt"
    assert timedelta(0) < datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC) < timedelta(days=365)


def test_a_site_without_contact_has_no_security_page(sqlite_app: Flask):
    assert sqlite_app.test_client().get("/.well-known/security.txt").status_code == 404
