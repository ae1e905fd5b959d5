"""widen blog texts

Real posts did not fit: 183 of 508 in one public blog, 1,102 of 2,077 in another.
Locks: PostgreSQL holds ACCESS EXCLUSIVE on blogs for a moment and rewrites nothing; SQLite rebuilds blogs.
downgrade raises IrreversibleMigration if a text is longer than the old limits.

Revision ID: 2d8e51b07fa9
Revises: 6a1f0c93e2b4
Create Date: 2026-11-23 06:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cms.database.operations import refuse_longer_than

revision = "2d8e51b07fa9"
down_revision = "6a1f0c93e2b4"
branch_labels = None
depends_on = None

OLD = {"title": 100, "slug": 100, "content": 50_000, "summary": 300}
NEW = {"title": sa.String(300), "slug": sa.String(300), "content": sa.Text(), "summary": sa.String(1000)}


def upgrade() -> None:
    with op.batch_alter_table("blogs") as blogs:
        for column, wide in NEW.items():
            blogs.alter_column(
                column, existing_type=sa.String(OLD[column]), type_=wide, existing_nullable=column == "summary"
            )


def downgrade() -> None:
    refuse_longer_than("blogs", OLD)
    with op.batch_alter_table("blogs") as blogs:
        for column, wide in NEW.items():
            blogs.alter_column(
                column, existing_type=wide, type_=sa.String(OLD[column]), existing_nullable=column == "summary"
            )
