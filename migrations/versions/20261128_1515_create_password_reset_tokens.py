"""create password reset tokens

What a mail for a forgotten password leads to, once and for an hour; the table has only its hash.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: mails that are on their way lead nowhere.

Revision ID: 9d1e47a0c6b8
Revises: c40a6f3d8e72
Create Date: 2026-11-28 15:15:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9d1e47a0c6b8"
down_revision = "c40a6f3d8e72"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "password_reset_tokens",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_password_reset_tokens_user_id", "password_reset_tokens", ["user_id"])
    op.create_index("ix_password_reset_tokens_ends_at", "password_reset_tokens", ["ends_at"])


def downgrade() -> None:
    op.drop_table("password_reset_tokens")
