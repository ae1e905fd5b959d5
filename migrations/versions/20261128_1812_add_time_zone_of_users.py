"""add time zone of users

In which time zone somebody reads and writes times; NULL is UTC.
Locks: ACCESS EXCLUSIVE on users for a moment.
downgrade drops the column: what people chose is lost.

Revision ID: 64c2e8f19b0d
Revises: a81d5c6e4f02
Create Date: 2026-11-28 18:12:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "64c2e8f19b0d"
down_revision = "a81d5c6e4f02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("timezone", sa.String(64)))


def downgrade() -> None:
    op.drop_column("users", "timezone")
