"""A revision that fails on one row only, the first or the last of many, leaves the database as it was, byte by byte.

CMS_TEST_ROWS: how many rows, by default 2,000; a million is for once in a while.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from cms.database.errors import MigrationFailed
from cms.database.fingerprint import read_fingerprint
from cms.database.release import apply_release
from tests.database.rows import connected, digests, fill, quiet, upgrade
from tests.database.test_rehearsal import NEXT, with_revision

ROWS = int(os.environ.get("CMS_TEST_ROWS", "2000"))
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
FAILING = {
    "null": ("NULL", """
    with op.batch_alter_table("blogs") as batch:
        batch.alter_column("content_html", existing_type=sa.Text, nullable=False)"""),
    "duplicate": ("'7'", """
    op.create_index("no_two", "blogs", ["content_html"], unique=True)"""),
    "too long": ("'a text of more than ten'", """
    with op.batch_alter_table("blogs") as batch:
        batch.create_check_constraint("short", "length(content_html) < 10")"""),
    "no number": ("'seven'", """
    rows = op.get_bind().execute(sa.text("SELECT id, content_html FROM blogs WHERE slug <> 'post-0' ORDER BY slug"))
    for row in rows.all():
        if not row.content_html.isdecimal():
            raise ValueError(f"{row.content_html} is no number")
    op.execute("UPDATE blogs SET view_count = 1")"""),
}  # fmt: skip


def fill_blogs(target):
    """Copy one draft, which no trigger looks at, as often as asked for."""
    upgrade(target)
    fill(target, posts=1)
    with connected(target) as connection:
        ids = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "md5(n.i::text)::uuid"}[target.engine_name]
        own = {"id": ids, "slug": "'many-' || n.i", "status": "'draft'", "content_html": "CAST(n.i AS TEXT)"}
        columns = [column["name"] for column in sa.inspect(connection).get_columns("blogs")]
        values = ", ".join(own.get(name, f"b.{name}") for name in columns)
        copies = f"{NUMBERS} SELECT {values} FROM blogs b, n"
        connection.exec_driver_sql(f"INSERT INTO blogs ({', '.join(columns)}) {copies}")
        connection.exec_driver_sql("UPDATE blogs SET content_html = '0' WHERE slug = 'post-0'")


def look(target):
    """Return everything: rows, schema, and on SQLite the file's own bytes."""
    with connected(target) as connection:
        schema = read_fingerprint(connection)
    rows = digests(target)
    if target.engine_name == "sqlite":
        return schema, rows, hashlib.sha256(Path(target.url.database).read_bytes()).hexdigest()
    return schema, rows


@pytest.mark.parametrize("row", [1, ROWS], ids=["first", "last"])
def test_what_one_row_stops_changes_nothing(target, tmp_path, row):
    fill_blogs(target)
    for name, (value, body) in FAILING.items():
        with connected(target) as connection:
            connection.exec_driver_sql("UPDATE blogs SET content_html = substr(slug, 6) WHERE slug <> 'post-0'")
            connection.exec_driver_sql(f"UPDATE blogs SET content_html = {value} WHERE slug = 'many-{row}'")
        before = look(target)
        longer = with_revision(target, tmp_path / name, body)
        for rehearsal in (True, False):
            with pytest.raises((MigrationFailed, ValueError), match=f"revision {NEXT} failed"):
                apply_release(longer, rehearsal=rehearsal, proof=rehearsal, say=quiet)
            assert look(target) == before, name
