"""Adoption counts the rows that a revision's rules do not allow, whatever comes of the schema."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from cms.database.adopt import plan_stamp
from cms.database.errors import StampRefused
from cms.database.history import list_revisions, load_scripts
from cms.database.target import MIGRATIONS_DIR
from tests.database.adopted import adopted_site, run
from tests.database.rows import digests

RULES = """\
    with op.batch_alter_table("blogs") as batch:
        batch.create_unique_constraint("one_status", ["status"])
        batch.create_check_constraint("short", "length(slug) < 6")
        batch.alter_column("summary", existing_type=sa.String(1000), nullable=False)
    op.create_index("one_title", "blogs", [sa.text("lower(status)")], unique=True)
"""
COPIES = """\
    INSERT INTO blogs SELECT gen_random_uuid(), gen_random_uuid(), title, slug || 'x', content, summary, view_count,
    word_count, reading_time_minutes, status, tags, images_url, created_at FROM blogs"""
LATER = """\
    op.add_column("users", sa.Column("shelf", sa.String(9)))
    op.create_index("one_shelf", "users", ["shelf"], unique=True)
"""


@pytest.fixture
def own_history(target, tmp_path):
    return with_own_history(target, tmp_path)


@pytest.fixture
def own_postgres_history(postgres_target, tmp_path):
    return with_own_history(postgres_target, tmp_path)


def with_own_history(target, tmp_path):
    shutil.copytree(MIGRATIONS_DIR, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    return replace(target, migrations_dir=tmp_path / "migrations")


def plant(target, body):
    head = list_revisions(load_scripts(target))[-1].id
    (target.migrations_dir / "versions" / "own.py").write_text(
        '"""tighten rules"""\nimport sqlalchemy as sa\nfrom alembic import op\n'
        f'revision = "0123456789ab"\ndown_revision = "{head}"\ndef upgrade():\n{body}'
    )


def obstacles(target):
    return {(each.revision, each.rows, each.what) for each in plan_stamp(target).obstacles}


def test_what_a_later_revision_would_choke_on_is_counted(own_history):
    plant(own_history, RULES)
    adopted_site(own_history, ["UPDATE blogs SET summary = 'x' WHERE slug = 'post-0'"])
    before = digests(own_history)
    found = obstacles(own_history)
    assert {(revision, rows) for revision, rows, _ in found} == {("0123456789ab", 3), ("0123456789ab", 2)}
    texts = {what for _, _, what in found}
    assert "blogs: 2 rows without summary" in texts
    assert "blogs: 3 rows sharing their status" in texts
    assert any(re.match(r"blogs: 3 rows sharing their lower ?\(", text) for text in texts)
    assert any(re.match(r"blogs: 3 rows breaking the rule length ?\(", text) for text in texts)
    assert len(texts) == 4
    assert "blogs: 2 rows without summary (revision 0123456789ab)" in str(plan_stamp(own_history))
    assert digests(own_history) == before


def test_rules_about_columns_that_are_not_there_yet_ask_nothing(own_history):
    plant(own_history, LATER)
    adopted_site(own_history)
    assert obstacles(own_history) == set()


def test_a_rule_that_cannot_be_counted_says_so_and_stops_nothing(own_postgres_history):
    plant(own_postgres_history, '    op.create_check_constraint("odd", "blogs", "1 / view_count > 0")\n')
    adopted_site(own_postgres_history)
    ((_, rows, what),) = obstacles(own_postgres_history)
    assert rows == 0
    assert what.endswith("could not be counted: division by zero")


def test_rows_in_the_way_of_what_is_missing_are_counted_in_the_refusal(postgres_target):
    adopted_site(
        postgres_target,
        [
            "ALTER TABLE users ALTER COLUMN bio TYPE text",
            "UPDATE users SET bio = repeat('x', 161)",
            "ALTER TABLE blogs DROP CONSTRAINT blogs_author_id_fkey",
            COPIES,
            "DROP INDEX ix_blogs_slug",
            "UPDATE blogs SET slug = 'same'",
        ],
    )
    with pytest.raises(StampRefused, match="could not carry") as refused:
        plan_stamp(postgres_target, accept_differences=True)
    for line in (
        "users: 1 row with more than 160 characters in bio (revision",
        "blogs: 3 rows referring to users that are not there (revision",
        "blogs: 6 rows sharing their slug (revision",
    ):
        assert line in str(refused.value.why)


def test_a_site_whose_rows_fit_has_nothing_in_the_way(target):
    adopted_site(target)
    run(target, ["UPDATE blogs SET summary = NULL"])
    assert obstacles(target) == set()
