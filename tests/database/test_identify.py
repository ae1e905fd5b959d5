"""`fingerprint` says which revision a schema is, and how it differs from a revision or from another database."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace

import pytest

from cms.database.engines import engine_for
from cms.database.errors import DatabaseUnreachable, SchemaUnknown
from cms.database.history import get_head, load_scripts
from cms.database.identify import identify
from tests.database.rows import FIRST, SECOND, connected, upgrade


def test_a_schema_is_named_by_its_revision_whatever_the_version_table_says(target):
    upgrade(target, SECOND)
    with connected(target) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{FIRST}'")
    report = identify(target)
    assert report.equal_to == (SECOND,)
    assert report.exit_code == 0
    assert f"equal to revision {SECOND}" in str(report)


def test_a_schema_of_no_revision_is_described_by_its_differences_to_the_nearest(target):
    upgrade(target)
    with connected(target) as connection:
        connection.exec_driver_sql("DROP INDEX ix_blogs_created_at")
    report = identify(target)
    assert report.equal_to == ()
    head = get_head(load_scripts(target))
    assert f"1 difference to the nearest revision, {head}:\n  missing index ix_blogs_created_at on blogs" in str(report)


def test_an_empty_database_says_so(target):
    engine_for(target).prepare(target)
    assert "holds no table of ours" in str(identify(target))


def test_a_revision_can_be_compared_with(target):
    upgrade(target)
    assert identify(target, other=get_head(load_scripts(target))).exit_code == 0
    report = identify(target, other=SECOND[:4])
    assert report.exit_code == 3
    assert "extra column blogs.content_html" in str(report)
    assert "missing" not in str(report)


def test_another_database_can_be_compared_with_by_its_report(target, elsewhere, tmp_path):
    upgrade(target)
    upgrade(elsewhere)
    file = tmp_path / "other.json"
    file.write_text(json.dumps(asdict(identify(elsewhere))))
    assert identify(target, other=str(file)).exit_code == 0
    with connected(target) as connection:
        connection.exec_driver_sql("ALTER TABLE users ADD COLUMN nickname VARCHAR(10)")
    assert identify(target, other=str(file)).difference.lines[0].startswith("extra column users.nickname ")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"facts": 1}', '{"facts": [{"kind": "x"}]}', "\udcff"])
def test_a_file_that_holds_no_fingerprint_is_refused(sqlite_target, tmp_path, content):
    upgrade(sqlite_target)
    file = tmp_path / "other.json"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(SchemaUnknown, match="holds no fingerprint"):
        identify(sqlite_target, other=str(file))


def test_a_pipe_is_not_waited_for_and_a_name_that_says_nothing_is_refused(sqlite_target, tmp_path):
    upgrade(sqlite_target)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SchemaUnknown, match="holds no fingerprint"):
        identify(sqlite_target, other=str(tmp_path / "pipe"))
    with pytest.raises(SchemaUnknown, match="neither a revision nor a file") as refused:
        identify(sqlite_target, other="6a1f0c93e2b5")
    assert FIRST in str(refused.value.why)


def test_a_missing_database_file_is_not_made(sqlite_target, tmp_path):
    target = replace(sqlite_target, url=sqlite_target.url.set(database=str(tmp_path / "none" / "cms.db")))
    with pytest.raises(DatabaseUnreachable, match="cannot be reached"):
        identify(target)
    assert not (tmp_path / "none").exists()
