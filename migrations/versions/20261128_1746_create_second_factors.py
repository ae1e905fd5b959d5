"""create second factors

What people are asked for besides their password: an app that shows codes. Its secret is sealed with a key made from
SECRET_KEY.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table: nobody is asked for a second factor any more.

Revision ID: 7ac41d09e5b2
Revises: e3b7215c90fd
Create Date: 2026-11-28 17:46:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "7ac41d09e5b2"
down_revision = "e3b7215c90fd"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True),
        sa.Column("sealed_secret", sa.String(255), nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("second_factors")
