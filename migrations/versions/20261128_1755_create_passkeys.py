"""create passkeys

The public keys of devices and programs by which people sign in; a public key opens nothing.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: people sign in by password, and whoever had only passkeys besides it by that alone.

Revision ID: 60fb8a27c4e1
Revises: b85f20e6d413
Create Date: 2026-11-28 17:55:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "60fb8a27c4e1"
down_revision = "b85f20e6d413"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("credential_id", sa.String(1400), nullable=False, unique=True),
        sa.Column("public_key", sa.String(2000), nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment),
    )
    op.create_index("ix_passkeys_user_id", "passkeys", ["user_id"])


def downgrade() -> None:
    op.drop_table("passkeys")
