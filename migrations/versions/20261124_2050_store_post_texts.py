"""store post texts

blogs gains the words of its page without marks or tags, for search and excerpts; posts get theirs when they are saved
or by ``manage.py render-posts``.
Locks: PostgreSQL holds ACCESS EXCLUSIVE on blogs for a moment and rewrites nothing; SQLite changes only the catalog.
downgrade loses nothing that rendering again would not bring back.

Revision ID: 3f60c8d7a915
Revises: 90f2ad64c7b1
Create Date: 2026-11-24 20:50:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f60c8d7a915"
down_revision = "90f2ad64c7b1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blogs", sa.Column("content_text", sa.Text))


def downgrade() -> None:
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("content_text")
