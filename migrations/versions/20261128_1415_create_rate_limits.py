"""create rate limits

How often something was tried in the time that a limit looks at, such as signing in to one account.
Locks: none that anybody waits for; the table is new.
downgrade drops the table: every count begins again.

Revision ID: c40a6f3d8e72
Revises: 5e91c8d06b3f
Create Date: 2026-11-28 14:15:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c40a6f3d8e72"
down_revision = "5e91c8d06b3f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_rate_limits_ends_at", "rate_limits", ["ends_at"])


def downgrade() -> None:
    op.drop_table("rate_limits")
