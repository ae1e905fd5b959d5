"""count search misses

Counts what readers looked for and did not find, by the words alone: who asked is not known.
Locks: none that anybody waits for; the table is new.
downgrade drops the counts.

Revision ID: e7a4d05b9c62
Revises: 8b5e29f4c1d3
Create Date: 2026-11-24 20:53:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "e7a4d05b9c62"
down_revision = "8b5e29f4c1d3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_misses",
        sa.Column("words", sa.String(100), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("search_misses")
