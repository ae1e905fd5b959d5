"""add search

Published posts are found by the words of title, summary and text. Triggers keep the index in step whoever writes. It
begins empty: a post enters it when it is saved, and all of them by ``manage.py reindex-search``, in small batches. A
column generated from the texts would rewrite blogs, and nobody could write while it does.
Locks: SHARE ROW EXCLUSIVE on blogs for a moment, for the foreign key and the triggers.
downgrade drops the index; the posts stay.

Revision ID: 8b5e29f4c1d3
Revises: 5d2c7e91ab04
Create Date: 2026-11-24 20:52:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "8b5e29f4c1d3"
down_revision = "5d2c7e91ab04"
branch_labels = None
depends_on = None

# accepted: hidden-code: a trigger needs a function on PostgreSQL; it writes blog_search only

# Punctuation goes first: PostgreSQL takes 18f.gsa.gov and 3.14 and /a/b for words of their own, of which no part is
# found. More than 200,000 characters could make more words than an index entry holds, and the post could not be saved.
# What changed is compared here: a trigger that named the columns would forbid every later change of their types.
FUNCTION = r"""
CREATE FUNCTION index_blog() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    marks CONSTANT text := '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~';
    gaps CONSTANT text := repeat(' ', length(marks));
    language regconfig;
BEGIN
    IF NEW.status <> 'published' THEN
        DELETE FROM blog_search WHERE blog_id = NEW.id;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE'
        AND (OLD.title, OLD.summary, OLD.status, OLD.created_at, OLD.content, OLD.content_text)
            IS NOT DISTINCT FROM (NEW.title, NEW.summary, NEW.status, NEW.created_at, NEW.content, NEW.content_text)
        AND EXISTS (SELECT FROM blog_search WHERE blog_id = NEW.id)
    THEN
        RETURN NULL;
    END IF;
    language := coalesce((SELECT blog_search_settings.language FROM blog_search_settings), 'english');
    INSERT INTO blog_search (blog_id, created_at, words) VALUES (
        NEW.id,
        NEW.created_at,
        setweight(to_tsvector(language, translate(NEW.title, marks, gaps)), 'A')
        || setweight(to_tsvector(language, translate(coalesce(NEW.summary, ''), marks, gaps)), 'B')
        || to_tsvector(language, translate(left(coalesce(NEW.content_text, NEW.content), 200000), marks, gaps))
    )
    ON CONFLICT (blog_id) DO UPDATE SET created_at = EXCLUDED.created_at, words = EXCLUDED.words;
    RETURN NULL;
END
$body$
"""

# The key grows with the post's date, so that SQLite reads the newest entries first: seconds since 1970, and a number.
ENTER = """
    INSERT INTO blog_search (key, blog_id)
        SELECT coalesce((SELECT max(key) + 1 FROM blog_search WHERE key BETWEEN low AND low + 1048575), low), NEW.id
        FROM (SELECT CAST(strftime('%s', NEW.created_at) AS INTEGER) * 1048576 AS low)
        WHERE NEW.status = 'published';
    INSERT INTO blog_words (rowid, title, summary, body)
        SELECT key, NEW.title, coalesce(NEW.summary, ''), coalesce(NEW.content_text, NEW.content)
        FROM blog_search WHERE blog_id = NEW.id;
"""
TRIGGERS = {
    "blog_search_insert": f"AFTER INSERT ON blogs BEGIN {ENTER} END",
    "blog_search_update": f"""AFTER UPDATE OF title, summary, content, content_text, status, created_at ON blogs BEGIN
    DELETE FROM blog_search WHERE blog_id = OLD.id; {ENTER} END""",
    # A program that does not enforce foreign keys deletes posts too.
    "blog_search_delete": "BEFORE DELETE ON blogs BEGIN DELETE FROM blog_search WHERE blog_id = OLD.id; END",
    "blog_search_leave": "AFTER DELETE ON blog_search BEGIN DELETE FROM blog_words WHERE rowid = OLD.key; END",
}


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        upgrade_postgresql()
    else:
        upgrade_sqlite()


def upgrade_postgresql() -> None:
    op.create_table(
        "blog_search",
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
    )
    op.create_index("ix_blog_search_words", "blog_search", ["words"], postgresql_using="gin")
    op.create_index("ix_blog_search_created_at", "blog_search", ["created_at"])
    op.execute(FUNCTION)
    op.execute("CREATE TRIGGER blog_search AFTER INSERT OR UPDATE ON blogs FOR EACH ROW EXECUTE FUNCTION index_blog()")


def upgrade_sqlite() -> None:
    op.create_table(
        "blog_search",
        sa.Column("key", sa.Integer, primary_key=True),
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), nullable=False, unique=True),
    )
    op.execute(
        "CREATE VIRTUAL TABLE blog_words USING fts5("
        "title, summary, body, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3')"
    )
    for name, what in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {what}")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP TRIGGER blog_search ON blogs")
        op.execute("DROP FUNCTION index_blog()")
    else:
        for name in TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
        op.drop_table("blog_words")
    op.drop_table("blog_search")
