"""create notification preferences

How each person wants to be told things of one kind: on the site, by mail, both or not at all.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: everybody is told things as at the beginning.

Revision ID: 90f2ad64c7b1
Revises: d3b19f7e5a60
Create Date: 2026-11-24 20:25:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "90f2ad64c7b1"
down_revision = "d3b19f7e5a60"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.String(60), primary_key=True),
        sa.Column("on_site", sa.Boolean, nullable=False),
        sa.Column("by_mail", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("notification_preferences")
