"""create sign-in steps

Signing in that is under way: the password was right and something else is asked for. A browser holds a secret, and the
table its hash, for some minutes.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: whoever is about to sign in begins again.

Revision ID: b85f20e6d413
Revises: 1d96e3f7a08c
Create Date: 2026-11-28 17:48:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "b85f20e6d413"
down_revision = "1d96e3f7a08c"
branch_labels = None
depends_on = None

json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "sign_in_steps",
        sa.Column("secret_hash", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE")),
        sa.Column("details", json, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_sign_in_steps_user_id", "sign_in_steps", ["user_id"])
    op.create_index("ix_sign_in_steps_ends_at", "sign_in_steps", ["ends_at"])


def downgrade() -> None:
    op.drop_table("sign_in_steps")
