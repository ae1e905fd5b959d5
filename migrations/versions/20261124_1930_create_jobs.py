"""create jobs

What use cases want done after them (mail, webhooks, imports) is stored with them, in one transaction, and a worker does
it: neither a crash nor a queue that is away loses it, and nothing is done for what was rolled back.
Locks: none that anybody waits for; the tables are new.
downgrade drops both tables: what was not done by then never is.

Revision ID: 4f7a90c1d2e6
Revises: c05d1e4a8f37
Create Date: 2026-11-24 19:30:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "4f7a90c1d2e6"
down_revision = "c05d1e4a8f37"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)
json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "job_workers",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.String(100), nullable=False),
        sa.Column("arguments", json, nullable=False),
        sa.Column("status", sa.String(20), nullable=False, server_default="waiting"),
        sa.Column("key", sa.String(200), unique=True),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("worker_id", sa.Uuid, sa.ForeignKey("job_workers.id", ondelete="SET NULL")),
        sa.Column("progress", json),
        sa.Column("error", sa.Text),
        sa.Column("request_id", sa.String(64)),
        sa.CheckConstraint("status IN ('waiting', 'queued', 'running', 'done', 'failed')", name="status"),
    )
    op.create_index("ix_jobs_status_due", "jobs", ["status", "due_at"])
    op.create_index("ix_jobs_worker_id", "jobs", ["worker_id"])


def downgrade() -> None:
    op.drop_table("jobs")
    op.drop_table("job_workers")
