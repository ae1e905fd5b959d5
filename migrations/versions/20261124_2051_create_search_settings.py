"""create search settings

PostgreSQL knows the forms of words, so the search index has one language for the whole site; without a row that is
English. ``manage.py reindex-search`` writes it. SQLite does not know languages, and leaves the table empty.
Locks: nothing that is in use.
downgrade forgets the language.

Revision ID: 5d2c7e91ab04
Revises: 3f60c8d7a915
Create Date: 2026-11-24 20:51:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5d2c7e91ab04"
down_revision = "3f60c8d7a915"
branch_labels = None
depends_on = None


def upgrade() -> None:
    only_one = sa.CheckConstraint("id = 1", name="id")
    op.create_table(
        "blog_search_settings",
        sa.Column("id", sa.SmallInteger, only_one, primary_key=True, autoincrement=False),
        sa.Column("language", sa.String(30), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("blog_search_settings")
