"""What a load balancer asks."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from flask.testing import FlaskClient

from cms.extensions import db
from tests.site import Site, running, settings_for


def test_the_process_is_alive_without_its_database(tmp_path: Path):
    with running(settings_for("sqlite:////nowhere/cms.db", tmp_path)) as app:
        answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_site_at_head_is_ready(client: FlaskClient):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def test_a_site_behind_its_code_is_not_ready(site: Site, client: FlaskClient):
    stamp(site, "6a1f0c93e2b4")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the database is not migrated\n")


def test_an_older_release_stays_ready_while_a_newer_one_is_rolled_out(site: Site, client: FlaskClient):
    stamp(site, "cafecafecafe")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "cafe" not in answer.text


def test_a_site_without_its_schema_is_not_ready(site: Site, client: FlaskClient):
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
    assert client.get("/readyz").status_code == 503


def test_nobody_keeps_the_answer(client: FlaskClient):
    assert {client.get(path).headers["Cache-Control"] for path in ("/healthz", "/readyz")} == {"no-store"}


def stamp(site: Site, revision: str) -> None:
    with site.app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
