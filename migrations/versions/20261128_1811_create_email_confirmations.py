"""create email confirmations

What confirms an address, by a link in a mail: that of an account, or a new one at both addresses.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: mails that are on their way lead nowhere.

Revision ID: a81d5c6e4f02
Revises: 3f6b9a20d71e
Create Date: 2026-11-28 18:11:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a81d5c6e4f02"
down_revision = "3f6b9a20d71e"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "email_confirmations",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("step", sa.String(10), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("step IN ('present', 'old', 'new')", name="step"),
    )
    op.create_index("ix_email_confirmations_user_id", "email_confirmations", ["user_id"])
    op.create_index("ix_email_confirmations_ends_at", "email_confirmations", ["ends_at"])


def downgrade() -> None:
    op.drop_table("email_confirmations")
