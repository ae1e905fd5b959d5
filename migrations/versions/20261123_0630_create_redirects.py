"""create redirects

An old address of a post (an alias in an imported file, later a changed slug) leads to where it is now.
Locks: SHARE ROW EXCLUSIVE on blogs for a moment, for the foreign key.
downgrade drops the table: the old addresses answer 404 again.

Revision ID: 71e3f58bd90c
Revises: b94c7d20a6e1
Create Date: 2026-11-23 06:30:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "71e3f58bd90c"
down_revision = "b94c7d20a6e1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "redirects",
        sa.Column("path", sa.String(500), primary_key=True),
        sa.Column("blog_id", sa.Uuid, sa.ForeignKey("blogs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_redirects_blog_id", "redirects", ["blog_id"])


def downgrade() -> None:
    op.drop_table("redirects")
