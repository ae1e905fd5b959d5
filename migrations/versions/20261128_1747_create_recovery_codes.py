"""create recovery codes

Codes on paper, each of which stands in for the second factor once; the table has only their hashes.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: the codes that people have on paper no longer count.

Revision ID: 1d96e3f7a08c
Revises: 7ac41d09e5b2
Create Date: 2026-11-28 17:47:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1d96e3f7a08c"
down_revision = "7ac41d09e5b2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recovery_codes",
        sa.Column("code_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])


def downgrade() -> None:
    op.drop_table("recovery_codes")
