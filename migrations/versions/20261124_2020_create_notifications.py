"""create notifications

What people are told on the site, and whether they read it.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: what was told is forgotten.

Revision ID: d3b19f7e5a60
Revises: 8c25e6b0f4a9
Create Date: 2026-11-24 20:20:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "d3b19f7e5a60"
down_revision = "8c25e6b0f4a9"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("path", sa.String(500)),
        sa.Column("key", sa.String(200)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("read_at", moment),
    )
    op.create_index("ix_notifications_user_created", "notifications", ["user_id", "created_at", "id"])
    op.create_index("ix_notifications_user_key", "notifications", ["user_id", "key"], unique=True)
    op.create_index("ix_notifications_created", "notifications", ["created_at"])


def downgrade() -> None:
    op.drop_table("notifications")
