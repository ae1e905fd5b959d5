"""keep trashed posts

A post in the trash knows since when, and what it was before, so that it can be taken out again.
Locks: PostgreSQL holds ACCESS EXCLUSIVE on blogs for a moment and rewrites nothing; SQLite changes only the catalog.
downgrade leaves posts in the trash there, which no page shows, and forgets since when.

Revision ID: a93d5e70f2c8
Revises: 4f8a2c6e1b93
Create Date: 2026-11-28 17:06:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a93d5e70f2c8"
down_revision = "4f8a2c6e1b93"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("blogs", sa.Column("trashed_at", sa.DateTime(timezone=True)))
    op.add_column("blogs", sa.Column("trashed_from", sa.String(20)))


def downgrade() -> None:
    with op.batch_alter_table("blogs") as blogs:
        blogs.drop_column("trashed_from")
        blogs.drop_column("trashed_at")
