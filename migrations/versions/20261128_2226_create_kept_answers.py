"""create kept answers

What was answered to changes that a program may send again: the request was given a key, and its answer is kept a day.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: a request that is sent again after it is made again.

Revision ID: e2a94c71d05b
Revises: 64c2e8f19b0d
Create Date: 2026-11-28 22:26:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "e2a94c71d05b"
down_revision = "64c2e8f19b0d"
branch_labels = None
depends_on = None

json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "kept_answers",
        sa.Column("key_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("headers", json, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("body", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_kept_answers_user_id", "kept_answers", ["user_id"])
    op.create_index("ix_kept_answers_ends_at", "kept_answers", ["ends_at"])


def downgrade() -> None:
    op.drop_table("kept_answers")
