"""describe covers

The words for a post's cover that stand for it where it cannot be seen.
Locks: PostgreSQL holds ACCESS EXCLUSIVE on blogs for a moment and rewrites nothing; SQLite changes only the catalog.
downgrade loses these words.

Revision ID: c17e4b98d305
Revises: a93d5e70f2c8
Create Date: 2026-11-28 17:07:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c17e4b98d305"
down_revision = "a93d5e70f2c8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blogs", sa.Column("cover_alt", sa.String(500)))


def downgrade() -> None:
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("cover_alt")
