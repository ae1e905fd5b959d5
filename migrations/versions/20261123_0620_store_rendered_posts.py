"""store rendered posts

blogs gains the HTML of its page and the renderer's version: rendering at each view would take 13 ms.
Locks: PostgreSQL holds ACCESS EXCLUSIVE on blogs for a moment and rewrites nothing; SQLite changes only the catalog.
downgrade loses nothing that rendering again would not bring back.

Revision ID: b94c7d20a6e1
Revises: 2d8e51b07fa9
Create Date: 2026-11-23 06:20:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b94c7d20a6e1"
down_revision = "2d8e51b07fa9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blogs", sa.Column("content_html", sa.Text))
    op.add_column("blogs", sa.Column("renderer_version", sa.SmallInteger))


def downgrade() -> None:
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("renderer_version")
        blogs.drop_column("content_html")
