"""create invitations

Who may make an account, with which role, by a link in a mail; the table has only the link's hash.
Locks: SHARE ROW EXCLUSIVE on users and roles for a moment, for the foreign keys.
downgrade drops the table: invitations that are on their way lead nowhere.

Revision ID: 3f6b9a20d71e
Revises: 60fb8a27c4e1
Create Date: 2026-11-28 18:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3f6b9a20d71e"
down_revision = "60fb8a27c4e1"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("email", sa.String(255), nullable=False, unique=True),
        sa.Column("role", sa.String(20), sa.ForeignKey("roles.name", ondelete="CASCADE"), nullable=False),
        sa.Column("invited_by", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE")),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=False),
    )
    op.create_index("ix_invitations_created", "invitations", ["created_at", "id"])
    for column in ("role", "invited_by", "ends_at"):
        op.create_index(f"ix_invitations_{column}", "invitations", [column])


def downgrade() -> None:
    op.drop_table("invitations")
