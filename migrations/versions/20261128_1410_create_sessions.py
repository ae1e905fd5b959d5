"""create sessions

Who is signed in, and where. A browser holds a secret, and the table its hash: whoever reads it can sign in nowhere.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: everybody has to sign in again.

Revision ID: 5e91c8d06b3f
Revises: 2c7d5b81e0a6
Create Date: 2026-11-28 14:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5e91c8d06b3f"
down_revision = "2c7d5b81e0a6"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("browser", sa.String(200), nullable=False),
        sa.Column("address", sa.String(45)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=False),
        sa.Column("proven_at", moment, nullable=False),
    )
    op.create_index("ix_sessions_user_used", "sessions", ["user_id", "used_at"])
    op.create_index("ix_sessions_used_at", "sessions", ["used_at"])


def downgrade() -> None:
    op.drop_table("sessions")
