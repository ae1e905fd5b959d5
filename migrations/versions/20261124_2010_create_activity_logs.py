"""create activity logs

Who did what, to what, when, and for which request. An entry outlives the person: actor_id becomes NULL, the name stays.
Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key.
downgrade drops the table with everything that was recorded.

Revision ID: 8c25e6b0f4a9
Revises: 4f7a90c1d2e6
Create Date: 2026-11-24 20:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "8c25e6b0f4a9"
down_revision = "4f7a90c1d2e6"
branch_labels = None
depends_on = None

json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "activity_logs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid, sa.ForeignKey("users.uuid", ondelete="SET NULL")),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("object_type", sa.String(40)),
        sa.Column("object_id", sa.String(100)),
        sa.Column("object_name", sa.String(300)),
        sa.Column("request_id", sa.String(64)),
        sa.Column("details", json, nullable=False, server_default="{}"),
    )
    op.create_index("ix_activity_logs_happened", "activity_logs", ["happened_at", "id"])
    op.create_index("ix_activity_logs_actor", "activity_logs", ["actor_id", "happened_at"])
    op.create_index("ix_activity_logs_action", "activity_logs", ["action", "happened_at"])
    op.create_index("ix_activity_logs_object", "activity_logs", ["object_type", "object_id", "happened_at"])


def downgrade() -> None:
    op.drop_table("activity_logs")
